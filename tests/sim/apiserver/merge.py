"""The merge of server-side apply: what an applied configuration makes of the live object.

After structured-merge-diff's mergingWalker: maps merge key by key, keyed lists item by item and in the order of the
configuration, the rest is replaced. Where nothing changes, the live part itself is returned, so that what follows sees
by identity that there is no difference.
"""

from typing import Any

from .answers import Refusal
from .fields import MISSING, Element, Path, deduced, is_atomic_list, item_element
from .shapes import Form


def merged(live: Any, config: Any, at: Path) -> Any:
    """`live` with `config` applied. Raises Refusal for duplicate items in `config`."""
    if config is MISSING or live is config:
        return live
    form = deduced(at.shape, config)
    if config is None and at.shape.form is Form.ANY and live is not MISSING:
        form = deduced(at.shape, live)
    if form is Form.SCALAR or (not config and (live is MISSING or not live)):
        return _kept(live, config)
    if form is Form.LIST:
        if is_atomic_list(at.shape):
            return _kept(live, config)
        return _items(live, config, at)
    if at.shape.atomic:
        return _kept(live, config)
    return _keys(live, config, at)


def _kept(live: Any, config: Any) -> Any:
    return live if live is not MISSING and type(live) is type(config) and live == config else config


def _keys(live: Any, config: Any, at: Path) -> Any:
    before = live if isinstance(live, dict) else {}
    changed: dict[str, Any] = {}
    for key, value in (config or {}).items():
        old = before.get(key, MISSING)
        new = merged(old, value, at.down(key))
        if new is not old:
            changed[key] = new
    if not changed and isinstance(live, dict):
        return live
    return {**before, **changed}


def _items(live: Any, config: Any, at: Path) -> Any:
    old = live if isinstance(live, list) else []
    theirs = [item_element(at.shape, item, at) for item in old]
    ours = [item_element(at.shape, item, at) for item in config or ()]
    _refuse_duplicates(ours, at)
    values = dict(zip(ours, config or (), strict=True))
    before = _singles(theirs, old)
    made = []
    for element, item in _order(theirs, old, ours):
        if element in values:
            made.append(merged(before.get(element, MISSING), values[element], at.down(element)))
        else:
            made.append(item)
    unchanged = len(made) == len(old) and all(a is b for a, b in zip(made, old, strict=True))
    return live if unchanged and live is not MISSING else made


def _refuse_duplicates(elements: list[Element], at: Path) -> None:
    if len(set(elements)) == len(elements):
        return
    twice = next(element for element in elements if elements.count(element) > 1)
    raise Refusal(500, "", f"{at}: duplicate entries for key {str(at.down(twice)).removeprefix(str(at))}")


def _singles(elements: list[Element], items: list[Any]) -> dict[Element, Any]:
    """Items by element. One that is there twice is not merged with what is applied: it is replaced."""
    found: dict[Element, Any] = {}
    for element, item in zip(elements, items, strict=True):
        found[element] = None if element in found else item
    return found


def _order(theirs: list[Element], old: list[Any], ours: list[Element]) -> list[tuple[Element, Any]]:
    """The order of the result: that of `ours`, with what only `theirs` holds kept before what follows it there."""
    mine, known = set(ours), set(theirs)
    shared = [element for element in ours if element in known]
    result: list[tuple[Element, Any]] = []
    done: set[Element] = set()
    left = right = following = 0
    while left < len(theirs) or right < len(ours):
        coming = shared[following] if following < len(shared) else None
        if left < len(theirs):
            element = theirs[left]
            if right < len(ours) and element == ours[right]:
                result.append((element, None))
                done.add(element)
                left, right, following = left + 1, right + 1, following + 1
                continue
            if right < len(ours) and element in mine and coming is not None and coming != element:
                left += 1
                continue
            if element not in mine:
                result.append((element, old[left]))
                left += 1
                continue
            if element in done:
                left += 1
        if right < len(ours):
            element = ours[right]
            done.add(element)
            result.append((element, None))
            right += 1
            if element == coming:
                following += 1
    return result
