"""What the API server refused: how long each is left alone, and when it is forgotten."""

from slipway.kube.kinds import (
    SERVICE,
    ref,
)
from slipway.reconcile.refusals import Refusals

ONE, TWO = ref(SERVICE, "ns", "one"), ref(SERVICE, "ns", "two")


def test_the_pause_grows_to_a_minute() -> None:
    refusals, now, pauses = Refusals(), 0.0, []
    for _ in range(6):
        refusals.note(ONE, "intent", "no", now)
        pause = refusals.next_seconds(now)
        assert pause is not None
        assert refusals.holds(ONE, "intent", now + pause - 0.01)
        assert not refusals.holds(ONE, "intent", now + pause)
        pauses.append(pause)
        now += pause
    assert pauses == [5, 10, 20, 40, 60, 60]


def test_another_intent_is_another_refusal() -> None:
    refusals = Refusals()
    for _ in range(3):
        refusals.note(ONE, "old", "no", 0.0)
    assert not refusals.holds(ONE, "new", 0.0)
    refusals.note(ONE, "new", "no", 0.0)
    assert refusals.next_seconds(0.0) == 5.0


def test_what_is_no_longer_planned_is_forgotten() -> None:
    refusals = Refusals()
    refusals.note(ONE, "i", "first", 0.0)
    refusals.note(TWO, "i", "second", 3.0)
    assert refusals.messages() == {ONE: "first", TWO: "second"}
    assert refusals.next_seconds(4.0) == 1.0
    refusals.keep_only({TWO})
    assert refusals.messages() == {TWO: "second"}
    refusals.hurry()
    assert refusals.next_seconds(4.0) == 0.0
    assert refusals.messages() == {TWO: "second"}
    refusals.clear(TWO)
    assert refusals.next_seconds(4.0) is None
