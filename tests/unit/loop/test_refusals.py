"""What the API server refused: how long each is left alone, and when it is forgotten."""

from slipway.kube.kinds import PYTORCH_JOB, SCALED_OBJECT, SERVICE, ref
from slipway.plan.observed import NO_SUCH_KIND
from slipway.reconcile.patience import EARLY_SECONDS
from slipway.reconcile.refusals import Refusals

ONE, TWO = ref(SERVICE, "ns", "one"), ref(SERVICE, "ns", "two")


def pause(refusals: Refusals, now: float) -> float:
    """For how long the intent is held back from `now` on."""
    return next(n for n in range(100) if not refusals.holds(ONE, "intent", now + n))


def test_the_pause_grows_to_a_minute() -> None:
    refusals, now, pauses = Refusals(), 0.0, []
    for _ in range(6):
        refusals.note(ONE, "intent", "no", now)
        pauses.append(pause(refusals, now))
        now += pauses[-1]
    assert pauses == [5, 10, 20, 40, 60, 60]


def test_a_timer_that_comes_a_moment_early_is_no_reason_to_wait_once_more() -> None:
    refusals = Refusals()
    refusals.note(ONE, "intent", "no", 0.0)
    assert refusals.holds(ONE, "intent", 5.0 - 2 * EARLY_SECONDS)
    assert not refusals.holds(ONE, "intent", 5.0 - EARLY_SECONDS)


def test_another_intent_is_another_refusal() -> None:
    refusals = Refusals()
    for _ in range(3):
        refusals.note(ONE, "old", "no", 0.0)
    assert not refusals.holds(ONE, "new", 0.0)
    refusals.note(ONE, "intent", "no", 0.0)
    assert pause(refusals, 0.0) == 5


def test_what_is_no_longer_planned_is_forgotten() -> None:
    refusals = Refusals()
    assert not refusals
    refusals.note(ONE, "intent", "first", 0.0)
    refusals.note(TWO, "intent", "second", 3.0)
    assert refusals.messages() == {ONE: "first", TWO: "second"}
    refusals.keep_only({TWO})
    assert refusals.messages() == {TWO: "second"}
    assert refusals
    assert refusals.holds(TWO, "intent", 4.0)
    refusals.hurry()
    assert not refusals.holds(TWO, "intent", 4.0)
    assert refusals.messages() == {TWO: "second"}
    refusals.clear(TWO)
    assert not refusals


def test_a_kind_that_is_served_again_lets_what_was_refused_for_it_be_asked_again() -> None:
    scaler, gang = ref(SCALED_OBJECT, "ns", "scaler"), ref(PYTORCH_JOB, "ns", "gang")
    refusals = Refusals()
    refusals.note(scaler, "intent", NO_SUCH_KIND, 0.0)
    refusals.note(gang, "intent", "exceeded quota", 0.0)
    assert not refusals.arrived(SERVICE.full)
    assert not refusals.arrived(PYTORCH_JOB.full), "a quota refused it, not the kind"
    assert refusals.holds(scaler, "intent", 1.0)
    assert refusals.arrived(SCALED_OBJECT.full)
    assert not refusals.holds(scaler, "intent", 1.0)
    assert refusals.holds(gang, "intent", 1.0)
