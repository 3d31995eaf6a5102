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

        def add(key: Key, *, later: bool) -> None:
            visits.append((key, loop.time() / 3600))

        assert everything(index, add) == 1
        task = asyncio.create_task(forever(index, add, chance=lambda: next(chances)))
        await asyncio.sleep(31 * 3600)
        task.cancel()
        assert visits == [(JOB, 0.0), (JOB, 9.0), (JOB, 20.0), (JOB, 30.0)]

    virtually(scenario())


def test_what_has_no_answer_yet_goes_with_what_happens_and_the_rest_later() -> None:
    index, visits = Index(), dict[str, bool]()
    for number, seen in enumerate([1, 0, 1, None]):
        status = {} if seen is None else {"observedGeneration": seen}
        made = job(name=f"job-{number}", uid=f"uid-{number}", metadata={"generation": 1}, status=status)
        index.record(TRAINING_JOB, "ADDED", made)

    def add(key: Key, *, later: bool) -> None:
        visits[key.name] = later

    assert everything(index, add) == 4
    assert visits == {"job-0": True, "job-1": False, "job-2": True, "job-3": False}
