"""The course of a run, the same for every recipe: output, finished before?, checkpoint, task, strategy, loop, finish.

Decided here: what every process agrees on before the first step, and that a run which finished before does nothing and
succeeds.
"""

from collections.abc import Callable
from pathlib import Path

import torch

from .compute import ComputeClock
from .config import Recipe, check_world
from .desync import Desync, check_shapes
from .export import Finished, read_finished
from .gang import Gang, keep_on_main, on_all, on_main
from .logs import event, log
from .loop import Observer, Run, train
from .output import Output, open_output
from .pace import Pace
from .progress import Reporter
from .recipes import make_task
from .saving import Saving
from .shardstore import ShardStore, check_volume
from .stragglers import Stragglers
from .strategies.choose import shard
from .strategies.float8 import check_device
from .utilization import of_gang
from .watchdog import Watchdog


def follow(
    recipe: Recipe,
    gang: Gang,
    output_dir: Path | None,
    *,
    reporter: Reporter,
    stop_asked: Callable[[], bool],
    memory_dir: Path | None = None,
    watchdog: Watchdog | None = None,
) -> Finished:
    """The whole recipe, on every rank. Raises RecipeError, RequirementNotMet, or Stopped once a checkpoint is safe."""
    on_all(gang, lambda: check_world(recipe, gang.world_size))
    on_all(gang, lambda: check_device(recipe, gang.device))
    output = keep_on_main(gang, lambda: open_output(output_dir, recipe, memory_dir))
    finished = on_main(gang, lambda: _finished(recipe, output))
    if finished is not None:
        log.info(event("already_finished", step=finished.step, **finished.evaluation))
        return finished
    if recipe.checkpoint.layout == "Sharded":
        check_volume(gang, output_dir)
    run = _prepare(recipe, gang, output, watchdog or Watchdog.of(recipe.stall, log.error))  # not entered: it sleeps
    train(run, _observers(run, reporter), stop_asked)
    return run.task.finish(run.step, run.sharded, output)


def _finished(recipe: Recipe, output: Output | None) -> Finished | None:
    return read_finished(output.last(recipe), recipe=recipe.fingerprint) if output else None


def _prepare(recipe: Recipe, gang: Gang, output: Output | None, watchdog: Watchdog) -> Run:
    checkpoint = output.checkpoints.newest() if output else None
    task = make_task(recipe, gang, checkpoint)
    if recipe.desync == "Fail":
        check_shapes(gang, task.model)
    parameters = sum(p.numel() for p in task.model.parameters())
    clock = ComputeClock(task.model, gang.device)
    utilization = of_gang(task.model, recipe, gang)
    sharded = shard(task.model, recipe, gang)
    step = gang.broadcast(checkpoint.step if checkpoint else 0)
    if step:
        sharded.restore(checkpoint.tensors if checkpoint else None)
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
    saving = _saving(recipe, gang, output, step or None)
    return Run(recipe, gang, task, sharded, output, saving, watchdog, clock, step=step, utilization=utilization)


def _observers(run: Run, reporter: Reporter) -> list[Observer]:
    stragglers = Stragglers(run.gang, run.clock, run.notes)
    mine = reporter if run.gang.rank == 0 else None
    pace = Pace(
        run.recipe,
        mine,
        stragglers,
        step=run.step,
        bad_rows=lambda: run.task.bad_rows,
        utilization=run.utilization,
    )
    watching: list[Observer] = [Desync(run.gang, run.task.model, step=run.step)] if run.recipe.desync == "Fail" else []
    return [*watching, stragglers, pace]


def _saving(recipe: Recipe, gang: Gang, output: Output | None, step: int | None) -> Saving | None:
    if recipe.checkpoint.layout == "Sharded":
        shards = ShardStore(gang, output.checkpoints if output else None)
        return Saving(recipe.checkpoint, shards, None, saved_step=step)
    if output is None:
        return None
    return Saving(recipe.checkpoint, output.checkpoints, output.memory, saved_step=step)
