"""The recipe `sft`: every weight of a base model goes on learning, from instructions."""

from pathlib import Path

import torch
from transformers import PreTrainedModel

from ..base import Base
from ..chat import Chat
from ..checkpoint import Checkpoint
from ..config import Recipe
from ..export import Finished, exported, write_model
from ..gang import Gang
from ..output import Output
from ..strategies import State
from .instruct import Instruct, agreed_base


def sft(recipe: Recipe, gang: Gang, checkpoint: Checkpoint | None) -> Instruct:
    base = agreed_base(recipe, gang)
    return Instruct(recipe, gang, checkpoint, base, Everything(recipe, base))


class Everything:
    """See `instruct.Trained`."""

    def __init__(self, recipe: Recipe, base: Base) -> None:
        self._recipe = recipe
        self._base = base

    def model(self) -> torch.nn.Module:
        model: torch.nn.Module = self._base.model()
        return model.train()

    def whole(self, state: State) -> PreTrainedModel:
        model = self._base.model()
        model.load_state_dict(state, strict=False)  # an output embedding that is the input's has no weights of its own
        return model

    def export(self, whole: PreTrainedModel, chat: Chat, output: Output, finished: Finished) -> None:
        with exported(output.model, finished, recipe=self._recipe.fingerprint) as partial:
            write_served(partial, whole, chat, bf16=self._recipe.bf16)


def write_served(directory: Path, model: PreTrainedModel, chat: Chat, *, bf16: bool) -> None:
    """What answers a chat: it stops where the training's answers did, and renders turns as the training did."""
    model.generation_config.eos_token_id = sorted(chat.stops)
    write_model(directory, model, chat.tokenizer, bf16=bf16)
