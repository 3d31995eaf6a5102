"""Where pods send progress: the leader's address, published, kept and left alone, whatever happens to it."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from slipway.plan.observed import Obj
from slipway.reconcile.address import LOOK_SECONDS

from . import loop
from .client import Sent
from .faults import Crash, Kill, Meddling, Partition, Storm
from .judge import judge
from .meddling import meddle
from .script import Script
from .world import World

SLICES = "endpointslices.discovery.k8s.io"
PATH = "/apis/discovery.k8s.io/v1/namespaces/slipway/endpointslices/slipway-leader"
SOON_SECONDS = 10.0  # an election, requests
REPAIR_SECONDS = LOOK_SECONDS + SOON_SECONDS


def lived(script: Script, life: Callable[[World], Coroutine[None, None, None]]) -> None:
    async def main() -> None:
        world = World(script)
        world.begin(0)
        await asyncio.sleep(SOON_SECONDS)
        await life(world)
        assert [str(violation) for violation in world.violations] == []

    loop.run(main())


def address(world: World) -> str:
    answer = world.api.request("GET", PATH, user="user")
    return "" if answer.status != 200 else str(answer.body["endpoints"][0]["addresses"][0])


def publications(world: World) -> list[Sent]:
    return [sent for sent in world.network.history if sent.path == PATH and sent.write]


def arrives_late(world: World, sent: Sent) -> int:
    body: Obj | None = sent.body
    answer = world.api.request(
        sent.method, sent.path, query=dict(sent.query), body=body, content_type=sent.content_type, user="slipway"
    )
    return answer.status


ADDRESSED = Script("job completes", operators=2, addressed=True)


@pytest.mark.parametrize("act", ["delete", "spoil"])
def test_an_address_that_a_user_takes_away_comes_back(act: str) -> None:
    async def life(world: World) -> None:
        assert address(world) == "10.0.0.0"
        meddle(world, Meddling(0.0, act, SLICES))
        assert address(world) != "10.0.0.0"
        await asyncio.sleep(REPAIR_SECONDS)
        assert address(world) == "10.0.0.0"

    lived(ADDRESSED, life)


def test_an_address_that_is_right_is_only_read() -> None:
    async def life(world: World) -> None:
        world.begin(1)
        await asyncio.sleep(3600.0)
        assert len(publications(world)) == 1
        asked = [sent for sent in world.network.history if sent.path == PATH]
        assert 100 < len(asked) <= 122
        assert {sent.operator for sent in asked} == {0}, "a standby asks for nothing"

    lived(ADDRESSED, life)


async def handed_over(world: World, to: int) -> None:
    for process in list(world.processes):
        process.crash(None)
    world.begin(to)
    await asyncio.sleep(15.0 + SOON_SECONDS)


def test_a_former_leaders_late_request_is_a_conflict_or_mended() -> None:
    """The first made the slice, so its request names no version; the second's names the one that it replaced."""

    async def life(world: World) -> None:
        await handed_over(world, 1)
        assert address(world) == "10.0.0.1"
        made, replaced = publications(world)
        assert arrives_late(world, made) == 200
        assert address(world) == "10.0.0.0"
        await asyncio.sleep(REPAIR_SECONDS)
        assert address(world) == "10.0.0.1"
        await handed_over(world, 2)
        assert address(world) == "10.0.0.2"
        assert arrives_late(world, replaced) == 409
        assert address(world) == "10.0.0.2"

    lived(ADDRESSED, life)


def test_a_leader_that_leads_again_publishes_at_once() -> None:
    """Another led meanwhile: no look of half a minute is waited for."""

    async def life(world: World) -> None:
        world.begin(1)
        await asyncio.sleep(20.0)  # cut off from 12 s to 42 s
        assert address(world) == "10.0.0.1"
        await asyncio.sleep(15.0)
        second = next(process for process in world.processes if process.number == 1)
        second.crash(None)
        await asyncio.sleep(15.0 + 5.0)
        assert address(world) == "10.0.0.0"

    lived(Script("job completes", faults=(Partition(0, 12.0, 30.0),), operators=2, addressed=True), life)


@pytest.mark.parametrize(
    "faults",
    [
        (Partition(0, 3.0, 40.0),),
        (Crash(0, True, 1.0, 20.0), Kill(20.0)),
        (Storm(0.0, 40.0, 503, 60, "endpointslices"), Meddling(5.0, "delete", SLICES)),
        (Storm(0.0, 40.0, 0, 100, "endpointslices"),),
    ],
    ids=lambda faults: type(faults[0]).__name__,
)
def test_publishing_begins_no_write_without_the_lease_nor_at_rest(faults: tuple[Crash, ...]) -> None:
    script = Script("gang restarts", 5, "busy", faults, operators=2, restart=True, addressed=True)
    assert [str(violation) for violation in judge(script).violations] == []
