"""How soon, and how often, what no watch tells of is looked at again."""

from dataclasses import replace

import pytest

from slipway.kube.kinds import TRAINING_JOB
from slipway.plan.observed import Owner
from slipway.plan.outcome import Plan
from slipway.reconcile import observe
from slipway.reconcile.keys import Key
from slipway.reconcile.patience import EARLY_SECONDS, LOOKS_PER_SECOND, Patience, said

from .build import JOB, job


def key(number: int, namespace: str = "ns") -> Key:
    return Key(TRAINING_JOB.kind, namespace, f"job-{number}")


def patient(chance: float = 0.0) -> Patience:
    return Patience(lambda: chance)


def pauses(patience: Patience, count: int, about: str = "no such claim") -> list[float]:
    """Of looks that each come when they are due and find everything as it was."""
    now, found = 0.0, []
    for _ in range(count):
        found.append(patience.next_seconds(JOB, about, now))
        now += found[-1]
    return found


@pytest.mark.parametrize(("chance", "factor"), [(0.0, 1.0), (1.0, 1.25)])
def test_the_pause_doubles_to_a_minute_and_is_jittered(chance: float, factor: float) -> None:
    assert pauses(patient(chance), 7) == [pause * factor for pause in (5, 10, 20, 40, 60, 60, 60)]


def test_a_visit_that_an_event_brought_leaves_the_next_look_where_it_was() -> None:
    patience = patient()
    assert patience.next_seconds(JOB, "a", 0.0) == 5.0
    assert patience.next_seconds(JOB, "a", 2.0) == 3.0
    assert patience.next_seconds(JOB, "a", 5.0 - EARLY_SECONDS) == 10.0, "a timer may come a moment early"


def test_what_says_something_else_begins_anew() -> None:
    patience = patient()
    pauses(patience, 4)
    assert patience.next_seconds(JOB, "the claim is read-only", 76.0) == 5.0


def test_what_has_waited_and_waits_again_begins_anew() -> None:
    patience = patient()
    pauses(patience, 4)
    patience.over(JOB)
    patience.over(JOB)
    assert len(patience) == 0
    assert pauses(patience, 2) == [5.0, 10.0]
    patience.clear()
    assert pauses(patience, 1) == [5.0]


def rested(patience: Patience, count: int, namespace: str, minutes: float) -> list[float]:
    """When each of `count` objects that wait is looked at within `minutes`, all refused at once."""
    due, looks = {key(n, namespace): 0.0 for n in range(count)}, []
    for one in due:
        due[one] = patience.next_seconds(one, "quota", 0.0)
    while (now := min(due.values())) < minutes * 60.0:
        one = next(one for one, when in due.items() if when == now)
        looks.append(now)
        due[one] = now + patience.next_seconds(one, "quota", now)
    return looks


def test_a_few_are_looked_at_once_a_minute_each() -> None:
    looks = rested(patient(0.5), 30, "ns", 20.0)
    late = [when for when in looks if when >= 600.0]
    assert 30 * 8 <= len(late) <= 30 * 10


def test_however_many_of_a_namespace_wait_so_many_are_looked_at_in_a_second() -> None:
    """Fifteen thousand jobs that one quota refuses; each is looked at in its turn, and another namespace's soon."""
    patience = patient(0.5)
    crowd = [key(n) for n in range(15_000)]
    for one in crowd:
        patience.next_seconds(one, "quota", 0.0)
    pause = [patience.next_seconds(one, "quota", 10_000.0) for one in crowd]
    assert sum(60.0 / each for each in pause) <= 60.0 * LOOKS_PER_SECOND
    assert max(pause) <= 1.25 * 15_000 / LOOKS_PER_SECOND
    assert patience.next_seconds(key(0, "other"), "quota", 0.0) < 10.0
    for one in crowd[10:]:
        patience.over(one)
    assert patience.next_seconds(crowd[0], "another", 20_000.0) < 10.0, "the crowd has gone"


def owner(generation: int = 1) -> Owner:
    return observe.owner(job(metadata={"generation": generation}))


def told(message: str, reason: str = "PodsRefused") -> Plan:
    return Plan(status={"conditions": [{"type": "Accepted", "status": "False", "reason": reason, "message": message}]})


def test_what_an_object_says_of_itself() -> None:
    quota = told("exceeded quota: small, used: pods=17, limited: pods=20")
    same = told("exceeded quota: small, used: pods=20, limited: pods=20")
    assert said(owner(), quota) == said(owner(), same), "every pod of the namespace changes the count"
    others = {said(owner(), quota), said(owner(2), quota), said(owner(), told("exceeded quota: large"))}
    others |= {said(owner(), told("exceeded quota: small", "Refused")), said(owner(), Plan(status={}))}
    assert len(others) == 5
    assert said(owner(), replace(quota, status={**quota.status, "progress": {"step": 3}})) == said(owner(), quota)
