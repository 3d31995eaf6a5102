"""The visit of everything, every ten hours or so."""

import asyncio

from slipway.kube.kinds import (
    TRAINING_JOB,
)
from slipway.reconcile.index import Index
from slipway.reconcile.keys import Key
from slipway.reconcile.resync import everything, forever

from .build import JOB, job
from .clock import virtually


def test_everything_is_visited_every_ten_hours_give_or_take_one() -> None:
    async def scenario() -> None:
        index, visits = Index(), []
        index.record(TRAINING_JOB, "ADDED", job())
        loop = asyncio.get_running_loop()
        chances = iter([0.0, 1.0, 0.5, 0.5])

        def add(key: Key) -> None:
            visits.append((key, loop.time() / 3600))

        assert everything(index, add) == 1
        task = asyncio.create_task(forever(index, add, chance=lambda: next(chances)))
        await asyncio.sleep(31 * 3600)
        task.cancel()
        assert visits == [(JOB, 0.0), (JOB, 9.0), (JOB, 20.0), (JOB, 30.0)]

    virtually(scenario())


def test_what_has_no_answer_yet_is_visited_first() -> None:
    index, visits = Index(), list[str]()
    for number, seen in enumerate([1, 0, 1, None]):
        status = {} if seen is None else {"observedGeneration": seen}
        made = job(name=f"job-{number}", uid=f"uid-{number}", metadata={"generation": 1}, status=status)
        index.record(TRAINING_JOB, "ADDED", made)
    assert everything(index, lambda key: visits.append(key.name)) == 4
    assert visits == ["job-1", "job-3", "job-0", "job-2"]
