"""How deep and how large a spec may be. Both are nobody's honest need and everybody's trouble.

Kubernetes takes JSON that is nested ten thousand levels deep, in any field whose schema leaves it open (podTemplate),
and objects of a megabyte and a half. Every visit walks the spec several times, and all objects share one process:
of a spec that is refused for its size, only the size is kept.
"""

from typing import Any

from .conditions import Finding
from .hashing import canonical
from .observed import Obj

LEVELS_MAX = 48  # the deepest honest podTemplate, a matchExpressions in an affinity, is at 14
BYTES_MAX = 131_072
CUT = "(cut off: nested too deeply)"
LEFT_OUT = "(left out: bytes)"  # a field that no schema has


def excess(spec: Obj) -> Finding | None:
    """Why a spec is too deep or too large to be looked at."""
    if is_deeper(spec, LEVELS_MAX):
        field = next((name for name, value in spec.items() if is_deeper(value, LEVELS_MAX - 1)), "")
        return Finding("InvalidSpec", f"spec.{field}: nested more than {LEVELS_MAX} levels deep: write it flatter")
    if (size := _size(spec)) > BYTES_MAX:
        return Finding("InvalidSpec", f"spec: {size} bytes are more than the {BYTES_MAX} that it may have")
    return None


def bounded(spec: Obj) -> Obj:
    """`spec`, or as much of one that is too deep or too large as `excess` needs to say so."""
    shallow = cut(spec)
    size = len(canonical(shallow))
    return shallow if size <= BYTES_MAX else {LEFT_OUT: size}


def _size(spec: Obj) -> int:
    left_out = spec.get(LEFT_OUT)
    return left_out if isinstance(left_out, int) else len(canonical(spec))


def is_deeper(value: Any, levels: int) -> bool:  # noqa: ANN401 - any JSON value
    """Whether maps and lists are nested more than `levels` deep. Level by level: a recursion could be made to fail."""
    layer = [value]
    for _ in range(levels + 1):
        layer = [inner for outer in layer for inner in _inside(outer)]
        if not layer:
            return False
    return True


def cut(value: Obj) -> Obj:
    """`value`, less what is nested deeper than one level beyond the limit: enough to see that it is too deep."""
    if not is_deeper(value, LEVELS_MAX + 1):
        return value
    return {name: _cut(inner, LEVELS_MAX + 1) for name, inner in value.items()}


def _cut(value: Any, levels: int) -> Any:  # noqa: ANN401 - any JSON value
    if not isinstance(value, dict | list):
        return value
    if levels == 0:
        return CUT
    if isinstance(value, dict):
        return {name: _cut(inner, levels - 1) for name, inner in value.items()}
    return [_cut(inner, levels - 1) for inner in value]


def _inside(value: Any) -> list[Any]:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
