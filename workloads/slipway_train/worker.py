"""One process of the gang: `python3 -m slipway_train.worker`, started by the launcher's agent.

Decided here: how a recipe's end becomes an exit code. After a failure the process leaves by os._exit, because a broken
process group may block in its own destructor.
"""

import json
import os
import signal
import sys
import time
import traceback
import warnings
from types import FrameType
from typing import Any

from . import logs, stacks
from .config import Environment, Recipe, read_recipe
from .errors import (
    EXIT_FAILED,
    EXIT_RECIPE_WRONG,
    EXIT_REQUIREMENT_NOT_MET,
    EXIT_STALLED,
    EXIT_STOPPED,
    Diverged,
    RecipeError,
    RequirementNotMet,
    Stalled,
    Stopped,
    full_volume,
)
from .files import write_whole
from .progress import Reporter, http_sender, no_sender
from .watchdog import LINGER_SECONDS, Watchdog


class StopRequest:
    """Set by SIGTERM: the loop sees it after the step that is under way."""

    def __init__(self) -> None:
        self._asked = False
        signal.signal(signal.SIGTERM, self._ask)

    def __call__(self) -> bool:
        return self._asked

    def _ask(self, _signal: int, _frame: FrameType | None) -> None:
        self._asked = True


def run(recipe: Recipe, environment: Environment, stop: StopRequest) -> None:
    from .course import follow  # torch takes seconds to import: after the recipe is known to be right
    from .gang import Gang

    if environment.stacks_dir is not None:
        stacks.answer(environment.stacks_dir, int(os.environ["RANK"]))
    gang = Gang(recipe.accelerator)
    url = environment.progress_url if gang.rank == 0 else None
    send = http_sender(url, environment.progress_token_file) if url else no_sender
    watchdog = Watchdog.of(recipe.stall, lambda words: _leave_stalled(environment, words))
    try:
        with Reporter(send) as reporter, watchdog:
            finished = follow(
                recipe,
                gang,
                environment.output_dir,
                memory_dir=environment.memory_dir,
                reporter=reporter,
                watchdog=watchdog,
                stop_asked=stop,
            )
        _tell(environment, gang.rank, finished.to_json())
    except RequirementNotMet as error:
        _tell(environment, gang.rank, {"evaluation": dict(error.evaluation)})
        raise
    gang.close()


def _tell(environment: Environment, rank: int, result: dict[str, Any]) -> None:
    """To the launcher: what rank 0's termination message is to hold."""
    if rank == 0 and environment.result_file is not None:
        write_whole(environment.result_file, json.dumps(result).encode())


def main() -> int:
    logs.configure(int(os.environ.get("RANK", "0")))
    stop = StopRequest()
    try:
        run(read_recipe(os.environ), Environment.read(os.environ), stop)
    except RecipeError as error:
        return _leave(EXIT_RECIPE_WRONG, str(error))
    except RequirementNotMet as error:
        return _leave(EXIT_REQUIREMENT_NOT_MET, str(error))
    except Stopped as stopped:
        return _leave(EXIT_STOPPED, str(stopped))
    except Stalled as stalled:
        return _leave(EXIT_STALLED, str(stalled))
    except Diverged as diverged:
        return _leave(EXIT_FAILED, str(diverged))
    except BaseException as error:
        return _leave(EXIT_FAILED, full_volume(error) or traceback.format_exc())
    return 0


def _leave_stalled(environment: Environment, words: str) -> None:
    """From the watchdog's thread, while the main one hangs."""
    stacks.ask(environment.stacks_dir)
    time.sleep(LINGER_SECONDS)
    _leave(EXIT_STALLED, words)


def _leave(code: int, message: str) -> int:
    sys.stderr.write(message.rstrip() + "\n")
    sys.stderr.flush()
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", module="torch")
    sys.exit(main())
