"""The CEL rules of a CRD: which are broken, in which field, with which message.

A rule that speaks of oldSelf is evaluated only where there is an old value. For it, sets and keyed lists have no order:
`self == oldSelf` holds for the same set in another order.
"""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from . import cel
from .answers import Cause, Obj
from .fields import deduced
from .shapes import Form, Shape

OWN: Final = frozenset(("apiVersion", "kind", "metadata"))  # of every object, not of a schema
RULES: Final = "x-kubernetes-validations"

_compiled = lru_cache(maxsize=1024)(cel.compiled)


def compile_rules(shape: Shape) -> None:
    """Compile every rule under `shape` now, and mark where there are any.

    Raises cel.Unsupported for one that could not be evaluated.
    """
    for rule in shape.schema.get(RULES, ()):
        _compiled(rule["rule"])
        shape.ruled = True
    below = [*shape.fields.values(), *([shape.element] if shape.element is not None else [])]
    for each in below:
        compile_rules(each)
        shape.ruled = shape.ruled or each.ruled


def broken(value: Any, old: Any, shape: Shape, path: str) -> Iterator[Cause]:
    """The rules at and below `path` that `value`, which replaces `old`, breaks. What is unchanged breaks none."""
    if not shape.ruled or (value is old and value is not None):
        return
    for rule in shape.schema.get(RULES, ()):
        made = _compiled(rule["rule"])
        if made.transition and old is None:
            continue
        given = (_sorted(value, shape), _sorted(old, shape)) if made.transition else (value, old)
        if text := _complaint(made, rule, *given):
            yield Cause(path or "<nil>", f"Invalid value: {_shown(value)}: {text}")
    if isinstance(value, dict):
        before = old if isinstance(old, dict) else {}
        for key, below in value.items():
            field = shape.field(key)
            if field is not None and (path or key not in OWN):
                inner = f"{path}[{key}]" if shape.form is Form.MAP else f"{path}.{key}" if path else key
                yield from broken(below, before.get(key), field, inner)
    elif isinstance(value, list) and shape.element is not None and deduced(shape, value) is Form.LIST:
        for place, item in enumerate(value):
            if not (isinstance(old, list) and place < len(old) and item is old[place]):
                yield from broken(item, None, shape.element, f"{path}[{place}]")


def _sorted(value: Any, shape: Shape) -> Any:
    """`value` with sets and keyed lists in one order: for CEL's == they have none."""
    if isinstance(value, dict) and shape.form in (Form.STRUCT, Form.MAP):
        return {key: _sorted(each, shape.field(key) or shape) for key, each in value.items()}
    if isinstance(value, list) and shape.form is Form.LIST and shape.element is not None:
        items = [_sorted(item, shape.element) for item in value]
        return items if shape.atomic else sorted(items, key=lambda item: json.dumps(item, sort_keys=True))
    return value


def _complaint(made: cel.Rule, rule: Obj, value: Any, old: Any) -> str:
    try:
        return "" if made.holds(value, old) else rule.get("message", f"failed rule: {rule['rule']}")
    except cel.Failed as error:
        return f"rule evaluation error: {error} evaluating rule: {rule.get('message', rule['rule'])}"


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return '"object"' if isinstance(value, dict) else '"array"'
    return json.dumps(value)
