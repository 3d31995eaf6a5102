"""`slipway render --target`: a file with one TrainingJob to a script, or to the job's run on this machine."""

import os
import sys
from collections.abc import Callable, Mapping

from ..plan.observed import Obj
from . import local, slurm
from .documents import InvalidFile
from .jobs import Job, training_jobs
from .preview import UNCHECKED


def _only(present: list[Obj]) -> Job:
    """A script is one job's. Raises InvalidFile."""
    jobs = training_jobs(present)
    if len(jobs) > 1:
        names = ", ".join(job.owner.name for job in jobs)
        raise InvalidFile(f"{len(jobs)} TrainingJobs ({names}): a script runs one, so give it a file of its own")
    return jobs[0]


SCRIPTS: Mapping[str, Callable[[list[Obj]], str]] = {
    "slurm": lambda present: slurm.script(_only(present)),
    "torchrun": lambda present: local.script(_only(present)),
}


def run(present: list[Obj]) -> str:
    """Does not come back: this process becomes the script, so what was not checked is told before."""
    script = SCRIPTS["torchrun"](present)
    sys.stderr.write(UNCHECKED)
    return local.run(script, os.environ)
