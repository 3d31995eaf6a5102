"""The recipe `pretrain`: trains a small Llama-architecture language model from nothing, on the dataset's own files.

Decided here: what is agreed between ranks before the first step (files, tokenizer, position in the data).
"""

import time
from typing import Any

from tokenizers import Tokenizer

from ..batch import Batch
from ..checkpoint import Checkpoint
from ..cleaning.documents import cleaned
from ..config import Recipe
from ..corpus import Corpus, open_corpus
from ..data import DataPosition, Samples
from ..errors import RecipeError
from ..evaluate import evaluate
from ..export import Finished, check_finite, check_required, export_model
from ..gang import Gang, on_all, on_main
from ..logs import event, log
from ..model import build_model, llama_config
from ..output import Output
from ..strategies import Sharded, State
from ..tokenizer import load_tokenizer, train_tokenizer


class Pretrain:
    """See `loop.Task`."""

    def __init__(self, recipe: Recipe, gang: Gang, checkpoint: Checkpoint | None) -> None:
        self._recipe = recipe
        self._gang = gang
        self._corpus, self._cleaned = cleaned(_agreed_corpus(recipe, gang), gang)
        self._tokenizer = _agreed_tokenizer(recipe, gang, self._corpus, checkpoint)
        self._config = llama_config(recipe.model, self._tokenizer)
        self.model = build_model(self._config, seed=recipe.training.seed)
        start = gang.broadcast(checkpoint.data if checkpoint else DataPosition())
        width = recipe.model.context_length + 1
        self._samples = Samples(self._corpus, self._tokenizer, seed=recipe.training.seed, width=width, start=start)
        log.info(
            event(
                "data",
                vocabulary=self._tokenizer.get_vocab_size(),
                training_files=len(self._corpus.training),
                held_out_files=len(self._corpus.held_out),
            )
        )

    @property
    def bad_rows(self) -> int:
        return self._corpus.bad.bad

    def batch(self) -> Batch:
        return Batch.from_windows(self._samples.batch(self._recipe.training.batch_size))

    def checkpoint(self, step: int, tensors: State) -> Checkpoint:
        return Checkpoint(
            step=step,
            data=self._samples.position,
            recipe=self._recipe.fingerprint,
            corpus=self._corpus.fingerprint,
            tokenizer=self._tokenizer.to_str().encode(),
            tensors=tensors,
        )

    def finish(self, step: int, sharded: Sharded, output: Output | None) -> Finished:
        began = time.monotonic()
        batch = max(1, self._recipe.training.batch_size // sharded.data_size)
        context = self._recipe.model.context_length
        result = evaluate(sharded, self._corpus, self._tokenizer, self._gang, context=context, batch=batch)
        finished = Finished(step, result.to_json(), self._data())
        log.info(event("evaluation", seconds=time.monotonic() - began, **finished.evaluation))
        check_finite(finished.evaluation)
        check_required(self._recipe.output.require, finished.evaluation)
        state = sharded.export_state()
        if output is not None and state is not None:
            self._export(state, finished, output)
        return finished

    def _export(self, state: State, finished: Finished, output: Output) -> None:
        """The model may lie in pieces now: a fresh one takes the whole weights."""
        model = build_model(self._config, seed=self._recipe.training.seed)
        model.load_state_dict(state, strict=False)  # the output embedding is the input's, and has no weights of its own
        bf16 = self._recipe.bf16
        export_model(output.model, model, self._tokenizer, finished, recipe=self._recipe.fingerprint, bf16=bf16)

    def _data(self) -> dict[str, Any]:
        counts = {"rows": self._corpus.bad.total, "badRows": self._corpus.bad.bad} if self._corpus.bad.total else {}
        return counts | ({"cleaning": self._cleaned} if self._cleaned else {})


def _agreed_corpus(recipe: Recipe, gang: Gang) -> Corpus:
    corpus: list[Corpus] = []

    def fingerprint() -> str:
        corpus.append(open_corpus(recipe.dataset))
        return corpus[0].fingerprint

    if len(set(on_all(gang, fingerprint))) > 1:
        raise RecipeError("dataset: the pods see different files; use one image, or one volume, for all of them")
    return corpus[0]


def _agreed_tokenizer(recipe: Recipe, gang: Gang, corpus: Corpus, checkpoint: Checkpoint | None) -> Tokenizer:
    return load_tokenizer(on_main(gang, lambda: _tokenizer_content(recipe, corpus, checkpoint)))


def _tokenizer_content(recipe: Recipe, corpus: Corpus, checkpoint: Checkpoint | None) -> bytes:
    if checkpoint is not None:
        checkpoint.check_belongs(recipe=recipe.fingerprint, corpus=corpus.fingerprint)
        return checkpoint.tokenizer
    began = time.monotonic()
    content = train_tokenizer(corpus, recipe.model.vocab_size)
    log.info(event("tokenizer", seconds=time.monotonic() - began))
    return content
