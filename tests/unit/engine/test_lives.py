"""Whole lives of a simulated engine in virtual time: what the heartbeat promises, whatever the engine does."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway_engine.heartbeat import (
    FIRST,
    Observation,
    Reading,
    Settings,
    State,
    Token,
    Unanswered,
    Unreachable,
    step,
    wedged,
)

SETTINGS = Settings()
REFUSED = Unreachable("Connection refused")


@dataclass
class SimulatedEngine:
    """An engine that, per second, is `down`, `wedged` or alive, with `load` requests; stale gauges while wedged."""

    mode: Callable[[float], str]
    load: Callable[[float], int]
    stale_gauge: int = 0
    tokens: float = 0.0
    counted_at: float = 0.0
    last_token_at: float | None = None
    asked: list[tuple[float, float]] = field(default_factory=list)  # when each probe began and ended

    def advance(self, now: float) -> None:
        second = self.counted_at
        while second < now:
            if self.mode(second) == "alive" and self.load(second):
                self.tokens += 1
                self.last_token_at = second
            elif self.mode(second) == "down":
                self.tokens = 0
            second += 0.5
        self.counted_at = second

    def answer(self, kind: str, now: float) -> tuple[Observation, float]:
        """What a question at `now` brings, and when."""
        self.advance(now)
        mode = self.mode(now)
        if mode == "down":
            self.tokens = 0
            return REFUSED, now
        if kind == "look":
            gauge = self.stale_gauge if mode == "wedged" else self.load(now)
            return Reading(self.tokens, gauge), now + 0.01
        if mode == "wedged":
            return self.unanswered(now)
        self.asked.append((now, now + 0.05))
        self.tokens += 1
        self.last_token_at = now
        return Token(), now + 0.05

    def unanswered(self, now: float) -> tuple[Observation, float]:
        """Until the time-out, or until the engine dies with the question open."""
        died = next((now + step / 10 for step in range(50) if self.mode(now + step / 10) == "down"), None)
        ended = now + 5.0 if died is None else died
        self.asked.append((now, ended))
        return (Unanswered() if died is None else REFUSED), ended


def live(engine: SimulatedEngine, seconds: float) -> list[tuple[float, bool]]:
    """(time, ready) after each observation of a life of `seconds`."""
    state, action, now, seen = State(), FIRST, 0.0, []
    while now < seconds:
        observation, now = engine.answer(action.kind, now + action.after_seconds)
        state, action = step(state, observation, now, SETTINGS)
        seen.append((now, state.ready))
    return seen


def ready_at(life: list[tuple[float, bool]], moment: float) -> bool:
    return [ready for when, ready in life if when <= moment][-1]


@pytest.mark.parametrize("stale_gauge", [0, 7])
@pytest.mark.parametrize("load", [0, 7])
def test_a_wedge_is_noticed_and_its_end_too_whatever_the_gauges_say(load: int, stale_gauge: int) -> None:
    def mode(t: float) -> str:
        return "wedged" if 100 <= t < 300 else "alive"

    life = live(SimulatedEngine(mode, lambda t: load, stale_gauge), 400)
    idle_seconds = 0 if load and stale_gauge else SETTINGS.idle_interval_seconds
    bound_seconds = SETTINGS.interval_seconds + SETTINGS.wedge_seconds + idle_seconds
    assert ready_at(life, 99.9)
    assert not any(ready for when, ready in life if 100 + bound_seconds + 0.1 <= when < 300)
    assert ready_at(life, 300 + 2 * SETTINGS.interval_seconds + 0.1)
    assert all(ready for when, ready in life if when > 311)


def test_a_saturated_engine_stays_ready_for_ever() -> None:
    life = live(SimulatedEngine(lambda t: "alive", lambda t: 10_000), 1000)
    assert all(ready for _, ready in life)


def test_an_idle_engine_is_asked_some_times_a_minute_and_a_busy_one_never() -> None:
    idle, busy = SimulatedEngine(lambda t: "alive", lambda t: 0), SimulatedEngine(lambda t: "alive", lambda t: 1)
    live(idle, 600)
    live(busy, 600)
    assert 45 <= len(idle.asked) <= 60
    assert len(busy.asked) == 1


def test_a_restart_is_noticed_within_one_interval() -> None:
    life = live(SimulatedEngine(lambda t: "down" if t < 20 or 100 <= t < 130 else "alive", lambda t: 3), 200)
    assert not any(ready for when, ready in life if when < 20)
    assert ready_at(life, 99.9)
    assert not any(ready for when, ready in life if 105.1 <= when < 130)
    assert ready_at(life, 131.2)


T = TypeVar("T")
MODES = st.lists(st.tuples(st.sampled_from(["alive", "wedged", "down"]), st.integers(1, 80)), min_size=1, max_size=8)
LOADS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 80)), min_size=1, max_size=8)


def timeline(pieces: list[tuple[T, int]]) -> Callable[[float], T]:
    def at(t: float) -> T:
        for value, seconds in pieces:
            if t < seconds:
                return value
            t -= seconds
        return pieces[-1][0]

    return at


@given(modes=MODES, loads=LOADS, stale_gauge=st.integers(0, 2))
def test_in_any_life_it_is_never_ready_long_without_a_token_nor_asked_twice_at_once(
    modes: list[tuple[str, int]], loads: list[tuple[int, int]], stale_gauge: int
) -> None:
    engine = SimulatedEngine(timeline(modes), timeline(loads), stale_gauge)
    bound_seconds = SETTINGS.idle_interval_seconds + SETTINGS.wedge_seconds + SETTINGS.interval_seconds + 1
    state, action, now = State(), FIRST, 0.0
    while now < 300:
        observation, now = engine.answer(action.kind, now + action.after_seconds)
        state, action = step(state, observation, now, SETTINGS)
        if state.ready:
            assert engine.last_token_at is not None
            assert now - engine.last_token_at <= bound_seconds
        assert 0 <= action.after_seconds <= SETTINGS.idle_interval_seconds
    assert all(ended <= began for (_, ended), (began, _) in zip(engine.asked, engine.asked[1:], strict=False))


@given(modes=MODES, loads=LOADS, stale_gauge=st.integers(0, 2))
def test_in_any_life_no_engine_is_given_up_that_has_generated_within_wedge_seconds(
    modes: list[tuple[str, int]], loads: list[tuple[int, int]], stale_gauge: int
) -> None:
    engine = SimulatedEngine(timeline(modes), timeline(loads), stale_gauge)
    state, action, now = State(), FIRST, 0.0
    while now < 300 and action.kind != "stop":
        observation, now = engine.answer(action.kind, now + action.after_seconds)
        state, action = step(state, observation, now, SETTINGS)
        if wedged(state, now, SETTINGS):
            assert engine.last_token_at is not None
            assert now - engine.last_token_at >= SETTINGS.wedge_seconds


@pytest.mark.parametrize("stale_gauge", [0, 7])
@pytest.mark.parametrize("load", [0, 7])
def test_a_wedged_engine_is_given_up_in_time_and_its_end_is_told(load: int, stale_gauge: int) -> None:
    """The kubelet ends it nine seconds after the sidecar's word, and starts it again in one."""
    ended: list[float] = []

    def mode(t: float) -> str:
        if t < 100:
            return "alive"
        return "wedged" if not ended or t < ended[0] + 9 else "down" if t < ended[0] + 10 else "alive"

    engine = SimulatedEngine(mode, lambda t: load, stale_gauge)
    state, action, now = State(), FIRST, 0.0
    while now < 300 and action.kind != "stop":
        observation, now = engine.answer(action.kind, now + action.after_seconds)
        state, action = step(state, observation, now, SETTINGS)
        if wedged(state, now, SETTINGS) and not ended:
            ended.append(now)
    idle_seconds = 0 if load and stale_gauge else SETTINGS.idle_interval_seconds
    assert 110 <= ended[0] <= 100 + SETTINGS.interval_seconds + SETTINGS.wedge_seconds + idle_seconds + 0.1
    assert now <= ended[0] + 20
    assert state.verdict.startswith("no token for ")
