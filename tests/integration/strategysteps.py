"""A strategy by itself, in a gang, without a recipe: steps on rows that pretraining never makes."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from .strategybed import run

if TYPE_CHECKING:
    import torch

    from slipway_train.batch import Batch
    from slipway_train.config import Recipe
    from slipway_train.gang import Gang
    from slipway_train.strategies import Sharded, State

ROWS = 12  # three processes share them, too
STEPS = 3
RATE = 0.01


@dataclass(frozen=True)
class Steps:
    """The mean loss of each step, and each label's loss after them; then of one more step, by the same processes and by
    fresh ones that were given what the first had captured."""

    means: list[float]
    losses: list[float]
    went_on: list[float]
    restored: list[float]
    names: list[str]


def steps(recipe: dict[str, Any], output: Path, *, processes: int, nodes: int = 1) -> Steps:
    run(_steps, recipe, output, processes=processes, nodes=nodes)
    return Steps(**json.loads((output / "steps.json").read_text()))


def _steps(gang: "Gang", recipe: dict[str, Any], output: Path, _stop_at: int | None) -> None:
    from slipway_train.strategies.choose import shard
    from tests.unit.train.support import parse

    what = parse(recipe)
    sharded = shard(_model(what), what, gang)
    batch = _batch(recipe["model"])
    means = [_step(gang, sharded, batch, what.training.accumulation_steps) for _ in range(STEPS)]
    losses = _losses(gang, sharded, batch)
    state = sharded.capture()
    assert (state is None) == (gang.rank != 0)
    _check_pieces(gang, sharded, state, output)
    fresh = shard(_model(what), what, gang)
    fresh.restore(state)
    more = [
        [_step(gang, each, batch, what.training.accumulation_steps), *_losses(gang, each, batch)]
        for each in (sharded, fresh)
    ]
    if state is not None:
        found = Steps(means, losses, went_on=more[0], restored=more[1], names=sorted(state))
        (output / "steps.json").write_text(json.dumps(asdict(found)))


def _check_pieces(gang: "Gang", sharded: "Sharded", state: "State | None", output: Path) -> None:
    """What all processes hold, put together from their files, is what rank 0 has captured, bit for bit."""
    import torch

    from slipway_train.shards import Shards, shard_name, write_shard

    mine = shard_name(gang.rank, gang.world_size)
    write_shard(output / mine, sharded.pieces())
    names = gang.gather(mine)  # all are written
    if state is not None:
        found = Shards([output / name for name in names])
        assert sorted(found) == sorted(state)
        assert all(torch.equal(found[name], state[name]) for name in state)


def _step(gang: "Gang", sharded: "Sharded", batch: "Batch", parts: int) -> float:
    share = batch.share(rank=sharded.data_rank, size=sharded.data_size)
    return gang.sum([sharded.step(share.split(parts), targets=batch.targets, rate=RATE)])[0]


def _losses(gang: "Gang", sharded: "Sharded", batch: "Batch") -> list[float]:
    """Of every label of the batch, in its order."""
    import torch

    share = batch.share(rank=sharded.data_rank, size=sharded.data_size)
    mine = sharded.losses(share).view(share.labels.shape).tolist()
    by_rank = dict(gang.gather((sharded.data_rank, mine)))
    rows = torch.empty(batch.labels.shape)
    for rank, found in by_rank.items():
        rows[rank :: sharded.data_size] = torch.tensor(found)
    flat: list[float] = rows.flatten().tolist()
    return flat


def _model(what: "Recipe") -> Any:
    from slipway_train.model import build_model, llama_config

    tokenizer: Any = SimpleNamespace(token_to_id=lambda _: 0)
    return build_model(llama_config(what.model, tokenizer), seed=5)


def _batch(shape: dict[str, int]) -> "Batch":
    """Documents of uneven lengths packed into rows, a third of the labels ignored, unevenly over the rows."""
    import torch

    from slipway_train.batch import IGNORED, Batch

    random = torch.Generator().manual_seed(1)
    size = (ROWS, shape["contextLength"])
    tokens = torch.randint(2, shape["vocabSize"], size, generator=random)
    labels = torch.randint(2, shape["vocabSize"], size, generator=random)
    dropped = torch.rand(size, generator=random) < torch.linspace(0, 0.66, ROWS)[:, None]
    return Batch(tokens, labels.masked_fill(dropped, IGNORED), _positions(size, random))


def _positions(size: tuple[int, int], random: "torch.Generator") -> "torch.Tensor":
    import torch

    begins = torch.rand(size, generator=random) < 0.08
    begins[:, 0] = True
    places = torch.arange(size[1]).expand(size)
    return places - torch.where(begins, places, 0).cummax(dim=1).values
