"""How a training process ends other than well, and the exit code that says so.

Decided here: 2 means that running again cannot help (the recipe or the data is wrong), and so does 3 (the model is not
as good as `output.require` asks for); everything else may be retried.
"""

import errno
import os
from collections.abc import Mapping

EXIT_RECIPE_WRONG = 2
EXIT_REQUIREMENT_NOT_MET = 3
EXIT_FAILED = 1
EXIT_STOPPED = 143  # 128 + SIGTERM, what a shell would report
EXIT_STALLED = 75  # sysexits' EX_TEMPFAIL: no step ended within the watchdog's bound


class RecipeError(Exception):
    """The recipe, the data or the pod's set-up is wrong. The message names the field and says what to do."""


def is_volumes_fault(error: OSError) -> bool:
    """Whether the volume itself failed, so that the next attempt may find it well: what is missing, is of another kind,
    is forbidden or read-only will be so again.
    """
    told = (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError)
    return not isinstance(error, told) and error.errno != errno.EROFS


def full_volume(error: BaseException) -> str | None:
    """What to say of a failure that is a full volume, wherever in the chain of causes it stands; None of any other.

    safetensors and torch tell of it in words of their own, without an errno.
    """
    at: BaseException | None = error
    while at is not None:
        if (isinstance(at, OSError) and at.errno in _FULL) or os.strerror(errno.ENOSPC) in str(at):
            return (
                f"the volume is full: {at}. Make its claim larger, or free space on it: every job that used the claim "
                "has a directory there, by its uid. The next attempt goes on from the last whole checkpoint"
            )
        at = at.__cause__ or at.__context__
    return None


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Stopped(Exception):
    """A process of the gang was told to stop, and what could be saved has been saved."""


class RequirementNotMet(Exception):
    """The model is trained and measured, and not good enough to be handed on. `evaluation` is what was measured."""

    def __init__(self, message: str, evaluation: Mapping[str, str | int]) -> None:
        super().__init__(message)
        self.evaluation = evaluation


class Diverged(Exception):
    """A loss is no finite number, so the model is worthless. The message says what helps."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}: training diverged. Lower training.optimizer.learningRate, raise training.optimizer.warmupSteps,"
            " or look at the data"
        )


class RanksDiffer(Exception):
    """Ranks that should hold the same numbers do not. The message names the parameter and the rank."""


class Stalled(Exception):
    """The watchdog found that a step does not end. The message says which, and what the bound was."""
