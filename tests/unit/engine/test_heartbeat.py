"""Readiness and liveness by generated tokens: each transition by itself. test_lives.py has whole lives."""

from dataclasses import replace

import pytest

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
    wedged,
)

SETTINGS = Settings(interval_seconds=5.0, idle_interval_seconds=30.0, wedge_seconds=30.0)
REFUSED = Unreachable("Connection refused")


def after(*observations: tuple[float, Observation], state: State | None = None) -> tuple[State, Action]:
    """State and action after what was seen, each with its time."""
    state, action = state or State(), FIRST
    for now, observation in observations:
        state, action = step(state, observation, now, SETTINGS)
    return state, action


READY = ((0.0, Token()), (5.0, Reading(tokens=10, requests=0)))
SILENT = (*READY, (10.0, Reading(tokens=10, requests=2)), (40.0, Reading(tokens=10, requests=2)))


def test_a_fresh_engine_is_asked_at_once_and_is_not_ready() -> None:
    assert Action("probe", 0.0) == FIRST
    assert not State().ready
    assert explain(State(), 0.0) == ("starting", "the engine has not been asked yet")


@pytest.mark.parametrize(
    ("observation", "message"),
    [
        (REFUSED, "the engine is starting: Connection refused"),
        (Refused("the engine answers 503: loading"), "warming: the engine answers 503: loading"),
        (Unreadable("404"), "warming: 404"),
    ],
    ids=["refused connection", "error", "no counters"],
)
def test_while_starting_it_is_asked_every_second_and_says_why(observation: Observation, message: str) -> None:
    state, action = after((3.0, observation))
    assert not state.ready
    assert action == Action("probe", 1.0)
    assert explain(state, 3.0) == ("starting", message)


def test_a_first_token_that_is_late_is_found_in_the_counters() -> None:
    """An engine that needs longer than a time-out for each token, or that restarted into a full queue, is alive."""
    state, action = after((5.0, Unanswered()))
    assert action == Action("look", 0.0)
    assert explain(state, 5.0) == ("starting", "warming: no token within 5 s")
    state, action = step(state, Reading(tokens=0, requests=1), 5.1, SETTINGS)
    assert (state.ready, action) == (False, Action("probe", 1.0))
    state, _ = after((11.0, Unanswered()), (11.1, Reading(tokens=0, requests=1)), state=state)
    assert not state.ready
    state, action = step(state, Reading(tokens=1, requests=1), 17.0, SETTINGS)
    assert (state.ready, action) == (True, Action("look", 5.0))


def test_counters_of_before_the_start_are_no_token() -> None:
    assert not after((5.0, Unanswered()), (5.1, Reading(tokens=50, requests=0)))[0].ready
    assert not after((5.0, Unanswered()), (5.1, Reading(tokens=50, requests=0)), (6.0, Reading(tokens=1, requests=0)))[
        0
    ].ready


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
    for now in (15.0, 20.0, 24.9):
        state, action = step(state, Reading(tokens=20, requests=3), now, SETTINGS)
        assert (state.ready, action) == (True, Action("look", 5.0))
    state, _ = step(state, Reading(tokens=20, requests=3), 39.9, SETTINGS)
    assert state.ready
    assert wedged(state, 39.9, SETTINGS) == ""
    state, action = step(state, Reading(tokens=20, requests=3), 40.0, SETTINGS)
    assert not state.ready
    assert explain(state, 45.0) == ("silent", "no token for 35 s: 3 requests are in the engine")
    assert wedged(state, 45.0, SETTINGS) == "no token for 35 s: 3 requests are in the engine"


def test_silence_counts_from_the_look_that_saw_the_last_token_so_that_it_is_never_shorter_than_promised() -> None:
    """The last token came some time between the looks at 5 and 10: before 40, it may be less than 30 seconds ago."""
    state, _ = after(*READY, (10.0, Reading(tokens=20, requests=3)))
    assert state.quiet_since == 10.0


def test_what_came_into_an_idle_engine_is_owed_from_the_look_that_saw_it() -> None:
    idle = Reading(tokens=10, requests=0)
    state, action = after(*READY, (25.0, idle), (29.0, Reading(tokens=10, requests=1)))
    assert (state.quiet_since, action) == (29.0, Action("look", 5.0))


def test_a_prompt_that_fills_the_kv_cache_is_progress() -> None:
    """vLLM counts a prompt with its first token; until then only the cache shows its chunks."""
    state, _ = after(*READY, (10.0, Reading(tokens=20, requests=1, kv_usage=0.1)))
    for chunk in range(1, 9):
        seen = Reading(tokens=20, requests=1, kv_usage=0.1 + chunk / 100)
        state, action = step(state, seen, 10.0 + 25 * chunk, SETTINGS)
        assert (state.ready, action) == (True, Action("look", 5.0))
    assert explain(state, 210.0) == ("ready", "a prompt is computed")
    assert state.last_token_at == 10.0
    full, _ = step(state, Reading(tokens=20, requests=1, kv_usage=0.18), 240.0, SETTINGS)
    assert wedged(full, 240.0, SETTINGS)


@pytest.mark.parametrize("kv_usage", [0.1, 0.05], ids=["as it was", "less"])
def test_a_cache_that_does_not_fill_is_no_progress(kv_usage: float) -> None:
    state, _ = after(*READY, (10.0, Reading(tokens=20, requests=1, kv_usage=0.1)))
    state, _ = step(state, Reading(tokens=20, requests=1, kv_usage=kv_usage), 40.0, SETTINGS)
    assert not state.ready


def test_a_cache_that_fills_makes_no_engine_ready_that_has_not_generated() -> None:
    first = Reading(tokens=0, requests=1, kv_usage=0.1)
    state, _ = after((5.0, Unanswered()), (5.1, first), (10.0, replace(first, kv_usage=0.2)))
    assert not state.started


def test_a_look_falls_on_the_moment_when_patience_ends() -> None:
    busy = Reading(tokens=20, requests=1)
    _, action = after(*READY, (7.0, busy), (34.0, busy))
    assert action == Action("look", 3.0)


def test_an_engine_that_seems_busy_is_asked_half_way_to_being_given_up() -> None:
    """A gauge left over from aborted requests must not cost an idle engine its readiness, or its life."""
    busy = Reading(tokens=10, requests=1)
    state, action = after(*READY, (10.0, busy), (24.9, busy))
    assert action == Action("look", 5.0)
    state, action = step(state, busy, 25.0, SETTINGS)
    assert action == Action("probe", 0.0)
    state, _ = step(state, Token(), 25.1, SETTINGS)
    assert (state.ready, state.quiet_since) == (True, 25.1)


def test_a_silent_engine_is_ready_again_with_the_next_counted_token() -> None:
    silent, action = after(*SILENT)
    assert (silent.phase, silent.started, action) == ("silent", False, Action("probe", 0.2))
    for seen in (Reading(tokens=11, requests=2), Token()):
        state, _ = step(silent, seen, 45.0, SETTINGS)
        assert state.ready
        assert wedged(state, 45.0, SETTINGS) == ""


def test_gauges_that_fall_to_zero_do_not_make_a_silent_engine_ready() -> None:
    silent, _ = after(*SILENT)
    state, action = step(silent, Reading(tokens=10, requests=0), 45.0, SETTINGS)
    assert not state.ready
    assert action == Action("probe", 0.2)


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
    """vLLM's gauges read 0 throughout a wedge that began while it was idle. It is asked until it is given up."""
    idle = Reading(tokens=10, requests=0)
    state, action = after(*READY, (30.0, idle), (35.0, Unanswered()), (35.1, idle))
    assert (state.ready, action) == (True, Action("probe", 0.0))
    state, _ = after(*((now, Unanswered()) for now in (40.0, 45.0, 50.0, 55.0)), state=state)
    assert state.ready
    state, action = step(state, Unanswered(), 60.0, SETTINGS)
    assert explain(state, 60.0) == ("silent", "no token for 30 s: it leaves a request unanswered")
    assert action == Action("look", 0.0)


def test_metrics_that_hang_are_silence_too() -> None:
    state, _ = after(*READY, (15.0, Unanswered()), (20.0, Unanswered()), (39.0, Unanswered()))
    assert state.ready
    state, _ = step(state, Unanswered(), 40.0, SETTINGS)
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
    assert action == Action("probe", 1.0)
    said = "the engine has gone and is to start again: its counters began anew"
    assert explain(state, 10.0) == ("starting", said)


@pytest.mark.parametrize("seen", [REFUSED, Reading(tokens=0, requests=0)], ids=["gone", "began anew"])
def test_the_end_of_a_silent_engine_ends_the_watch_with_the_verdict(seen: Observation) -> None:
    state, action = after(*SILENT, (48.0, seen))
    assert action == Action("stop", 0.0)
    assert state.verdict == "no token for 38 s: 2 requests are in the engine"
    assert not state.ready


def test_a_silent_engine_that_refuses_while_it_is_being_ended_stays_silent() -> None:
    """vLLM answers what comes during its drain without a token; the engine after it may refuse while it loads."""
    state, action = after(*SILENT, (42.0, Refused("the engine completed the prompt without a token")))
    assert wedged(state, 42.0, SETTINGS) == "no token for 32 s: 2 requests are in the engine"
    assert action == Action("look", 0.2)
    assert after((43.0, REFUSED), state=state)[0].verdict.startswith("no token for 33 s")
    assert after((43.0, Reading(tokens=0, requests=0)), state=state)[0].verdict.startswith("no token for 33 s")


def test_an_engine_that_ends_otherwise_is_no_wedge() -> None:
    for observation in (REFUSED, Reading(tokens=0, requests=0)):
        state, action = after(*READY, (10.0, observation))
        assert (state.verdict, action.kind) == ("", "probe")
    failing, _ = after(*READY, (30.0, Refused("the engine answers 500")), (90.0, Refused("the engine answers 500")))
    assert wedged(failing, 90.0, SETTINGS) == ""


def test_an_engine_that_answers_and_never_generates_has_its_time_to_start_and_no_more() -> None:
    """A sidecar that was itself restarted beside a wedged engine knows no more than this."""
    state, _ = after((0.0, REFUSED), (100.0, Unanswered()), (1899.0, Refused("the engine answers 503: loading")))
    assert wedged(state, 1899.0, SETTINGS) == ""
    said = "no first token in 1800 s: warming: the engine answers 503: loading"
    assert wedged(state, 1900.0, SETTINGS) == said
    assert step(state, REFUSED, 1900.0, SETTINGS)[0].verdict == said


def test_time_to_start_begins_anew_with_the_engine() -> None:
    state, _ = after((100.0, Unanswered()), (1000.0, REFUSED), (1100.0, Unanswered()), (2000.0, Unanswered()))
    assert wedged(state, 2000.0, SETTINGS) == ""


def test_a_draining_pod_is_not_restarted() -> None:
    assert wedged(drain(after(*SILENT)[0]), 100.0, SETTINGS) == ""


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
