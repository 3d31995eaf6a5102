"""When DDP sends gradients: in buckets, behind the backward pass, and once for all micro-batches of a step."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.distributed as dist

from slipway_train.batch import Batch
from slipway_train.config import Recipe
from slipway_train.gang import Gang
from slipway_train.model import build_model, llama_config
from slipway_train.strategies.ddp import Ddp

MODEL = {"vocabSize": 512, "contextLength": 32, "hiddenSize": 256, "layers": 3, "heads": 4, "kvHeads": 4}
FIRST = "model.layers.0.self_attn.q_proj.weight"


def recipe(**training: Any) -> Recipe:
    return Recipe.model_validate(
        {
            "recipe": "pretrain",
            "ddp": {"bucketMib": 1},
            "model": MODEL,
            "dataset": {"path": "/d"},
            "training": {"steps": 4, "batchSize": 4, **training},
        }
    )


class Watched:
    """A strategy that notes in what order a step has gradients of the first layer and sends buckets."""

    def __init__(self, what: Recipe, gang: Gang) -> None:
        tokenizer: Any = SimpleNamespace(token_to_id=lambda _: 0)
        model = build_model(llama_config(what.model, tokenizer), seed=1)
        self.ddp = Ddp(model, what, gang)
        self.events: list[str] = []
        self.ddp._wrapped.register_comm_hook(None, self._sent)
        dict(model.named_parameters())[FIRST].register_post_accumulate_grad_hook(lambda _: self.events.append("first"))

    def step(self, parts: int) -> list[str]:
        self.events = []
        tokens = torch.arange(4 * 32).view(4, 32)
        self.ddp.step(Batch(tokens, tokens).split(parts), targets=4 * 32, rate=1e-3)
        return self.events

    def _sent(self, _: object, bucket: dist.GradBucket) -> torch.futures.Future[torch.Tensor]:
        self.events.append("sent")
        done: torch.futures.Future[torch.Tensor] = torch.futures.Future()
        done.set_result(bucket.buffer())
        return done


def test_most_buckets_are_sent_before_the_first_layer_has_its_gradients(gang: Gang) -> None:
    watched = Watched(recipe(), gang)
    assert watched.ddp._wrapped.static_graph
    events = watched.step(1)
    before = events[: events.index("first")].count("sent")
    assert before >= 5
    assert events.count("sent") > before


@pytest.mark.parametrize("parts", [2, 4])
def test_micro_batches_are_sent_once(gang: Gang, parts: int) -> None:
    watched, whole = Watched(recipe(accumulationSteps=parts), gang), Watched(recipe(accumulationSteps=2), gang)
    once = whole.step(2).count("sent")
    events = watched.step(parts)
    assert events.count("first") == parts
    assert events.count("sent") == once
    assert "sent" not in events[: events.index("first")], "the first micro-batch sends nothing"
