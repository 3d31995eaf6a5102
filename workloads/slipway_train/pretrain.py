"""The recipe `pretrain`: trains a small Llama-architecture language model from nothing, on the dataset's own files.

Read `pretrain` for the course of a run and `_train` for the loop. Decided here: what is agreed between ranks before the
first step (data, tokenizer, checkpoint), and that a run which finished before does nothing and succeeds. One step takes
no random number, so a step is a pure function of the checkpoint before it: that is what makes resuming exact.
"""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

from .checkpoint import Checkpoint, CheckpointStore
from .config import Recipe, check_world
from .corpus import Corpus, open_corpus
from .data import DataPosition, Samples, Tokens, share
from .errors import RecipeError, Stopped
from .evaluate import Evaluation, evaluate
from .export import Finished, export_model, read_finished
from .logs import event, log
from .metrics import Metrics
from .model import build_model, build_optimizer, learning_rate, llama_config, token_losses
from .progress import Report, Reporter
from .strategies import Strategy, on_all, on_main
from .tokenizer import load_tokenizer, train_tokenizer

_GRADIENT_NORM = 1.0
_LOG_SECONDS = 5.0
_METRICS = "metrics.jsonl"
_RNG = "rng.cpu"


@dataclass(frozen=True, slots=True)
class Output:
    """Rank 0's volume."""

    root: Path
    checkpoints: CheckpointStore

    @property
    def model(self) -> Path:
        return self.root / "model"


@dataclass(slots=True)
class Run:
    """One attempt: what was agreed, and how far it is. `step` counts finished optimizer steps."""

    recipe: Recipe
    strategy: Strategy
    output: Output | None
    corpus: Corpus
    tokenizer: Tokenizer
    model: LlamaForCausalLM
    optimizer: torch.optim.Optimizer
    samples: Samples
    step: int
    saved_step: int | None


def pretrain(
    recipe: Recipe, strategy: Strategy, output_dir: Path | None, *, reporter: Reporter, stop_asked: Callable[[], bool]
) -> Finished:
    """The whole recipe, on every rank. Raises RecipeError, or Stopped once a checkpoint is safe."""
    on_all(strategy, lambda: check_world(recipe, strategy.world_size))
    output = _keep_on_main(strategy, lambda: _open_output(output_dir, recipe))
    finished = on_main(strategy, lambda: read_finished(output.model, recipe=recipe.fingerprint) if output else None)
    if finished is not None:
        log.info(event("already_finished", step=finished.step, **finished.evaluation))
        return finished
    run = _prepare(recipe, strategy, output)
    _train(run, reporter, stop_asked)
    return _finish(run)


def _keep_on_main(strategy: Strategy, make: Callable[[], Output]) -> Output | None:
    """Like `on_main`, for what cannot leave rank 0: the others get None."""
    kept: list[Output] = []
    on_main(strategy, lambda: kept.append(make()))
    return kept[0] if kept else None


def _open_output(output_dir: Path | None, recipe: Recipe) -> Output:
    """The job's own directory in the volume; the volume is shared between jobs, so the first attempt makes it."""
    if output_dir is None or not output_dir.parent.is_dir():
        where = output_dir or "not set"
        raise RecipeError(f"SLIPWAY_OUTPUT_DIR ({where}) is not in a volume of rank 0's pod: mount the output there")
    try:
        output_dir.mkdir(exist_ok=True)
    except OSError as error:
        raise RecipeError(f"SLIPWAY_OUTPUT_DIR ({output_dir}) cannot be made: {error.strerror}") from error
    return Output(output_dir, CheckpointStore(output_dir / "checkpoints", keep=recipe.checkpoint.keep))


def _prepare(recipe: Recipe, strategy: Strategy, output: Output | None) -> Run:
    corpus = _agreed_corpus(recipe, strategy)
    checkpoint = output.checkpoints.newest() if output else None
    tokenizer = load_tokenizer(on_main(strategy, lambda: _tokenizer_content(recipe, corpus, checkpoint)))
    model = build_model(llama_config(recipe.model, tokenizer), seed=recipe.training.seed).to(strategy.device)
    optimizer = build_optimizer(model, recipe.training.optimizer)
    step, data = strategy.broadcast((checkpoint.step, checkpoint.data) if checkpoint else (0, DataPosition()))
    if step:
        _restore(strategy, model, optimizer, checkpoint)
    width = recipe.model.context_length + 1
    samples = Samples(corpus, tokenizer, seed=recipe.training.seed, width=width, start=data)
    log.info(
        event(
            "start" if step == 0 else "resume",
            step=step,
            processes=strategy.world_size,
            parameters=sum(p.numel() for p in model.parameters()),
            vocabulary=tokenizer.get_vocab_size(),
            training_files=len(corpus.training),
            held_out_files=len(corpus.held_out),
            threads=torch.get_num_threads(),
        )
    )
    return Run(recipe, strategy, output, corpus, tokenizer, model, optimizer, samples, step, step or None)


def _agreed_corpus(recipe: Recipe, strategy: Strategy) -> Corpus:
    corpus: list[Corpus] = []

    def fingerprint() -> str:
        corpus.append(open_corpus(recipe.dataset))
        return corpus[0].fingerprint

    if len(set(on_all(strategy, fingerprint))) > 1:
        raise RecipeError("dataset: the pods see different files; use one image, or one volume, for all of them")
    return corpus[0]


def _tokenizer_content(recipe: Recipe, corpus: Corpus, checkpoint: Checkpoint | None) -> bytes:
    if checkpoint is not None:
        checkpoint.check_belongs(recipe=recipe.fingerprint, corpus=corpus.fingerprint)
        return checkpoint.tokenizer
    began = time.monotonic()
    content = train_tokenizer(corpus, recipe.model.vocab_size)
    log.info(event("tokenizer", seconds=time.monotonic() - began))
    return content


def _restore(
    strategy: Strategy, model: LlamaForCausalLM, optimizer: torch.optim.Optimizer, checkpoint: Checkpoint | None
) -> None:
    tensors = dict(checkpoint.tensors) if checkpoint else None
    torch.set_rng_state(strategy.broadcast(tensors.pop(_RNG) if tensors is not None else None))
    strategy.restore(model, optimizer, tensors)


def _train(run: Run, reporter: Reporter, stop_asked: Callable[[], bool]) -> None:
    """Steps until the last one, or until a rank is told to stop: then all stop after the same step."""
    wrapped = run.strategy.wrap(run.model)
    pace = _Pace(run.step, tokens_per_step=run.recipe.training.batch_size * run.recipe.model.context_length)
    with Metrics(run.output.root / _METRICS, resume_step=run.step) if run.output else nullcontext() as metrics:
        while run.step < run.recipe.training.steps:
            rate = learning_rate(run.step, steps=run.recipe.training.steps, spec=run.recipe.training.optimizer)
            loss, stop = _step(run, wrapped, rate, stop=stop_asked())
            run.step += 1
            last = run.step == run.recipe.training.steps
            if metrics:
                metrics.write(step=run.step, loss=loss, learningRate=rate)
            if stop or last or run.step % run.recipe.checkpoint.every_steps == 0:
                _save(run)
            if last or pace.due():
                _tell(run, reporter, loss, rate, pace)
            if stop:
                raise Stopped(f"told to stop; the checkpoint of step {run.step} is saved")


def _step(run: Run, wrapped: torch.nn.Module, rate: float, *, stop: bool) -> tuple[float, bool]:
    """One optimizer step on the next global batch: its mean loss in nats per token, and whether a rank is to stop."""
    strategy, bf16 = run.strategy, run.recipe.precision == "bf16"
    batch = share(run.samples.batch(run.recipe.training.batch_size), rank=strategy.rank, world_size=strategy.world_size)
    rows = _to_device(batch, strategy.device)
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    loss = token_losses(wrapped, rows[:, :-1], rows[:, 1:], bf16=bf16).mean()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(run.model.parameters(), _GRADIENT_NORM)
    run.optimizer.step()
    run.optimizer.zero_grad(set_to_none=False)
    total, stops = strategy.sum([float(loss.detach()), float(stop)])
    return total / strategy.world_size, stops > 0


def _to_device(batch: Tokens, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(batch.astype(np.int64)).to(device)


def _save(run: Run) -> None:
    """Rank 0 writes; the others only remember that it did. Nothing is written twice for one step."""
    if run.saved_step == run.step:
        return
    state = run.strategy.capture(run.model, run.optimizer)
    if run.output is not None:
        began = time.monotonic()
        run.output.checkpoints.save(
            Checkpoint(
                step=run.step,
                data=run.samples.position,
                recipe=run.recipe.fingerprint,
                corpus=run.corpus.fingerprint,
                tokenizer=run.tokenizer.to_str().encode(),
                tensors={**state, _RNG: torch.get_rng_state()},
            )
        )
        log.info(event("checkpoint", step=run.step, seconds=time.monotonic() - began))
    run.saved_step = run.step


def _tell(run: Run, reporter: Reporter, loss: float, rate: float, pace: "_Pace") -> None:
    speed = pace.tokens_per_second(run.step)
    steps = run.recipe.training.steps
    log.info(event("step", step=f"{run.step}/{steps}", loss=loss, learning_rate=rate, tokens_per_second=speed))
    if run.strategy.rank == 0:
        reporter.report(
            Report(
                step=run.step,
                total_steps=steps,
                loss=loss,
                tokens_per_second=speed,
                last_checkpoint_step=run.saved_step,
            )
        )


def _finish(run: Run) -> Finished:
    """Evaluates on all ranks, exports on rank 0."""
    began = time.monotonic()
    bf16 = run.recipe.precision == "bf16"
    result: Evaluation = evaluate(
        run.model,
        run.corpus,
        run.tokenizer,
        run.strategy,
        context=run.recipe.model.context_length,
        batch=max(1, run.recipe.training.batch_size // run.strategy.world_size),
        bf16=bf16,
    )
    finished = Finished(step=run.step, evaluation=result.to_json())
    log.info(event("evaluation", seconds=time.monotonic() - began, **finished.evaluation))
    if run.output is not None:
        export_model(run.output.model, run.model, run.tokenizer, finished, recipe=run.recipe.fingerprint, bf16=bf16)
        log.info(event("exported", directory=run.output.model))
    return finished


class _Pace:
    """Tokens per second between log lines, and when one is due: after the first step, then by the clock."""

    def __init__(self, step: int, *, tokens_per_step: int) -> None:
        self._tokens_per_step = tokens_per_step
        self._step = step
        self._since = time.monotonic()
        self._first = True

    def due(self) -> bool:
        return self._first or time.monotonic() - self._since >= _LOG_SECONDS

    def tokens_per_second(self, step: int) -> int:
        now = time.monotonic()
        speed = (step - self._step) * self._tokens_per_step / max(now - self._since, 1e-9)
        self._step, self._since, self._first = step, now, False
        return round(speed)
