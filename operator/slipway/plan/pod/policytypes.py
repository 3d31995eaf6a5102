"""What the checks of a podTemplate share: what is reserved, what a violation is, careful access to unknown shapes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..names import MAIN_CONTAINER


@dataclass(frozen=True, slots=True)
class Reserved:
    """What belongs to Slipway in this kind of pod, so that a podTemplate may not set it.

    `main_fields` names fields of the main container and `spec_fields` of the pod's spec, each with what the user
    should do instead. Variables are reserved in every container.
    """

    container: str  # the backend's name of the main container
    containers: frozenset[str] = frozenset()  # other containers of Slipway's, init containers too
    volumes: frozenset[str] = frozenset()
    mount_paths: frozenset[str] = frozenset()
    env: frozenset[str] = frozenset()
    env_prefixes: tuple[str, ...] = ("SLIPWAY_",)
    ports: frozenset[int] = frozenset()
    main_fields: tuple[tuple[str, str], ...] = ()
    gpus: str = "leave it out"  # what to do instead of giving `main` GPUs
    spec_fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Violation:
    """`path` is the field's path from `spec`; `message` says what is wrong and what to do."""

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Container:
    """A container as the user wrote it, and where."""

    path: str
    body: Mapping[str, Any]
    init: bool

    @property
    def name(self) -> str:
        return text(self.body.get("name"))

    @property
    def main(self) -> bool:
        return not self.init and self.name == MAIN_CONTAINER


def text(value: object) -> str:
    """`value` when it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def mapping(value: object) -> Mapping[str, Any]:
    """`value` when it is a map, else an empty one."""
    return value if isinstance(value, dict) else {}


def entries(value: object) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The maps in a list, with their positions; nothing when it is no list."""
    listed = value if isinstance(value, list) else []
    return ((index, entry) for index, entry in enumerate(listed) if isinstance(entry, dict))
