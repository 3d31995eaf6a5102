import math
import threading

import pytest

from slipway.api.gang import StallSpec
from slipway_train import watchdog as module
from slipway_train.errors import Stalled
from slipway_train.watchdog import Watchdog


class Stall:
    """Remembers what a watchdog says."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.seen = threading.Event()

    def __call__(self, words: str) -> None:
        self.words.append(words)
        self.seen.set()


class Clock:
    """Goes on by a second whenever it is looked at within a step, or as it is told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def steps(watchdog: Watchdog, clock: Clock, *seconds: float) -> None:
    for number, each in enumerate(seconds, start=1):
        with watchdog.step(number):
            clock.now += each


def test_the_bound_follows_the_median_of_the_steps_after_the_first() -> None:
    clock = Clock()
    watchdog = Watchdog(10, Stall(), clock=clock)
    assert watchdog.bound_seconds() == module.WARM_UP_SECONDS
    steps(watchdog, clock, 500, 400)
    assert watchdog.bound_seconds() == module.WARM_UP_SECONDS, "the first steps compile and connect"
    steps(watchdog, clock, 9, 7, 8, 300, 8)
    assert watchdog.bound_seconds() == 80
    clock.now += 10_000
    assert watchdog.bound_seconds() == 80, "what comes between steps does not count"


def test_quick_steps_have_a_floor() -> None:
    clock = Clock()
    watchdog = Watchdog(10, Stall(), clock=clock)
    steps(watchdog, clock, 1, 1, 0.01, 0.01)
    assert watchdog.bound_seconds() == module.FLOOR_SECONDS


def test_old_steps_are_forgotten() -> None:
    clock = Clock()
    watchdog = Watchdog(10, Stall(), clock=clock)
    steps(watchdog, clock, 1, 1, *[100] * 5, *[20] * module._RECENT_STEPS)
    assert watchdog.bound_seconds() == 200


def hang(watchdog: Watchdog, stall: Stall) -> None:
    with watchdog.step(8):
        assert stall.seen.wait(10)
        raise ConnectionError("the peers have left")


def test_a_step_that_does_not_end_is_noticed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FLOOR_SECONDS", 0.05)
    monkeypatch.setattr(module, "WARM_UP_STEPS", 0)
    stall = Stall()
    with Watchdog(2, stall) as watchdog:
        with watchdog.step(7):
            pass
        with pytest.raises(Stalled, match="step 8 has not ended"):
            hang(watchdog, stall)
    (words,) = stall.words
    assert words.startswith("stalled: step 8 has not ended within 0.05 s (2 x the median step of ")


def test_what_lies_between_steps_may_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FLOOR_SECONDS", 0.02)
    monkeypatch.setattr(module, "WARM_UP_STEPS", 0)
    stall = Stall()
    with Watchdog(2, stall) as watchdog:
        with watchdog.step(1):
            pass
        assert not stall.seen.wait(0.2)
        with pytest.raises(ValueError, match="wrong"), watchdog.step(2):
            raise ValueError("wrong")


def test_the_first_step_has_a_bound_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WARM_UP_SECONDS", 0.05)
    stall = Stall()
    with Watchdog(10, stall, floor_seconds=0.01) as watchdog, watchdog.step(1):
        assert stall.seen.wait(10)
    assert stall.words == ["stalled: step 1 has not ended within 0.05 s (warm-up)"]


def test_no_bound_is_less_than_the_recipe_s_floor() -> None:
    watchdog = Watchdog.of(StallSpec(factor=2, floor_seconds=2000), Stall())
    assert watchdog.bound_seconds() == 2000, "not in the warm-up either"
    clock = Clock()
    watchdog = Watchdog(2, Stall(), floor_seconds=5, clock=clock)
    steps(watchdog, clock, *[1.0] * 9)
    assert watchdog.bound_seconds() == 5


def test_a_recipe_without_stall_is_watched_by_nobody() -> None:
    watchdog = Watchdog.of(None, Stall())
    assert watchdog.bound_seconds() == math.inf
    with watchdog, watchdog.step(1):
        pass
