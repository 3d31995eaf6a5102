"""Leader election: the decision table, and what two candidates with clocks of their own can do to each other."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from slipway.kube.client import KubeClient
from slipway.kube.errors import ApiError
from slipway.kube.lease import Elector, Seen, Step, decide, written
from slipway.settings import LeaseSettings
from slipway.telemetry.metrics import Metrics

from .fakeapi import FakeApi

PATH = "/apis/coordination.k8s.io/v1/namespaces/ns/leases/slipway"
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)


def settings(identity: str = "one") -> LeaseSettings:
    return LeaseSettings("ns", "slipway", identity, duration_seconds=15, renew_deadline_seconds=10, retry_seconds=2)


def lease(holder: str | None, duration: int = 15, version: str = "1", **spec: object) -> dict[str, object]:
    body = {"holderIdentity": holder, "leaseDurationSeconds": duration, **spec}
    return {"metadata": {"name": "slipway", "namespace": "ns", "resourceVersion": version}, "spec": body}


@pytest.mark.parametrize(
    ("seen", "now", "step"),
    [
        (None, 0.0, Step.CREATE),
        (Seen(lease("one"), 0.0), 1.0, Step.RENEW),
        (Seen(lease("one"), 0.0), 1000.0, Step.RENEW),
        (Seen(lease("two"), 100.0), 100.0, Step.WAIT),
        (Seen(lease("two"), 100.0), 114.9, Step.WAIT),
        (Seen(lease("two"), 100.0), 115.0, Step.TAKE),
        (Seen(lease("", duration=1), 100.0), 100.0, Step.TAKE),  # given up by its holder
        (Seen(lease(None, duration=1), 100.0), 100.0, Step.TAKE),
        (Seen(lease(""), 100.0), 114.9, Step.WAIT),  # cleared by a user: its holder may not know yet
        (Seen(lease(""), 100.0), 115.0, Step.TAKE),
        (Seen({"metadata": {}, "spec": {}}, 100.0), 114.9, Step.WAIT),
        (Seen(lease("two"), 100.0, gone=True), 114.9, Step.WAIT),  # deleted: likewise
        (Seen(lease("two"), 100.0, gone=True), 115.0, Step.CREATE),
        (Seen(lease("", duration=1), 100.0, gone=True), 114.9, Step.WAIT),  # somebody may have had it in between
        (Seen(lease("one"), 100.0, gone=True), 114.9, Step.WAIT),  # likewise: our own time is over
        (Seen(lease("two", duration=60), 100.0), 130.0, Step.WAIT),  # the holder's duration counts, not ours
        (Seen(lease("two", duration=60), 100.0, gone=True), 130.0, Step.WAIT),
        (Seen(lease("two", renewTime="1999-01-01T00:00:00Z"), 100.0), 101.0, Step.WAIT),  # its clock says nothing
        (Seen(lease("two", renewTime="2999-01-01T00:00:00Z"), 100.0), 116.0, Step.TAKE),
    ],
)
def test_the_decision_table(seen: Seen | None, now: float, step: Step) -> None:
    assert decide(seen, identity="one", duration_seconds=15, leading=False, now=now) is step


@pytest.mark.parametrize(
    ("seen", "step"),
    [
        (Seen(lease("one"), 100.0), Step.RENEW),
        (Seen(lease("two"), 100.0), Step.WAIT),
        (Seen(lease(""), 100.0), Step.TAKE),
        (Seen(lease("one"), 100.0, gone=True), Step.CREATE),
    ],
)
def test_what_is_nobodys_is_the_leaders_at_once(seen: Seen, step: Step) -> None:
    assert decide(seen, identity="one", duration_seconds=15, leading=True, now=101.0) is step


@pytest.mark.parametrize(
    ("before", "holder", "transitions", "acquired"),
    [
        (None, "one", 0, "now"),
        (lease("one", leaseTransitions=3, acquireTime="then"), "one", 3, "then"),
        (lease("two", leaseTransitions=3, acquireTime="then"), "one", 4, "now"),
        (lease("one", leaseTransitions=3, acquireTime="then"), "", 3, "now"),
    ],
)
def test_what_is_written(before: dict[str, object] | None, holder: str, transitions: int, acquired: str) -> None:
    spec = written(before, settings=settings(), now=NOW, holder=holder, duration_seconds=15)["spec"]
    stamp = "2026-01-02T03:04:05.678901Z"
    assert spec == {
        "holderIdentity": holder,
        "leaseDurationSeconds": 15,
        "acquireTime": stamp if acquired == "now" else "then",
        "renewTime": stamp,
        "leaseTransitions": transitions,
    }


class Candidate:
    """An Elector with a clock of its own, stepped by hand."""

    def __init__(self, client: KubeClient, identity: str, *, clock: float = 0.0) -> None:
        self.now = clock
        self.metrics = Metrics()
        self.elector = Elector(client, settings(identity), self.metrics, clock=lambda: self.now, chance=lambda: 0.0)
        self.log: list[str] = []

    async def step(self, seconds: float = 0.0) -> bool:
        """Let time pass, attempt once, and tell whether writes may begin."""
        self.now += seconds
        try:
            await self.elector._attempt()
        except ApiError:
            self.log.append("error")
        self.elector._hand_over(lambda: self.log.append("gain"), lambda: self.log.append("loss"))
        return self.elector.may_write()


@pytest.fixture
def one(client: KubeClient) -> Candidate:
    return Candidate(client, "one")


@pytest.fixture
def two(client: KubeClient) -> Candidate:
    return Candidate(client, "two", clock=50_000.0)  # another machine, another epoch


async def test_the_first_leads_and_the_second_waits(one: Candidate, two: Candidate, fake: FakeApi) -> None:
    assert await one.step()
    assert not await two.step()
    for _ in range(20):
        assert await one.step(2.0)
        assert not await two.step(2.0)
    assert (one.log, two.log) == (["gain"], [])
    assert fake.objects[PATH]["spec"]["leaseTransitions"] == 0


async def test_a_leader_that_stands_still_is_followed_after_the_duration(
    one: Candidate, two: Candidate, fake: FakeApi
) -> None:
    await one.step()
    await two.step()
    assert not await two.step(14.9)
    assert await two.step(0.2)
    assert fake.objects[PATH]["spec"]["leaseTransitions"] == 1


async def test_a_leader_has_stopped_writing_before_another_may_begin(one: Candidate, two: Candidate) -> None:
    """`one` hangs (a paused process); by its own clock it is out 10 s later, and nobody may take over before 15 s."""
    await one.step()
    await two.step()
    one.now += 9.9
    assert one.elector.may_write()
    one.now += 0.2
    assert not one.elector.may_write()
    assert one.elector.remaining() == 0.0
    assert not await two.step(10.1)


async def test_the_expiry_counts_from_before_the_request(one: Candidate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A renewal that takes 6 s leaves 4 s, not 10."""
    await one.step()
    one.now += 2.0
    monkeypatch.setattr(one.elector._client, "replace", _slowed(one, one.elector._client.replace))
    await one.step()
    assert one.elector.remaining() == pytest.approx(4.0)


def _slowed(candidate: Candidate, replace: object) -> object:
    async def slow(*args: object, **more: object) -> object:
        candidate.now += 6.0
        return await replace(*args, **more)  # type: ignore[operator]

    return slow


async def test_a_renewal_that_fails_keeps_the_lease_only_until_its_expiry(one: Candidate, fake: FakeApi) -> None:
    await one.step()
    fake.fail("PUT .*leases", 500, times=99)
    assert await one.step(2.0)
    assert await one.step(7.0)
    assert not await one.step(1.5)
    assert one.log == ["gain", "error", "error", "error", "loss"]


async def test_a_renewal_that_landed_but_was_not_answered_is_picked_up(one: Candidate, fake: FakeApi) -> None:
    """The version has moved on by our own doing: read again, and go on."""
    await one.step()
    fake.fail("PUT .*leases", 504, after=True)
    assert await one.step(2.0)
    assert await one.step(2.0)
    assert await one.step(2.0)
    assert one.elector.remaining() == 10.0
    assert one.log == ["gain", "error"]


async def test_of_two_that_take_at_once_one_wins(one: Candidate, two: Candidate, fake: FakeApi) -> None:
    fake.put(PATH, lease("gone"))
    await one.step()
    await two.step()
    one.now += 15.0
    two.now += 15.0
    await one.elector._read()
    await two.elector._read()  # both have seen the same version, both decide to take
    await asyncio.gather(one.elector._claim(), two.elector._claim(), return_exceptions=True)
    assert [one.elector.may_write(), two.elector.may_write()].count(True) == 1


async def test_a_lost_lease_is_noticed_at_the_next_renewal(one: Candidate, fake: FakeApi) -> None:
    await one.step()
    fake.put(PATH, lease("two"))
    assert not await one.step(2.0)
    assert one.log == ["gain", "loss"]


def deleted(fake: FakeApi) -> None:
    del fake.objects[PATH]


def cleared(fake: FakeApi) -> None:
    """As by `kubectl patch`: all else is as the leader wrote it."""
    before = fake.objects[PATH]
    fake.put(PATH, {**before, "spec": {**before["spec"], "holderIdentity": ""}})


@pytest.mark.parametrize("meddle", [deleted, cleared])
async def test_a_lease_that_a_user_takes_away_stays_the_leaders(
    one: Candidate, two: Candidate, fake: FakeApi, meddle: Callable[[FakeApi], None]
) -> None:
    await one.step()
    assert not await two.step()
    meddle(fake)
    assert not await two.step(1.0), "the leader does not know of it yet"
    assert await one.step(2.0)
    assert fake.objects[PATH]["spec"]["holderIdentity"] == "one"
    assert not await two.step(1.0)
    assert (one.log, two.log) == (["gain"], [])


@pytest.mark.parametrize("meddle", [deleted, cleared])
async def test_a_lease_that_a_user_takes_away_from_a_dead_leader_goes_on_after_the_duration(
    one: Candidate, two: Candidate, fake: FakeApi, meddle: Callable[[FakeApi], None]
) -> None:
    await one.step()
    await two.step()
    meddle(fake)
    assert not await two.step(2.0)
    assert not await two.step(14.9)
    assert await two.step(0.2)
    assert fake.objects[PATH]["spec"]["holderIdentity"] == "two"


async def test_a_former_leader_waits_for_a_lease_that_was_deleted(
    one: Candidate, two: Candidate, fake: FakeApi
) -> None:
    """It was cut off, and does not know who has led since."""
    await one.step()
    await two.step()
    assert await two.step(15.1)
    deleted(fake)
    assert not await one.step(16.0)
    assert await two.step(2.0), "made again"
    assert not await one.step(1.0)


async def test_releasing_lets_the_standby_in_at_once(one: Candidate, two: Candidate, fake: FakeApi) -> None:
    await one.step()
    await two.step()
    await one.elector.release()
    assert not one.elector.may_write()
    assert fake.objects[PATH]["spec"]["holderIdentity"] == ""
    assert await two.step(2.0)


async def test_a_standby_releases_nothing(one: Candidate, two: Candidate, fake: FakeApi) -> None:
    await one.step()
    await two.step()
    await two.elector.release()
    assert fake.objects[PATH]["spec"]["holderIdentity"] == "one"


async def test_a_release_that_fails_is_no_error(one: Candidate, fake: FakeApi) -> None:
    await one.step()
    fake.fail("PUT .*leases", 500)
    await one.elector.release()
    assert not one.elector.may_write()


async def test_a_renewal_that_the_end_cut_short_loses_no_release(one: Candidate, two: Candidate, fake: FakeApi) -> None:
    """It landed, and nobody heard of it: the version that was known is not the Lease's any more."""
    await one.step()
    await two.step()
    fake.fail("PUT .*leases", 504, after=True)
    await one.step(2.0)
    await one.elector.release()
    assert fake.objects[PATH]["spec"]["holderIdentity"] == ""
    assert await two.step(2.0)


async def test_a_renewal_that_lands_while_the_lease_is_released_does_not_keep_it(
    one: Candidate, fake: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    await one.step()
    replace = one.elector._client.replace
    landed: list[object] = []

    async def overtaken(*args: Any, **more: Any) -> object:
        if len(landed) < 3:
            landed.append(fake.put(PATH, lease("one")))
        return await replace(*args, **more)

    monkeypatch.setattr(one.elector._client, "replace", overtaken)
    await one.elector.release()
    assert len(landed) == 3
    assert fake.objects[PATH]["spec"]["holderIdentity"] == ""


async def test_a_lease_that_another_has_by_now_is_not_released(one: Candidate, fake: FakeApi) -> None:
    await one.step()
    fake.put(PATH, lease("two"))
    await one.elector.release()
    assert not one.elector.may_write()
    assert fake.objects[PATH]["spec"]["holderIdentity"] == "two"


async def test_run_hands_over_and_counts(client: KubeClient) -> None:
    metrics, gained = Metrics(), asyncio.Event()
    elector = Elector(client, settings(), metrics)
    task = asyncio.create_task(elector.run(on_gain=gained.set, on_loss=lambda: None))
    await asyncio.wait_for(gained.wait(), 5.0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    text = metrics.exposition().decode()
    assert 'leader_election_master_status{name="slipway"} 1.0' in text
    assert 'slipway_lease_transitions_total{to="leader"} 1.0' in text


async def test_a_lease_that_lapsed_in_a_pause_is_lost_even_if_it_comes_back(client: KubeClient) -> None:
    """Visits have ended without their writes meanwhile: only another gain makes up for them."""
    now, log, twice = [0.0], [], asyncio.Event()

    def gain() -> None:
        log.append("gain")
        twice.set() if len(log) > 1 else now.__setitem__(0, 11.0)  # the process stands still for longer than the lease

    elector = Elector(client, settings(), Metrics(), clock=lambda: now[0], chance=lambda: 0.0)
    elector._pause = lambda: 0.0  # type: ignore[method-assign]
    task = asyncio.create_task(elector.run(on_gain=gain, on_loss=lambda: log.append("loss")))
    await asyncio.wait_for(twice.wait(), 5.0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert log == ["gain", "loss", "gain"]


async def test_a_leader_comes_back_before_its_expiry_and_candidates_apart(client: KubeClient) -> None:
    one = Candidate(client, "one")
    assert one.elector._pause() == 2.0
    await one.step()
    one.now += 9.5
    assert one.elector._pause() == pytest.approx(0.5)
    spread = Elector(client, settings("x"), Metrics(), chance=lambda: 1.0)
    assert spread._pause() == pytest.approx(2.4)
