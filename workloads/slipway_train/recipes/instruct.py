"""What sft, lora and qlora have in common: instructions in packed rows, loss on the answers alone, and how to measure.

Decided here: what is agreed between ranks before the first step (base model, files, rows), and the order at the end:
measure, check `output.require`, and only then export. What is trained of the base model, and what is exported, is the
business of a `Trained`: one small file each.
"""

import time
from typing import Any, Protocol

import torch
from transformers import PreTrainedModel

from ..answers import likelihood, measured_answers
from ..base import Base, open_base, padding_of
from ..batch import Batch
from ..chat import Chat
from ..checkpoint import Checkpoint
from ..config import Recipe
from ..data import DataPosition
from ..errors import RecipeError
from ..export import Figures, Finished, check_finite, check_required
from ..gang import Gang, on_all, on_main
from ..instructions import open_rows, read_instructions
from ..logs import event, log
from ..output import Output
from ..packing import PackedSamples
from ..strategies import Sharded, State
from ..tree import Tree


class Trained(Protocol):
    """Which part of a base model is trained."""

    def model(self) -> torch.nn.Module:
        """What a strategy takes. Parameters that are not trained need no gradient. The same on every process."""

    def whole(self, state: State) -> PreTrainedModel:
        """A model that holds what was trained, on the CPU: to be measured and exported."""

    def export(self, whole: PreTrainedModel, chat: Chat, output: Output, finished: Finished) -> None:
        """Writes what is handed on; what `Output.last` names comes last."""


class Instruct:
    """See `loop.Task`."""

    def __init__(self, recipe: Recipe, gang: Gang, checkpoint: Checkpoint | None, base: Base, trained: Trained) -> None:
        self._recipe = recipe
        self._gang = gang
        self._trained = trained
        self._chat = Chat(base.tokenizer())
        self._padding = padding_of(self._chat.tokenizer)
        tree = _agreed_rows(recipe, gang)
        self._corpus = f"{tree.fingerprint} {base.fingerprint}"
        on_main(gang, lambda: self._check(checkpoint))
        self._rows = read_instructions(recipe, tree, self._chat, gang)
        self._samples = PackedSamples(
            self._rows.training,
            seed=recipe.training.seed,
            context=recipe.context_length,
            padding=self._padding,
            start=gang.broadcast(checkpoint.data if checkpoint else DataPosition()),
        )
        self.model = trained.model()
        log.info(event("packed", samples=len(self._rows.training.lengths), rows=len(self._samples.rows)))

    @property
    def bad_rows(self) -> int:
        return self._rows.bad.bad

    def batch(self) -> Batch:
        return self._samples.batch(self._recipe.training.batch_size)

    def checkpoint(self, step: int, tensors: State) -> Checkpoint:
        return Checkpoint(
            step=step,
            data=self._samples.position,
            recipe=self._recipe.fingerprint,
            corpus=self._corpus,
            tokenizer=self._chat.tokenizer.backend_tokenizer.to_str().encode(),
            tensors=tensors,
        )

    def finish(self, step: int, sharded: Sharded, output: Output | None) -> Finished:
        began = time.monotonic()
        figures = self._likelihood(sharded)
        check_finite(figures)
        state = sharded.export_state()
        whole = self._trained.whole(state) if state is not None and self._gang.rank == 0 else None
        finished = Finished(step, {**figures, **self._answers(whole)}, self._data())
        log.info(event("evaluation", seconds=time.monotonic() - began, **finished.evaluation))
        check_required(self._recipe.output.require, finished.evaluation)
        if output is not None and whole is not None:
            self._trained.export(whole, self._chat, output, finished)
        return finished

    def _likelihood(self, sharded: Sharded) -> Figures:
        batch = max(1, self._recipe.training.batch_size // sharded.data_size)
        context, held_out = self._recipe.context_length, self._rows.held_out
        return likelihood(
            sharded, held_out, self._chat, self._gang, context=context, batch=batch, padding=self._padding
        )

    def _answers(self, whole: PreTrainedModel | None) -> Figures:
        """On the gang's device, as the training's own copy of the model may lie in pieces."""
        spec, bf16 = self._recipe.evaluation, self._recipe.bf16
        model = whole.to(self._gang.device).eval() if whole is not None and spec.prompts else None
        held_out = self._rows.held_out
        figures = measured_answers(model, held_out, self._chat, self._gang, spec=spec, padding=self._padding, bf16=bf16)
        if model is not None:
            model.cpu()
        return figures

    def _data(self) -> dict[str, Any]:
        return {
            "rows": self._rows.bad.total,
            "badRows": self._rows.bad.bad,
            "heldOutRows": len(self._rows.held_out.lengths),
            "cleaning": self._rows.counts,
        }

    def _check(self, checkpoint: Checkpoint | None) -> None:
        if checkpoint is not None:
            checkpoint.check_belongs(recipe=self._recipe.fingerprint, corpus=self._corpus)


def agreed_base(recipe: Recipe, gang: Gang) -> Base:
    """The same on every rank."""
    assert recipe.base_model is not None, "read_recipe has seen to it"
    path, context = recipe.base_model.path, recipe.context_length
    bases = on_all(gang, lambda: open_base(path, context=context))
    if len({base.fingerprint for base in bases}) > 1:
        raise RecipeError("baseModel.uri: the pods see different models; use one image, or one volume, for all of them")
    mine: Base = bases[gang.rank]
    return mine


def _agreed_rows(recipe: Recipe, gang: Gang) -> Tree:
    trees: list[Tree] = []

    def fingerprint() -> str:
        trees.append(open_rows(recipe))
        return trees[0].fingerprint

    if len(set(on_all(gang, fingerprint))) > 1:
        raise RecipeError("dataset: the pods see different files; use one image, or one volume, for all of them")
    return trees[0]
