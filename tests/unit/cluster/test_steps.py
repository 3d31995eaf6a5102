from __future__ import annotations

import inspect
import io
import re

import pytest
from bed.steps import Steps, numbered

from tests.e2e import demo


def steps_at(*seconds: float) -> tuple[Steps, io.StringIO]:
    out, times = io.StringIO(), iter(seconds)
    return Steps(out=out, clock=lambda: next(times)), out


def test_a_step_says_how_long_it_took() -> None:
    steps, out = steps_at(100, 100, 100, 104.5, 104.5)
    with steps.step("build"):
        pass
    assert out.getvalue() == "[   0.0s] build ...\n[   4.5s] build: done in 4.5s\n"


def test_items_say_how_far_they_are_unless_there_is_one_alone() -> None:
    assert list(numbered(["a", "b"])) == [("a", " (1 of 2)"), ("b", " (2 of 2)")]
    assert list(numbered(["a"])) == [("a", "")]


def test_a_step_that_fails_says_so_and_lets_the_error_through() -> None:
    steps, out = steps_at(0, 0, 0, 2, 2)
    with pytest.raises(RuntimeError), steps.step("build"):
        raise RuntimeError
    assert "build: FAILED after 2.0s" in out.getvalue()


def test_the_summary_lists_the_longest_first_and_leaves_out_the_short() -> None:
    steps, out = steps_at(0, 0, 0, 2, 2, 2, 2, 9, 9, 9, 9, 9.1, 9.1, 9.1, 9.1)
    for name in ("short", "long", "none"):
        with steps.step(name):
            pass
    steps.summary()
    assert [line.split()[-1] for line in out.getvalue().splitlines()[-2:]] == ["long", "short"]


def test_the_demo_counts_its_steps() -> None:
    order = inspect.getsource(demo.demonstrate) + inspect.getsource(demo.story)
    assert [int(number) for number in re.findall(r"with step\((\d+), ", order)] == list(range(1, demo.STEPS + 1))
