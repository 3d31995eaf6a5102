import pytest

from slipway.api.trainingjob import CheckpointSpec
from slipway_train.tiers import Schedule, Tier


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def due(spec: CheckpointSpec, steps: int) -> dict[int, Tier]:
    schedule = Schedule(spec)
    return {step: tier for step in range(1, steps + 1) if (tier := schedule.due(step, writing=False)) is not Tier.NONE}


def test_every_so_many_steps() -> None:
    assert due(CheckpointSpec(every_steps=4), 9) == {4: Tier.VOLUME, 8: Tier.VOLUME}


def test_by_default_every_hundred() -> None:
    assert due(CheckpointSpec(), 250) == {100: Tier.VOLUME, 200: Tier.VOLUME}


def test_in_memory_often_and_on_the_volume_rarely() -> None:
    expected = {2: Tier.MEMORY, 4: Tier.MEMORY, 6: Tier.VOLUME, 8: Tier.MEMORY}
    assert due(CheckpointSpec(every_steps=6, memory_every=2), 9) == expected


def test_memory_does_not_wait_for_a_writer_and_the_volume_does() -> None:
    schedule = Schedule(CheckpointSpec(every_steps=6, memory_every=2))
    assert [schedule.due(step, writing=True) for step in (2, 4, 6)] == [Tier.NONE, Tier.NONE, Tier.VOLUME]


@pytest.mark.parametrize("memory_every", [None, 3])
def test_by_the_clock_from_the_last_one_on_the_volume(memory_every: int | None) -> None:
    clock = Clock()
    schedule = Schedule(CheckpointSpec(every_seconds=10, memory_every=memory_every), clock=clock)
    clock.now += 9.9
    assert schedule.due(1, writing=False) is Tier.NONE
    clock.now += 0.1
    assert schedule.due(2, writing=False) is Tier.VOLUME
    schedule.saved()
    assert schedule.due(100, writing=False) is Tier.NONE, "the steps of a default count for nothing then"
    clock.now += 10
    assert schedule.due(101, writing=False) is Tier.VOLUME
