"""What becomes of pods, as data: which start, how long they run, and how they end."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

Trouble = Literal["", "unschedulable", "pull", "crash", "unready", "evicted", "unmounted", "wedged"]

SUCCESS = '{"evaluation": {"bitsPerByte": "2.9", "unigramBitsPerByte": "4.6"}, "step": 200}'


@dataclass(frozen=True, slots=True)
class Fate:
    """Of the pods whose name matches the glob `pods`. Times are virtual seconds.

    `run_seconds` None: until somebody ends it. `times` limits how many pods meet this fate; the next rule has the rest.
    """

    pods: str
    start_seconds: float = 1.0
    run_seconds: float | None = None
    exit_code: int = 0
    message: str = ""
    trouble: Trouble = ""
    times: int | None = None
    reports: int | None = None  # after so many rank 0 hangs, and says nothing more; None: it reports until it ends
    # "wedged": what serves stands still after `run_seconds`, is ended for it and started again, so many `wedges` times.
    wedges: int = 1
    grace_seconds: float | None = None  # how long it takes to go; None: as the timing says

    def meets(self, name: str) -> bool:
        return fnmatchcase(name, self.pods)


TRAINS = Fate("*-master-0", run_seconds=20.0, message=SUCCESS)
WORKS = Fate("*-worker-*", run_seconds=20.0)
SERVES = Fate("*", start_seconds=3.0)
DEFAULT = (TRAINS, WORKS, SERVES)
