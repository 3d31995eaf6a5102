"""Sets of field paths, as managedFields hold them: what an object contains, how two objects differ, what to take away.

After sigs.k8s.io/structured-merge-diff: a leaf, an item of a keyed list, a key of a map and an atomic part are each a
path. A path is an interned node, so that sets of paths are plain sets: union and difference are then Python's own.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from .answers import Refusal
from .shapes import ANY, Form, Shape

Element = str | tuple[Any, ...]  # a field's name; ("k", name, value, ...) of a keyed item; ("v", value) of a set's
MISSING: Final = object()


class Path:
    """A path of one kind's objects, from that kind's root."""

    __slots__ = ("above", "children", "element", "named", "parent", "shape", "top")

    def __init__(self, parent: "Path | None", element: Element, shape: Shape, *, named: bool) -> None:
        self.parent, self.element, self.shape, self.named = parent, element, shape, named
        self.children: dict[Element, Path] = {}
        # the field of the object that this is or is in
        self.top: Element = element if parent is None or parent.parent is None else parent.top
        # the named fields on the way here, which contain this one: `spec` and `spec.template`, but no key of a map
        self.above: tuple[Path, ...] = () if parent is None else parent.above + ((self,) if named else ())

    def down(self, element: Element) -> "Path":
        known = self.children.get(element)
        if known is None:
            known = self.children[element] = self._make(element)
        return known

    def _make(self, element: Element) -> "Path":
        if isinstance(element, str):
            named = self.shape.fields.get(element)
            return Path(self, element, named or self.shape.element or ANY, named=named is not None)
        return Path(self, element, self.shape.element or ANY, named=False)

    def __str__(self) -> str:
        if self.parent is None:
            return ""
        if isinstance(self.element, str):
            return f"{self.parent}.{self.element}"
        if self.element[0] == "v":
            return f"{self.parent}[={json.dumps(self.element[1])}]"
        pairs = zip(self.element[1::2], self.element[2::2], strict=True)
        return f"{self.parent}[{','.join(f'{key}={json.dumps(value)}' for key, value in pairs)}]"


Paths = frozenset[Path]


def element_key(element: Element) -> str:
    """As FieldsV1 writes it: `f:name`, `k:{"name":"x"}` of a keyed item, `v:"x"` of a set's."""
    if isinstance(element, str):
        return f"f:{element}"
    if element[0] == "v":
        return f"v:{json.dumps(element[1])}"
    pairs = dict(sorted(zip(element[1::2], element[2::2], strict=True)))
    return f"k:{json.dumps(pairs, separators=(',', ':'))}"


def item_element(shape: Shape, item: Any, where: Path) -> Element:
    """Which item of a list that merges this is. Raises Refusal for one that cannot say."""
    if shape.is_set and not isinstance(item, dict | list):
        return ("v", item)
    if not isinstance(item, dict):
        raise Refusal(500, "", f"{where}: associative list with keys may not have non-map elements")
    made: list[Any] = ["k"]
    for key in shape.keys:
        value = item.get(key, MISSING)
        if value is MISSING:
            field_shape = shape.element.fields.get(key) if shape.element else None
            value = field_shape.default if field_shape is not None and field_shape.default is not None else MISSING
        if isinstance(value, dict | list):
            raise Refusal(500, "", f"{where}: the key {key} of an associative list must be a scalar")
        if value is not MISSING:
            made += (key, value)
    if len(made) == 1:
        keys = " ".join(f'"{key}"' for key in shape.keys)
        raise Refusal(500, "", f"{where}: associative list with keys has an element that omits all key fields [{keys}]")
    return tuple(made)


def deduced(shape: Shape, value: Any) -> Form:
    """How a value is treated; of untyped data by what it is, and null as a map."""
    if shape.form is not Form.ANY:
        return shape.form
    if isinstance(value, dict) or value is None:
        return Form.MAP
    return Form.LIST if isinstance(value, list) else Form.SCALAR


def is_atomic_list(shape: Shape) -> bool:
    return shape.atomic or shape.form is Form.ANY


def collect(value: Any, at: Path, into: set[Path]) -> None:
    """Every path that `value` at `at` contains."""
    shape = at.shape
    form = deduced(shape, value)
    if form is Form.SCALAR:
        into.add(at)
    elif form is Form.LIST:
        if is_atomic_list(shape):
            into.add(at)
        elif isinstance(value, list):
            for item in value:
                child = at.down(item_element(shape, item, at))
                collect(item, child, into)
                into.add(child)
    elif shape.atomic:
        into.add(at)
    elif isinstance(value, dict):
        children = at.children
        for key, below in value.items():
            child = children.get(key) or at.down(key)
            if child.shape.form is Form.SCALAR:
                into.add(child)
                continue
            if (not below and (below is None or below == {})) or not child.named:
                into.add(child)
            collect(below, child, into)


def paths_of(value: Any, root: Path) -> set[Path]:
    into: set[Path] = set()
    collect(value, root, into)
    return into


@dataclass(slots=True)
class Difference:
    added: set[Path] = field(default_factory=set)
    modified: set[Path] = field(default_factory=set)
    removed: set[Path] = field(default_factory=set)

    def note(self, old: Any, new: Any, at: Path) -> None:
        """A leaf, or what is treated as one."""
        if old is MISSING:
            self.added.add(at)
        elif new is MISSING:
            self.removed.add(at)
        elif old != new:
            self.modified.add(at)


def compare(old: Any, new: Any, at: Path, out: Difference) -> None:
    """What changed from `old` to `new`; MISSING stands for absent. Unchanged parts that are shared cost nothing."""
    if old is new:
        return
    present = old if new is MISSING else new
    form = deduced(at.shape, present)
    if old is not MISSING and new is not MISSING and deduced(at.shape, old) is not form:
        _compare_forms(old, new, at, out)
        return
    leaf = form is Form.SCALAR or (is_atomic_list(at.shape) if form is Form.LIST else at.shape.atomic)
    if leaf or (_nothing(old) and _nothing(new)):
        out.note(old, new, at)
        return
    if form is Form.LIST:
        _compare_items(old, new, at, out)
    else:
        _compare_keys(old, new, at, out)
    if old is MISSING:
        out.added.add(at)
    elif new is MISSING:
        out.removed.add(at)


def _compare_forms(old: Any, new: Any, at: Path, out: Difference) -> None:
    """Untyped data of another form than before: what the map on either side holds comes or goes, the rest is a leaf."""
    for given, before, after in ((old, old, None), (new, None, new)):
        if isinstance(given, dict) and given:
            _compare_keys(before, after, at, out)
        else:
            out.modified.add(at)


def _nothing(value: Any) -> bool:
    return value is MISSING or not value


def _compare_keys(old: Any, new: Any, at: Path, out: Difference) -> None:
    before = old if isinstance(old, dict) else {}
    after = new if isinstance(new, dict) else {}
    for key, value in after.items():
        compare(before.get(key, MISSING), value, at.down(key), out)
    for key, value in before.items():
        if key not in after:
            compare(value, MISSING, at.down(key), out)


def _compare_items(old: Any, new: Any, at: Path, out: Difference) -> None:
    before, after = indexed(old, at), indexed(new, at)
    for element, items in after.items():
        earlier = before.get(element, [])
        child = at.down(element)
        if len(items) < 2 and len(earlier) < 2:
            compare(earlier[0] if earlier else MISSING, items[0], child, out)
        elif len(items) >= 2 and len(earlier) >= 2:
            out.note(earlier, items, child)
        elif len(earlier) >= 2:
            compare(MISSING, items[0], child, out)
            out.removed.add(child)
        else:
            if earlier:
                compare(earlier[0], MISSING, child, out)
            out.added.add(child)
    for element, items in before.items():
        if element not in after:
            compare(items[0], MISSING, at.down(element), out)


def indexed(value: Any, at: Path) -> dict[Element, list[Any]]:
    """The items of a list by their element; several under one where they are duplicates."""
    found: dict[Element, list[Any]] = {}
    for item in value if isinstance(value, list) else ():
        found.setdefault(item_element(at.shape, item, at), []).append(item)
    return found


def with_named(paths: Iterable[Path]) -> set[Path]:
    """`paths` and the named fields that contain them."""
    made = set(paths)
    for path in tuple(made):
        made.update(path.above)
    return made


def without(value: Any, at: Path, gone: set[Path]) -> Any:
    """`value` without the parts at the paths in `gone`; None where nothing remains of a part."""
    touched: set[Path] = set()
    for path in gone:
        above = path.parent
        while above is not None and above not in touched:
            touched.add(above)
            above = above.parent
    return _without(value, at, gone, touched)


def _without(value: Any, at: Path, gone: set[Path], touched: set[Path]) -> Any:
    if at not in touched or not value:
        return value
    if isinstance(value, dict):
        if at.shape.atomic:
            return None
        made = {}
        for key, below in value.items():
            child = at.down(key)
            if child not in gone:
                made[key] = _without(below, child, gone, touched) if child in touched else below
        return made or None
    if isinstance(value, list) and not is_atomic_list(at.shape):
        kept = []
        for item in value:
            child = at.down(item_element(at.shape, item, at))
            if child not in gone:
                kept.append(_without(item, child, gone, touched) if child in touched else item)
        return kept or None
    return value
