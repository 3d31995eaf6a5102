"""What a user's podTemplate may not say. Signatures first; the checks follow."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Reserved:
    """What belongs to Slipway in this kind of pod, so that a podTemplate may not set it.

    `main_fields` maps a field of the main container to what the user should do instead. `spec_fields` likewise for the
    pod's spec. `env` and `env_prefixes` hold for every container.
    """

    container: str  # the backend's name of the main container
    containers: frozenset[str] = frozenset()  # other containers of Slipway's, init containers too
    volumes: frozenset[str] = frozenset()
    mount_paths: frozenset[str] = frozenset()
    env: frozenset[str] = frozenset()
    env_prefixes: tuple[str, ...] = ("SLIPWAY_",)
    ports: frozenset[int] = frozenset()
    main_fields: tuple[tuple[str, str], ...] = ()
    spec_fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Violation:
    """`path` is the field's path from `spec`; `message` says what is wrong and what to do."""

    path: str
    message: str


def violations(user: Mapping[str, Any], reserved: Reserved) -> list[Violation]:
    """What Slipway refuses in the user's podTemplate (`{"metadata": ..., "spec": ...}`), in a fixed order."""
    raise NotImplementedError
