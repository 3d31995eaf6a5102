"""Why a pod does not run: the most telling reason of one pod, or of several. Signatures first."""

from collections.abc import Iterable

from .conditions import Finding
from .observed import Pod


def problem(pod: Pod) -> Finding | None:
    """Why this pod is not running, if it is for a reason that a person should know; names pod, container and image."""
    raise NotImplementedError


def first_problem(pods: Iterable[Pod]) -> Finding | None:
    """The most telling problem of these pods: by precedence of the reason, then by pod name."""
    raise NotImplementedError
