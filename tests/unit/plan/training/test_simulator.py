"""The plan in a small cluster: crashes between any two effects, and any order of mishaps, never break its promises."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from .world import World

Mishap = Callable[[World], None]


def fails_and_is_suspended(world: World) -> None:
    world.end_pod("worker-0", 1)
    world.user_suspends(True)


MISHAPS: dict[str, list[Mishap]] = {
    "none": [],
    "a rank fails": [lambda world: world.end_pod("worker-0", 1)],
    "rank 0 fails three times": [lambda world: world.end_pod("master-0", 1)] * 3,
    "a pod is deleted": [lambda world: world.user_deletes_pod("worker-0")],
    "the gang is deleted": [lambda world: world.user_deletes_gang()],
    "it is suspended and goes on": [
        lambda world: world.user_suspends(True),
        lambda world: world.user_suspends(False),
    ],
    "a rank fails, and it is suspended, and goes on": [
        fails_and_is_suspended,
        lambda world: world.user_suspends(False),
    ],
    "the gang is deleted, then a rank fails": [
        lambda world: world.user_deletes_gang(),
        lambda world: world.end_pod("worker-0", 137),
    ],
}
CRASHES = [None, 0, 1, 2, 3]


def settle_crashing(world: World, crash_after: int | None) -> None:
    """As `World.settle`, but every visit is first cut short after so many effects."""
    for _ in range(30):
        if crash_after is not None:
            world.visit(crash_after)
            world.check()
        world.visit()
        world.backend()
        world.start_pods()
        world.collect()
        world.check()
        world.now += 20


@pytest.mark.parametrize("crash_after", CRASHES)
@pytest.mark.parametrize("mishaps", MISHAPS.values(), ids=MISHAPS.keys())
def test_a_crash_after_any_effect_changes_nothing(mishaps: list[Mishap], crash_after: int | None) -> None:
    world = World()
    for mishap in mishaps:
        settle_crashing(world, crash_after)
        mishap(world)
    settle_crashing(world, crash_after)
    world.end_pod("master-0", 0)
    world.settle()
    assert world.reason == "Complete"
    attempts = world.status["attempt"]
    assert sorted(set(world.created)) == [f"demo-{attempt}" for attempt in range(attempts + 1)]
    assert len(world.created) == attempts + 1 + world.user_deleted


@pytest.mark.parametrize("crash_after", CRASHES)
def test_the_budget_ends_a_job_that_always_fails(crash_after: int | None) -> None:
    world = World()
    for _ in range(6):
        settle_crashing(world, crash_after)
        world.end_pod("worker-0", 1)
    assert world.created == ["demo-0", "demo-1", "demo-2", "demo-3"]
    assert world.reason == "BackoffLimitExceeded"
    assert [pod.phase for pod in world.pods.values()] == ["Failed"]


def test_a_recipe_error_ends_the_job_at_once() -> None:
    world = World()
    world.settle()
    world.end_pod("master-0", 2)
    world.settle()
    assert (world.reason, world.created) == ("RecipeError", ["demo-0"])


def test_at_rest_nothing_is_written() -> None:
    world = World()
    world.settle()
    writes = world.writes
    for _ in range(5):
        assert world.visit().events == ()
        world.now += 3600
    assert world.writes == writes
    assert world.reason == "Running"


@pytest.mark.parametrize("crash_after", CRASHES)
def test_allocated_time_is_that_of_the_gangs_whatever_crashes(crash_after: int | None) -> None:
    """Three attempts of which each has its nodes for a thousand seconds, with an hour between two."""
    world = World()
    for exit_code in (1, 1, 0):
        settle_crashing(world, crash_after)
        began = next(pod.bound for pod in world.pods.values())
        assert began is not None
        world.now = began + 990
        world.rank_0_reports(600)
        world.visit(crash_after)
        world.now = began + 1000
        world.end_pod("master-0", exit_code)
        world.visit()
        world.now += 3600
        world.visit()
    world.settle()
    allocation, progress = world.status["allocation"], world.status["progress"]
    assert (allocation["seconds"], allocation["deviceSeconds"]) == (3000, 6000)
    assert "since" not in allocation
    assert progress["goodputPercent"] == "20.0"


def test_a_finished_job_makes_nothing_when_all_it_made_is_deleted() -> None:
    world = World()
    world.settle()
    world.end_pod("master-0", 0)
    world.settle()
    world.user_deletes_gang()
    world.user_deletes_claim()
    world.settle()
    assert world.reason == "Complete"
    assert (world.gangs, world.pods, world.claims) == ({}, {}, {})


class AnyOrder(RuleBasedStateMachine):
    """Everybody acts in any order; the operator crashes anywhere; the promises of `World` hold at every step."""

    queue: dict[str, str] = {}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.world.spec.update(self.queue)

    @rule(crash_after=st.one_of(st.none(), st.integers(0, 3)))
    def operator(self, crash_after: int | None) -> None:
        self.world.visit(crash_after)

    @rule()
    def backend(self) -> None:
        self.world.backend()

    @rule()
    def kubelet(self) -> None:
        self.world.start_pods()

    @rule()
    def collector(self) -> None:
        self.world.collect()

    @rule(role=st.sampled_from(["master-0", "worker-0"]), exit_code=st.sampled_from([0, 1, 2, 137]))
    def pod_ends(self, role: str, exit_code: int) -> None:
        self.world.end_pod(role, exit_code)

    @rule(role=st.sampled_from(["master-0", "worker-0"]))
    def pod_is_deleted(self, role: str) -> None:
        self.world.user_deletes_pod(role)

    @precondition(lambda self: self.world.user_deleted < 3 and self.world.behind is None)
    @rule()
    def gang_is_deleted(self) -> None:
        """Not while the index is behind: its pods, unseen, would share their names with those of the gang made anew."""
        self.world.user_deletes_gang()

    @precondition(lambda self: not self.world.over)
    @rule()
    def claim_is_deleted(self) -> None:
        self.world.user_deletes_claim()

    @rule(suspend=st.booleans())
    def job_is_suspended_or_goes_on(self, suspend: bool) -> None:
        self.world.user_suspends(suspend)

    @rule()
    def index_falls_behind(self) -> None:
        self.world.behind = self.world.behind or self.world.index()

    @rule()
    def index_catches_up(self) -> None:
        self.world.behind = None

    @rule(productive_seconds=st.sampled_from([0.0, 10.0, 1e6]))
    def rank_0_reports(self, productive_seconds: float) -> None:
        self.world.rank_0_reports(productive_seconds)

    @rule(seconds=st.sampled_from([1, 12, 400]))
    def time_goes_on(self, seconds: int) -> None:
        self.world.now += seconds

    @invariant()
    def promises_hold(self) -> None:
        self.world.check()

    @invariant()
    def a_plan_is_a_fixed_point(self) -> None:
        """Its status fed back gives the same status, without events, as long as nothing but the status has changed."""
        made = self.world.plan()
        if made.status.get("attempt") != self.world.status.get("attempt", 0):
            return  # a restart: the next plan is about another attempt
        before = self.world.status
        self.world.status = made.status
        again = self.world.plan()
        self.world.status = before
        assert again.status == made.status
        assert again.events == ()
        assert (again.apply, again.create) == (made.apply, made.create)

    def teardown(self) -> None:
        """Left alone, the cluster comes to rest; then the job is over or runs, and nothing is written any more."""
        for _ in range(2):  # what waits in a queue is let run
            self.world.queue_admits(True)
            self.world.settle()
        writes = self.world.writes
        self.world.visit()
        assert self.world.writes == writes
        assert self.world.over or self.world.reason == ("Suspended" if self.world.spec.get("suspend") else "Running")
        if self.world.reason == "Suspended":
            assert (self.world.gangs, self.world.pods) == ({}, {})


class AnyOrderInAQueue(AnyOrder):
    """The same under Kueue, which lets gangs run and takes their places away when it likes."""

    queue = {"queue": "gpus"}  # noqa: RUF012

    @rule(admit=st.booleans())
    def queue_acts(self, admit: bool) -> None:
        self.world.queue_admits(admit)


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=30, suppress_health_check=list(HealthCheck))
TestAnyOrder = AnyOrder.TestCase
AnyOrderInAQueue.TestCase.settings = AnyOrder.TestCase.settings
TestAnyOrderInAQueue = AnyOrderInAQueue.TestCase
