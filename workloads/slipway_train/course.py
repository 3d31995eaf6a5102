"""The course of a run, the same for every recipe: output, finished before?, checkpoint, task, strategy, loop, finish.

Decided here: what every process agrees on before the first step, and that a run which finished before does nothing and
succeeds.
"""

from collections.abc import Callable
from pathlib import Path

import torch

from .config import Recipe, check_world
from .export import Finished, read_finished
from .gang import Gang, keep_on_main, on_all, on_main
from .logs import event, log
from .loop import Run, restore, train
from .output import Output, open_output
from .pace import Pace
from .progress import Reporter
from .recipes import make_task
from .strategies.choose import shard


def follow(
    recipe: Recipe, gang: Gang, output_dir: Path | None, *, reporter: Reporter, stop_asked: Callable[[], bool]
) -> Finished:
    """The whole recipe, on every rank. Raises RecipeError, RequirementNotMet, or Stopped once a checkpoint is safe."""
    on_all(gang, lambda: check_world(recipe, gang.world_size))
    output = keep_on_main(gang, lambda: open_output(output_dir, recipe))
    finished = on_main(gang, lambda: _finished(recipe, output))
    if finished is not None:
        log.info(event("already_finished", step=finished.step, **finished.evaluation))
        return finished
    run = _prepare(recipe, gang, output)
    train(run, [_pace(run, reporter)], stop_asked)
    return run.task.finish(run.step, run.sharded, output)


def _pace(run: Run, reporter: Reporter) -> Pace:
    return Pace(run.recipe, reporter if run.gang.rank == 0 else None, step=run.step, bad_rows=lambda: run.task.bad_rows)


def _finished(recipe: Recipe, output: Output | None) -> Finished | None:
    return read_finished(output.last(recipe), recipe=recipe.fingerprint) if output else None


def _prepare(recipe: Recipe, gang: Gang, output: Output | None) -> Run:
    checkpoint = output.checkpoints.newest() if output else None
    task = make_task(recipe, gang, checkpoint)
    parameters = sum(p.numel() for p in task.model.parameters())
    sharded = shard(task.model, recipe, gang)
    step = gang.broadcast(checkpoint.step if checkpoint else 0)
    run = Run(recipe, gang, task, sharded, output, step=step, saved_step=step or None)
    if step:
        restore(run, checkpoint)
    log.info(
        event(
            "start" if step == 0 else "resume",
            step=step,
            processes=gang.world_size,
            strategy=recipe.strategy,
            parameters=parameters,
            threads=torch.get_num_threads(),
        )
    )
    return run
