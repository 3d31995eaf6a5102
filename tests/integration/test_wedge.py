"""The sidecar beside a simulated engine, each a process: a wedged engine is restarted, others are not."""

import asyncio
from pathlib import Path

import pytest

from tests.e2e.gpu.engine.settings import Dialect
from tests.unit.simulated_engine.process import DIALECTS, image_below

from .podstandin import WEDGE_SECONDS, Pod, pod, until

pytestmark = [pytest.mark.level(1), pytest.mark.feature("serving")]

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
