"""Where the engine finds what it serves, as elements of a command that Kubernetes expands no `$(NAME)` in."""

from ..names import adapter_path, model_path
from ..pod.expansion import literal
from .served import Adapter, Served


def model_argument(model: Served) -> str:
    return literal(model_path(model.at.path))


def adapter_argument(adapter: Adapter) -> str:
    return literal(adapter_path(adapter.at.path))
