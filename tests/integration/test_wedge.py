"""The sidecar beside a simulated engine, each a process: a wedged engine is restarted, others are not."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from slipway_gateway.routes import ServiceKey, ServiceRecord
from slipway_gateway.routing import Address
from slipway_gateway.settings import Settings
from tests.e2e.gpu.engine.settings import Dialect
from tests.unit.gateway.harness import QUICK, Harness
from tests.unit.simulated_engine.process import DIALECTS, image_below

from .podstandin import PERIOD_SECONDS, WEDGE_SECONDS, Pod, pod, until

pytestmark = [pytest.mark.level(1), pytest.mark.feature("serving")]

SERVICE = ServiceKey("ns", "demo")
TOKENS = 20
LONG_PROMPT = " ".join(map(str, range(200)))


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return image_below(tmp_path_factory.mktemp("image"))


async def restarted(made: Pod) -> None:
    async def told() -> bool:
        return bool(made.restarts and made.words)

    await until(told)
    await until(lambda: made.probe("/readyz"))


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_wedge_under_load_ends_in_a_new_engine(dialect: Dialect, image: Path) -> None:
    """Its clients see the connection break, so that a gateway can ask another replica; none is answered with less."""
    async with pod(image, dialect, tokenSeconds=0.1) as made:
        asked = [asyncio.create_task(made.ask()) for _ in range(4)]
        await asyncio.sleep(0.5)
        await made.simulate(wedged=True)
        await restarted(made)
        assert await asyncio.gather(*asked) == [0, 0, 0, 0]
        assert await made.ask() == 20
        assert made.restarts == 1
        [words] = made.words
        assert words.startswith("no token for ")


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_wedge_of_one_of_two_replicas_costs_no_request(dialect: Dialect, image: Path) -> None:
    """Four clients ask through the gateway, one request after the other, until the wedged replica answers again."""
    async with pod(image, dialect, tokenSeconds=0.02) as one, pod(image, dialect, tokenSeconds=0.02) as other:
        async with routed(one, other) as url:
            mended = asyncio.Event()
            clients = [asyncio.create_task(asking(one.http, url, mended)) for _ in range(4)]
            await one.simulate(wedged=True)
            await restarted(one)
            mended.set()
            answers = await asyncio.gather(*clients)
        assert {tokens for client in answers for tokens in client} == {TOKENS}
        assert (one.restarts, other.restarts, other.unready) == (1, 0, 0)


async def asking(http: aiohttp.ClientSession, url: str, enough: asyncio.Event) -> list[int]:
    """How many tokens each answer had; the status of an answer that is none."""
    had: list[int] = []
    while not enough.is_set():
        body = {"model": "demo", "prompt": "go on", "max_tokens": TOKENS, "ignore_eos": True}
        async with http.post(url, json=body) as response:
            had.append((await response.json())["usage"]["completion_tokens"] if response.ok else -response.status)
    return had


@contextlib.asynccontextmanager
async def routed(*pods: Pod) -> AsyncIterator[str]:
    """The real gateway's address; its endpoints are the pods that are ready, as EndpointSlices would say."""
    gateway = await Harness(Settings(**QUICK)).start()
    gateway.table.put_service(ServiceRecord(SERVICE))

    async def endpoints() -> None:
        while True:
            ready = frozenset(Address("127.0.0.1", each.engine_port) for each in pods if each.ready)
            gateway.table.put_slice((SERVICE, "slice"), ready)
            await asyncio.sleep(PERIOD_SECONDS)

    following = asyncio.create_task(endpoints())
    try:
        yield f"http://127.0.0.1:{gateway.port}/v1/completions"
    finally:
        following.cancel()
        await gateway.stop()


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_wedge_of_an_idle_engine_is_found_by_asking(dialect: Dialect, image: Path) -> None:
    async with pod(image, dialect) as made:
        await made.simulate(wedged=True)
        await restarted(made)
        assert made.restarts == 1
        assert [words.partition(": ")[2] for words in made.words] == ["it leaves a request unanswered"]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_saturated_engine_is_left_alone(dialect: Dialect, image: Path) -> None:
    """Two slots, a token each 0.3 s, ten requests: what is last in the queue waits for more than twice the bound."""
    async with pod(image, dialect) as made:
        await made.simulate(tokenSeconds=0.3)
        answers = await asyncio.gather(*(made.ask(tokens=4) for _ in range(10)))
        assert answers == [4] * 10
        assert (made.restarts, made.unready) == (0, 0)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_long_prompt_is_left_alone(dialect: Dialect, image: Path) -> None:
    async with pod(image, dialect) as made:
        await made.simulate(ttftSeconds=2.5 * WEDGE_SECONDS)
        assert await made.ask(LONG_PROMPT, tokens=1) == 1
        assert (made.restarts, made.unready) == (0, 0)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_idle_engine_is_left_alone(dialect: Dialect, image: Path) -> None:
    async with pod(image, dialect) as made:
        await asyncio.sleep(2 * WEDGE_SECONDS)
        assert (made.restarts, made.unready) == (0, 0)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_pause_that_is_shorter_than_the_bound_is_borne(dialect: Dialect, image: Path) -> None:
    async with pod(image, dialect) as made:
        asked = asyncio.create_task(made.ask(tokens=60))
        await made.simulate(wedged=True)
        await asyncio.sleep(WEDGE_SECONDS / 4)
        await made.simulate(wedged=False)
        assert await asked == 60
        assert (made.restarts, made.unready) == (0, 0)
