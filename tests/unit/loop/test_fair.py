"""Whose turn it is: a namespace with ten thousand objects, or with slow ones, does not hold up another's."""

import asyncio
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.kube.kinds import TRAINING_JOB
from slipway.reconcile.fair import FairLine
from slipway.reconcile.keys import Key
from slipway.reconcile.queue import Again, KeyedQueue
from slipway.telemetry.metrics import Metrics

from .clock import virtually


def key(namespace: str, number: int) -> Key:
    return Key(TRAINING_JOB.kind, namespace, f"job-{number}")


def namespace_of(one: Key) -> str:
    return one.namespace


def line(*waiting: Key, places: int = 1) -> FairLine[Key]:
    made: FairLine[Key] = FairLine(namespace_of, places=places)
    for one in waiting:
        made.push(one)
    return made


def served_in_turn(made: FairLine[Key]) -> list[str]:
    """What comes out with one place, which is given back at once."""
    order = []
    while (one := made.take()) is not None:
        order.append(f"{one.namespace}{one.name.removeprefix('job-')}")
        made.done(one)
    return order


def test_each_namespace_in_turn_and_its_own_keys_in_order() -> None:
    made = line(*(key("a", n) for n in range(4)), key("b", 0), key("c", 0), key("c", 1))
    assert served_in_turn(made) == ["a0", "b0", "c0", "a1", "c1", "a2", "a3"]
    assert len(made) == 0


def test_ten_thousand_of_one_are_passed_by_one_of_another() -> None:
    made = line(*(key("flood", n) for n in range(10_000)), key("small", 0))
    assert served_in_turn(made)[:3] == ["flood0", "small0", "flood1"]


def test_who_comes_back_waits_for_all_who_wait() -> None:
    made = line(key("a", 0), key("b", 0), key("c", 0))
    first = made.take()
    assert first == key("a", 0)
    made.done(first)
    made.push(key("a", 1))
    assert served_in_turn(made) == ["b0", "c0", "a1"]


def test_the_last_quarter_of_the_places_is_for_those_who_hold_none() -> None:
    made = line(*(key("slow", n) for n in range(100)), places=8)
    assert [made.take() for _ in range(7)] == [*(key("slow", n) for n in range(6)), None]
    for name in ("b", "c", "d"):
        made.push(key(name, 0))
        made.push(key(name, 1))
    assert [made.take() for _ in range(3)] == [key("b", 0), key("c", 0), None], "two were left, and then none"
    made.done(key("slow", 0))
    assert made.take() == key("d", 0), "who holds none comes first"
    made.done(key("slow", 1))
    made.done(key("slow", 2))
    made.done(key("slow", 3))
    assert made.take() == key("slow", 6), "when places are free again, all take their turns"


@pytest.mark.parametrize("places", [1, 2, 3])
def test_few_places_are_all_for_everyone(places: int) -> None:
    made = line(*(key("only", n) for n in range(5)), places=places)
    assert sum(made.take() is not None for _ in range(5)) == places


def test_what_has_just_happened_goes_before_what_is_only_looked_after() -> None:
    made = line()
    for number in range(9):
        made.push(key("a", number), later=True)
    for number in range(20, 27):
        made.push(key("a", number))
    assert len(made) == 16
    first = "a20 a21 a22 a0 a23 a24 a25 a1 a26"  # every fourth is of the later line
    assert served_in_turn(made) == [*first.split(), *(f"a{n}" for n in range(2, 9))]


def test_who_waits_in_the_later_line_and_is_called_waits_in_the_first() -> None:
    made = line()
    for number in range(4):
        made.push(key("a", number), later=True)
    made.push(key("b", 0))
    made.promote(key("a", 2))
    made.promote(key("b", 0))
    assert len(made) == 5
    assert served_in_turn(made) == ["b0", "a2", "a0", "a1", "a3"]


def test_nobody_of_the_later_line_is_waited_for_when_it_is_empty_again() -> None:
    made = line(key("a", 0), key("a", 1))
    made.push(key("a", 9), later=True)
    made.clear()
    assert (len(made), made.take()) == (0, None)
    made.push(key("a", 2))
    assert made.take() == key("a", 2)


def test_places_that_are_kept_are_kept_in_both_lines() -> None:
    made = line(*(key("slow", n) for n in range(10)), places=4)
    made.push(key("slow", 10), later=True)
    made.push(key("b", 0), later=True)
    assert [made.take() for _ in range(4)] == [*(key("slow", n) for n in range(3)), key("b", 0)]


KEYS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40)), max_size=60, unique=True)


@settings(max_examples=100)
@given(keys=KEYS, places=st.integers(1, 8))
def test_everything_comes_out_once_and_nobody_is_overtaken_twice(keys: list[tuple[str, int]], places: int) -> None:
    made = line(*(key(*each) for each in keys), places=places)
    order = []
    while (one := made.take()) is not None:
        order.append(one)
        made.done(one)
    assert Counter(order) == Counter(key(*each) for each in keys)
    for namespace in "abc":
        mine = [n for n, one in enumerate(order) if one.namespace == namespace]
        for before, after in pairwise(mine):
            between = Counter(one.namespace for one in order[before + 1 : after])
            assert max(between.values(), default=0) <= 1


def test_the_queue_visits_the_other_namespace_while_slow_ones_hold_their_places() -> None:
    """32 places, ten thousand objects whose visits each take a minute: the victim's object is visited at once."""

    async def scenario() -> None:
        begun: dict[Key, float] = {}

        async def visit(one: Key) -> Again:
            begun[one] = asyncio.get_running_loop().time()
            await asyncio.sleep(60.0 if one.namespace == "hostile" else 0.01)
            return Again()

        metrics = Metrics()
        queue: KeyedQueue[Key] = KeyedQueue(visit, concurrency=32, metrics=metrics, tenant=namespace_of)
        queue.resume()
        for number in range(10_000):
            queue.add(key("hostile", number))
        await asyncio.sleep(90.0)
        assert queue.oldest_seconds() == 90.0
        assert 'slipway_queue_oldest_seconds{name="slipway"} 90.0' in metrics.exposition().decode()
        for number in range(3):
            queue.add(key("victim", number))
        await asyncio.sleep(1.0)
        assert [begun[key("victim", number)] for number in range(3)] == pytest.approx([90.0, 90.01, 90.02])
        queue.pause()
        assert queue.oldest_seconds() == 0.0
        await queue.drain(0.0)

    virtually(scenario())
