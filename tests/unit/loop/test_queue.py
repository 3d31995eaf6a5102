"""The keyed queue, in virtual time: what it promises whatever the order of adds, failures and visits."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.reconcile.queue import Again, KeyedQueue, RetryLater
from slipway.telemetry.metrics import Metrics

from .clock import virtually

Visit = Callable[[str], Awaitable[Again]]


def queue_of(
    visit: Visit, *, concurrency: int = 8, chance: float = 1.0, metrics: Metrics | None = None
) -> KeyedQueue[str]:
    made = KeyedQueue(visit, concurrency=concurrency, metrics=metrics or Metrics(), chance=lambda: chance)
    made.resume()
    return made


def now() -> float:
    return asyncio.get_running_loop().time()


def test_adds_before_the_visit_are_one_visit() -> None:
    async def scenario() -> None:
        seen: list[str] = []

        async def visit(key: str) -> Again:
            seen.append(key)
            return Again()

        queue = queue_of(visit)
        for _ in range(5):
            queue.add("a")
        queue.add("b")
        await queue.idle()
        # The first add starts its visit's task at once; adds after that are for a second visit.
        assert sorted(set(seen)) == ["a", "b"]
        assert len(seen) <= 3

    virtually(scenario())


def test_a_key_added_during_its_visit_is_visited_again_and_never_twice_at_once() -> None:
    async def scenario() -> None:
        running, most, visits = 0, 0, 0

        async def visit(key: str) -> Again:
            nonlocal running, most, visits
            running, visits = running + 1, visits + 1
            most = max(most, running)
            if visits == 1:
                queue.add(key)
                queue.add(key)
            await asyncio.sleep(1.0)
            running -= 1
            return Again()

        queue = queue_of(visit)
        queue.add("a")
        await queue.idle()
        assert (visits, most) == (2, 1)

    virtually(scenario())


def test_concurrency_is_bounded_and_fair() -> None:
    async def scenario() -> None:
        running, most, order = 0, 0, []

        async def visit(key: str) -> Again:
            nonlocal running, most
            order.append(key)
            running += 1
            most = max(most, running)
            await asyncio.sleep(1.0)
            running -= 1
            return Again()

        queue = queue_of(visit, concurrency=3)
        keys = [f"k{n:02}" for n in range(10)]
        for key in keys:
            queue.add(key)
        await queue.idle()
        assert most == 3
        assert order == keys
        assert now() == 4.0

    virtually(scenario())


def test_failures_back_off_doubling_and_success_forgets() -> None:
    async def scenario() -> None:
        times: list[float] = []

        async def visit(key: str) -> Again:
            times.append(now())
            if len(times) in (4, 6):
                return Again()
            raise ValueError("not yet")

        queue = queue_of(visit)
        queue.add("a")
        await asyncio.sleep(10.0)
        assert times == pytest.approx([0.0, 0.2, 0.6, 1.4])
        queue.add("a")
        await asyncio.sleep(10.0)
        assert times[4:] == pytest.approx([10.0, 10.2]), "the fourth visit's success began the count anew"

    virtually(scenario())


def test_a_failed_key_does_not_hold_up_an_event() -> None:
    async def scenario() -> None:
        times: list[float] = []

        async def visit(key: str) -> Again:
            times.append(now())
            if len(times) < 9:
                raise ValueError("not yet")
            return Again()

        queue = queue_of(visit)
        queue.add("a")
        await asyncio.sleep(20.0)  # by now the next visit is seconds away
        before = len(times)
        queue.add("a")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(times) == before + 1
        assert times[-1] == 20.0

    virtually(scenario())


def test_retry_later_is_waited_for() -> None:
    async def scenario() -> None:
        times: list[float] = []

        async def visit(key: str) -> Again:
            times.append(now())
            if len(times) == 1:
                raise RetryLater(17.0)
            return Again()

        queue = queue_of(visit)
        queue.add("a")
        await asyncio.sleep(30.0)
        assert times == [0.0, 17.0]

    virtually(scenario())


def test_requeue_after_comes_once_and_an_event_in_between_replaces_it() -> None:
    async def scenario() -> None:
        times: list[float] = []

        async def visit(key: str) -> Again:
            times.append(now())
            return Again(10.0) if len(times) < 3 else Again()

        queue = queue_of(visit)
        queue.add("a")
        await asyncio.sleep(4.0)
        queue.add("a")
        await asyncio.sleep(40.0)
        assert times == [0.0, 4.0, 14.0]
        assert queue.next_timer is None

    virtually(scenario())


def test_of_two_wishes_the_earlier_holds() -> None:
    async def scenario() -> None:
        times: list[float] = []

        async def visit(key: str) -> Again:
            times.append(now())
            return Again()

        queue = queue_of(visit)
        queue.add_after("a", 5.0)
        queue.add_after("a", 9.0)
        queue.add_after("b", 9.0)
        queue.add_after("b", 5.0)
        await asyncio.sleep(20.0)
        assert times == [5.0, 5.0]

    virtually(scenario())


def test_forgetting_drops_timer_and_failures() -> None:
    async def scenario() -> None:
        visits = 0

        async def visit(key: str) -> Again:
            nonlocal visits
            visits += 1
            raise ValueError("always")

        queue = queue_of(visit)
        queue.add("a")
        await asyncio.sleep(0.1)
        queue.forget("a")
        await asyncio.sleep(100.0)
        assert visits == 1

    virtually(scenario())


def test_paused_takes_nothing_and_resumes_empty() -> None:
    async def scenario() -> None:
        seen: list[str] = []

        async def visit(key: str) -> Again:
            seen.append(key)
            await asyncio.sleep(1.0)
            return Again(1.0)

        queue = queue_of(visit, concurrency=1)
        queue.add("a")
        queue.add("waits")
        queue.add_after("timer", 0.5)
        await asyncio.sleep(0)
        queue.pause()
        queue.add("late")
        await queue.drain(5.0)
        assert seen == ["a"]
        await asyncio.sleep(10.0)
        assert seen == ["a"], "neither timers nor the requeue of the visit that was running"
        queue.resume()
        queue.add("b")
        await asyncio.sleep(0.5)
        assert seen == ["a", "b"]
        queue.pause()
        await queue.drain(5.0)

    virtually(scenario())


def test_draining_cancels_what_takes_too_long() -> None:
    async def scenario() -> None:
        cancelled = False

        async def visit(key: str) -> Again:
            nonlocal cancelled
            try:
                await asyncio.sleep(1000.0)
            except asyncio.CancelledError:
                cancelled = True
                raise
            return Again()

        queue = queue_of(visit)
        queue.add("a")
        await asyncio.sleep(0)
        queue.pause()
        await queue.drain(5.0)
        assert cancelled
        assert now() == 5.0

    virtually(scenario())


def test_what_happens_goes_before_ten_thousand_that_are_visited_to_be_sure() -> None:
    """After a handover: the user's new object waits for the visits that run, and for nothing else."""

    async def scenario() -> None:
        begun: dict[str, float] = {}

        async def visit(key: str) -> Again:
            begun.setdefault(key, now())
            await asyncio.sleep(1.0)
            return Again()

        queue = queue_of(visit, concurrency=2)
        for number in range(10_000):
            queue.add(f"old-{number}", later=True)
        await asyncio.sleep(10.5)
        queue.add("new")
        queue.add("old-9999")
        queue.add("old-9998", later=True)
        await asyncio.sleep(3.0)
        assert (begun["new"], begun["old-9999"]) == (11.0, 11.0)
        assert "old-9998" not in begun
        queue.pause()
        await queue.drain(5.0)

    virtually(scenario())


def test_what_is_visited_to_be_sure_is_not_held_up_for_ever() -> None:
    async def scenario() -> None:
        visits: list[str] = []

        async def visit(key: str) -> Again:
            visits.append(key)
            await asyncio.sleep(1.0)
            if key != "old":
                queue.add(key)  # something happens to it again and again
            return Again()

        queue = queue_of(visit, concurrency=1)
        for key in ("busy", "busier", "old"):
            queue.add(key, later=key == "old")
        await asyncio.sleep(10.5)
        assert visits.index("old") == 4, "it was passed by three"
        queue.pause()
        await queue.drain(5.0)

    virtually(scenario())


@pytest.mark.parametrize("fails", [True, False])
def test_a_visit_that_comes_back_comes_back_in_its_line(fails: bool) -> None:
    async def scenario() -> None:
        visits: list[str] = []

        async def visit(key: str) -> Again:
            visits.append(key)
            await asyncio.sleep(0.0 if key == "old" and visits.count("old") == 1 else 1.0)
            if key == "old" and fails:
                raise ValueError("not yet")
            return Again(0.2 if key == "old" else None)

        queue = queue_of(visit, concurrency=1)
        queue.add("old", later=True)
        await asyncio.sleep(0.1)
        for number in range(3):
            queue.add(f"new-{number}")
        await asyncio.sleep(0.5)  # by now it has come back
        queue.add("new-3")
        await asyncio.sleep(4.0)
        assert visits == ["old", "new-0", "new-1", "new-2", "new-3", "old"], "what came after it went before it"
        queue.pause()
        await queue.drain(5.0)

    virtually(scenario())


@pytest.mark.parametrize(("first", "second", "before"), [(True, False, True), (False, True, True), (True, True, False)])
def test_added_twice_during_its_visit_it_is_called_if_it_was_called_once(
    first: bool, second: bool, before: bool
) -> None:
    async def scenario() -> None:
        visits: list[str] = []

        async def visit(key: str) -> Again:
            visits.append(key)
            await asyncio.sleep(1.0)
            return Again()

        queue = queue_of(visit, concurrency=1)
        queue.add("a")
        await asyncio.sleep(0.5)
        queue.add("a", later=first)
        queue.add("a", later=second)
        queue.add("x", later=True)
        await asyncio.sleep(2.0)
        assert visits == (["a", "a", "x"] if before else ["a", "x", "a"])
        queue.pause()
        await queue.drain(5.0)

    virtually(scenario())


def test_backoff_is_bounded_and_jittered() -> None:
    async def nothing(key: str) -> Again:
        return Again()

    low, high = queue_of(nothing, chance=0.0), queue_of(nothing, chance=1.0)
    for failures in range(1, 200):
        assert 0.0 < low.backoff_seconds(failures) == high.backoff_seconds(failures) / 2 <= 60.0
    assert high.backoff_seconds(10_000) == 120.0


def test_the_metrics_are_controller_runtimes() -> None:
    metrics = Metrics()

    async def scenario() -> None:
        async def visit(key: str) -> Again:
            if key == "bad":
                raise ValueError("bad")
            return Again()

        queue = queue_of(visit, metrics=metrics)
        queue.add("good")
        queue.add("bad")
        await queue.idle()
        queue.pause()

    virtually(scenario())
    text = metrics.exposition().decode()
    assert 'workqueue_adds_total{name="slipway"} 2.0' in text
    assert 'workqueue_retries_total{name="slipway"} 1.0' in text
    assert 'workqueue_depth{name="slipway"} 0.0' in text
    assert 'workqueue_queue_duration_seconds_count{name="slipway"} 2.0' in text
    assert 'workqueue_work_duration_seconds_count{name="slipway"} 2.0' in text


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "add_after", "sleep", "forget"]),
        st.sampled_from(["a", "b", "c"]),
        st.floats(min_value=0.0, max_value=3.0, allow_nan=False),
    ),
    max_size=40,
)
OUTCOMES = st.lists(st.sampled_from(["done", "again", "fail"]), max_size=60)


@settings(max_examples=100)  # no deadline: the machine may be busy, and time is virtual anyway
@given(steps=STEPS, outcomes=OUTCOMES, concurrency=st.integers(1, 4))
def test_whatever_happens_no_add_is_lost_and_no_key_overlaps(
    steps: list[tuple[str, str, float]], outcomes: list[str], concurrency: int
) -> None:
    """The property that reconciliation rests on: after an add, a visit *begins*."""

    async def scenario() -> None:
        script = list(outcomes)
        running: set[str] = set()
        begun: dict[str, float] = {}
        wanted: dict[str, int] = {}
        order = 0

        async def visit(key: str) -> Again:
            nonlocal order
            assert key not in running
            assert len(running) < concurrency
            order += 1
            begun[key] = order
            running.add(key)
            await asyncio.sleep(0.5)
            running.discard(key)
            outcome = script.pop() if script else "done"
            if outcome == "fail":
                raise ValueError("by script")
            return Again(1.0) if outcome == "again" else Again()

        queue = queue_of(visit, concurrency=concurrency)
        for step, key, seconds in steps:
            if step == "add":
                order += 1
                wanted[key] = order
                queue.add(key)
            elif step == "add_after":
                queue.add_after(key, seconds)
            elif step == "forget":
                queue.forget(key)
            else:
                await asyncio.sleep(seconds)
        while True:
            await queue.idle()
            due = queue.next_timer
            if due is None:
                break
            await asyncio.sleep(max(0.0, due - now()))
            await asyncio.sleep(0)
        assert not running
        for key, at in wanted.items():
            assert begun[key] > at

    virtually(scenario())
