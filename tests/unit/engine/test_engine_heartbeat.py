"""Readiness by generated tokens: each transition by itself, then whole lives of a simulated engine in virtual time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway_engine.heartbeat import (
    FIRST,
    Action,
    Observation,
    Reading,
    Refused,
    Settings,
    State,
    Token,
    Unanswered,
    Unreachable,
    Unreadable,
    drain,
    explain,
    step,
)

SETTINGS = Settings()
REFUSED = Unreachable("Connection refused")


def after(*observations: tuple[float, Observation], state: State | None = None) -> tuple[State, Action]:
    """State and action after what was seen, each with its time."""
    state, action = state or State(), FIRST
    for now, observation in observations:
        state, action = step(state, observation, now, SETTINGS)
    return state, action


READY = ((0.0, Token()), (5.0, Reading(tokens=10, requests=0)))


def test_a_fresh_engine_is_asked_at_once_and_is_not_ready() -> None:
    assert Action("probe", 0.0) == FIRST
    assert not State().ready
    assert explain(State(), 0.0) == ("starting", "the engine has not been asked yet")


@pytest.mark.parametrize(
    ("observation", "message"),
    [
        (REFUSED, "the engine is starting: Connection refused"),
        (Refused("the engine answers 503: loading"), "warming: the engine answers 503: loading"),
        (Unanswered(), "warming: no token within 5 s"),
    ],
    ids=["refused connection", "error", "silence"],
)
def test_while_starting_it_is_asked_every_second_and_says_why(observation: Observation, message: str) -> None:
    state, action = after((3.0, observation))
    assert not state.ready
    assert action == Action("probe", 1.0)
    assert explain(state, 3.0) == ("starting", message)


def test_an_answer_that_is_no_token_does_not_make_it_ready() -> None:
    assert not after((0.0, Refused("404")), (1.0, Refused("500")))[0].ready


def test_the_first_token_makes_it_ready_and_from_then_on_counters_are_looked_at() -> None:
    state, action = after((0.0, REFUSED), (1.0, Unanswered()), (2.0, Token()))
    assert state.ready
    assert state.last_token_at == 2.0
    assert action == Action("look", 5.0)


def test_moving_counters_are_life_without_a_probe_however_long_the_queue() -> None:
    state, action = after(*READY, (10.0, Reading(tokens=11, requests=5000)))
    assert state.ready
    assert state.last_token_at == 10.0
    assert action == Action("look", 5.0)


def test_an_idle_engine_is_asked_only_after_the_idle_interval() -> None:
    looks = [(5.0 + 5 * k, Reading(tokens=10, requests=0)) for k in range(1, 5)]
    state, action = after(*READY, *looks)
    assert state.ready
    assert action == Action("look", 5.0)
    state, action = step(state, Reading(tokens=10, requests=0), 29.0, SETTINGS)
    assert action == Action("look", 1.0)
    state, action = step(state, Reading(tokens=10, requests=0), 30.0, SETTINGS)
    assert (state.ready, action) == (True, Action("probe", 0.0))


def test_requests_without_tokens_are_borne_for_wedge_seconds_and_no_longer() -> None:
    state, action = after(*READY, (10.0, Reading(tokens=20, requests=3)))
    for now in (15.0, 20.0, 25.0, 30.0):
        state, action = step(state, Reading(tokens=20, requests=3), now, SETTINGS)
        assert state.ready
    assert action == Action("look", 5.0)
    state, _ = step(state, Reading(tokens=20, requests=3), 35.0, SETTINGS)
    assert not state.ready
    assert explain(state, 40.0) == ("silent", "no token for 35 s: 3 requests are in the engine")


def test_silence_counts_from_the_look_before_the_last_token_so_that_the_promise_holds() -> None:
    """The last token came some time between the looks at 5 and 10: at 35, it may have been 30 seconds."""
    state, _ = after(*READY, (10.0, Reading(tokens=20, requests=3)))
    assert state.quiet_since == 5.0


def test_a_look_falls_on_the_moment_when_patience_ends() -> None:
    _, action = after(*READY, (7.0, Reading(tokens=20, requests=1)), (32.0, Reading(tokens=20, requests=1)))
    assert action == Action("look", 3.0)


def test_an_engine_that_seems_busy_is_asked_before_it_is_given_up() -> None:
    """A gauge left over from aborted requests must not cost an idle engine its readiness."""
    state, action = after(*READY, (10.0, Reading(tokens=10, requests=0)), (26.0, Reading(tokens=10, requests=1)))
    assert action == Action("probe", 5.0)
    state, _ = step(state, Token(), 32.0, SETTINGS)
    assert state.ready
    assert state.quiet_since == 32.0


def test_a_silent_engine_is_ready_again_with_the_next_counted_token() -> None:
    silent, action = after(*READY, (40.0, Reading(tokens=10, requests=2)))
    assert (silent.phase, action) == ("silent", Action("probe", 5.0))
    state, _ = step(silent, Reading(tokens=11, requests=2), 45.0, SETTINGS)
    assert state.ready
    assert step(silent, Token(), 45.0, SETTINGS)[0].ready


def test_gauges_that_fall_to_zero_do_not_make_a_silent_engine_ready() -> None:
    silent, _ = after(*READY, (40.0, Reading(tokens=10, requests=2)))
    state, action = step(silent, Reading(tokens=10, requests=0), 45.0, SETTINGS)
    assert not state.ready
    assert action == Action("probe", 5.0)


def test_requests_that_end_without_a_token_leave_nothing_owed() -> None:
    state, _ = after(*READY, (20.0, Reading(tokens=10, requests=1)), (25.0, Reading(tokens=10, requests=0)))
    state, _ = step(state, Reading(tokens=10, requests=1), 45.0, SETTINGS)
    assert state.ready


def test_an_unanswered_probe_is_judged_by_the_counters() -> None:
    """A saturated engine may be late with an answer and alive."""
    state, action = after(*READY, (30.0, Reading(tokens=10, requests=0)), (35.0, Unanswered()))
    assert (state.ready, action) == (True, Action("look", 0.0))
    state, action = step(state, Reading(tokens=500, requests=90), 35.1, SETTINGS)
    assert (state.ready, state.suspect, action) == (True, False, Action("look", 5.0))


def test_after_an_unanswered_probe_idle_gauges_are_not_believed() -> None:
    """vLLM's gauges read 0 throughout a wedge that began while it was idle."""
    idle = Reading(tokens=10, requests=0)
    state, action = after(*READY, (30.0, idle), (35.0, Unanswered()), (35.1, idle))
    assert (state.ready, action) == (True, Action("probe", 5.0))
    state, _ = after((45.0, Unanswered()), (45.1, idle), (55.0, Unanswered()), state=state)
    assert state.ready
    state, _ = step(state, idle, 60.0, SETTINGS)
    assert explain(state, 60.0) == ("silent", "no token for 30 s: it leaves a request unanswered")


def test_metrics_that_hang_are_silence_too() -> None:
    state, _ = after(*READY, (15.0, Unanswered()), (20.0, Unanswered()), (30.0, Unanswered()))
    assert state.ready
    state, _ = step(state, Unanswered(), 35.0, SETTINGS)
    assert not state.ready


def test_an_error_to_a_probe_is_believed_at_once_and_mended_by_a_token() -> None:
    state, action = after(*READY, (30.0, Refused("the engine answers 500: EngineDeadError")))
    assert not state.ready
    assert action == Action("probe", 5.0)
    assert explain(state, 31.0) == ("failing", "the engine answers 500: EngineDeadError")
    state, _ = step(state, Reading(tokens=10, requests=0), 32.0, SETTINGS)
    assert not state.ready
    assert step(state, Token(), 35.0, SETTINGS)[0].ready


def test_without_readable_counters_only_tokens_count() -> None:
    state, action = after((0.0, Token()), (5.0, Unreadable("404")))
    assert (state.ready, action) == (True, Action("probe", 0.0))
    state, action = step(state, Token(), 5.1, SETTINGS)
    assert (state.ready, action) == (True, Action("look", 5.0))


@pytest.mark.parametrize(
    "last", [Token(), Reading(tokens=99, requests=1), Unanswered()], ids=lambda o: type(o).__name__
)
def test_a_refused_connection_ends_readiness_at_once_and_begins_anew(last: Observation) -> None:
    state, action = after(*READY, (10.0, last), (15.0, REFUSED))
    assert not state.ready
    assert action == Action("probe", 1.0)
    assert explain(state, 15.0) == ("starting", "the engine has gone and is to start again: Connection refused")
    assert not step(state, Reading(tokens=1000, requests=0), 16.0, SETTINGS)[0].ready
    assert step(state, Token(), 17.0, SETTINGS)[0].ready


def test_counters_that_fell_betray_a_restart_between_two_looks() -> None:
    state, action = after(*READY, (10.0, Reading(tokens=3, requests=0)))
    assert not state.ready
    assert action == Action("probe", 0.0)
    assert explain(state, 10.0) == ("starting", "the engine was restarted")


def test_counters_of_the_engine_before_a_restart_are_forgotten() -> None:
    state, _ = after(*READY, (10.0, REFUSED), (40.0, Token()), (45.0, Reading(tokens=1, requests=0)))
    assert state.ready


@pytest.mark.parametrize("seen", [Token(), Reading(tokens=99, requests=1), Unanswered(), Refused("x"), Unreadable("x")])
def test_a_draining_pod_is_never_ready_and_its_engine_is_not_asked(seen: Observation) -> None:
    state, action = after((12.0, seen), state=drain(after(*READY)[0]))
    assert not state.ready
    assert action == Action("look", 1.0)
    assert explain(state, 12.0) == ("draining", "the pod is stopping; requests in flight go on")


def test_a_draining_engine_that_has_gone_ends_the_watch() -> None:
    state, action = after((12.0, REFUSED), state=drain(after(*READY)[0]))
    assert action == Action("stop", 0.0)
    assert not state.ready


# Whole lives: a simulated engine answers in virtual time.


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
        self.asked.append((now, now + (5.0 if mode == "wedged" else 0.05)))
        if mode == "wedged":
            return Unanswered(), now + 5.0
        self.tokens += 1
        self.last_token_at = now
        return Token(), now + 0.05


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
    bound_seconds = SETTINGS.wedge_seconds + (0 if load and stale_gauge else SETTINGS.idle_interval_seconds)
    assert ready_at(life, 99.9)
    assert not any(ready for when, ready in life if 100 + bound_seconds + 0.1 <= when < 300)
    assert ready_at(life, 300 + 2 * SETTINGS.interval_seconds + 0.1)
    assert all(ready for when, ready in life if when > 311)


def test_a_saturated_engine_stays_ready_for_ever() -> None:
    life = live(SimulatedEngine(lambda t: "alive", lambda t: 10_000), 1000)
    assert all(ready for _, ready in life)


def test_an_idle_engine_is_asked_twice_a_minute_and_a_busy_one_never() -> None:
    idle, busy = SimulatedEngine(lambda t: "alive", lambda t: 0), SimulatedEngine(lambda t: "alive", lambda t: 1)
    live(idle, 600)
    live(busy, 600)
    assert 15 <= len(idle.asked) <= 20
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
