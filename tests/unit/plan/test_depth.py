"""How deep a spec may be, and that what is deeper is cut without any recursion that could be made to fail."""

import sys
from typing import Any

import pytest

from slipway.plan.depth import CUT, LEVELS_MAX, bounded, cut, excess, is_deeper


def nested(levels: int, inner: Any = 1) -> Any:
    value = inner
    for level in range(levels):
        value = {"a": value} if level % 2 else [value]
    return value


@pytest.mark.parametrize(("value", "levels"), [(1, 0), ({}, 1), ([], 1), ({"a": [1, {"b": 2}]}, 3), (nested(50), 50)])
def test_levels_are_counted(value: Any, levels: int) -> None:
    assert not is_deeper(value, levels)
    assert levels == 0 or is_deeper(value, levels - 1) == (value not in ({}, []))


def test_what_is_cut_is_still_too_deep() -> None:
    spec = {"ok": {"a": 1}, "deep": nested(9_999)}
    assert len(nested(1)) < sys.getrecursionlimit() < 9_999
    shorter = cut(spec)
    assert shorter["ok"] == {"a": 1}
    assert CUT in str(shorter["deep"])
    assert not is_deeper(shorter, LEVELS_MAX + 2)
    finding = excess(shorter)
    assert finding is not None
    assert finding.message == f"spec.deep: nested more than {LEVELS_MAX} levels deep: write it flatter"


def test_what_is_not_too_deep_is_left_as_it_is() -> None:
    spec = {"podTemplate": nested(LEVELS_MAX - 1)}
    assert cut(spec) is spec
    assert excess(spec) is None
    assert excess(cut({"podTemplate": nested(LEVELS_MAX)})) is not None


def test_the_size_is_bounded() -> None:
    assert excess({"command": ["x" * 131_000]}) is None
    finding = excess({"command": ["x" * 131_072]})
    assert finding is not None
    assert finding.message == "spec: 131088 bytes are more than the 131072 that it may have"


def test_of_what_is_too_large_only_the_size_is_kept_and_told() -> None:
    large: dict[str, Any] = {"command": ["x" * 131_072]}
    assert len(str(bounded(large))) < 100
    assert excess(bounded(large)) == excess(large)
    honest = {"command": ["x" * 131_000]}
    assert bounded(honest) is honest
    both = {"command": ["x" * 131_072], "podTemplate": nested(9_999)}
    assert excess(bounded(both)) is not None
