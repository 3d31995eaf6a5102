"""One rank of a training run that says how much memory it took: started by planned_memory.py, once per process.

Two measures, since neither alone is right. `torch` is the greatest sum of what torch's CPU allocator held, from the
events of torch.profiler: exact, but blind to Python, the tokenizer and the C library. `resident` is the process's
anonymous memory, sampled: what a container's limit kills for, since pages of files can be given back. The profiler adds
to it, so a process measures it before it profiles anything.
"""

import gc
import json
import os
import resource
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from slipway_train.pretrain import pretrain
from torch.profiler import ProfilerActivity, profile

from slipway_train.config import Recipe
from slipway_train.progress import Reporter, no_sender
from slipway_train.strategies.ddp import Ddp

SAMPLE_SECONDS = 0.002


def train(recipe: Recipe, strategy: Ddp, output: Path | None) -> None:
    with Reporter(no_sender) as reporter:
        pretrain(recipe, strategy, output, reporter=reporter, stop_asked=lambda: False)


def torch_peak(run: Callable[[], None]) -> int:
    gc.collect()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as profiler:
        run()
    return _peak(profiler.profiler.kineto_results.events())


def _peak(events: Any) -> int:
    """The highest sum over time of what was allocated, less what was freed."""
    held = highest = 0
    for event in sorted((each for each in events if each.name() == "[memory]"), key=lambda each: each.start_ns()):
        held += event.nbytes()
        highest = max(highest, held)
    return highest


def resident_peak(run: Callable[[], None]) -> int:
    with _sampled() as samples:
        run()
    return max(samples)


@contextmanager
def _sampled() -> Iterator[list[int]]:
    """Bytes of anonymous memory, until the block ends."""
    ended, samples = threading.Event(), [0]
    page = resource.getpagesize()

    def sample() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            _, resident, shared = Path("/proc/self/statm").read_text().split()[:3]
            samples.append((int(resident) - int(shared)) * page)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


MEASURES = {"torch": torch_peak, "resident": resident_peak}


def main() -> None:
    """Arguments: a directory to write in, then a measure and a recipe for each run."""
    torch.set_num_threads(1)
    scratch, *rest = sys.argv[1:]
    strategy = Ddp("cpu")
    for number, (measure, text) in enumerate(zip(rest[::2], rest[1::2], strict=True)):
        recipe = Recipe.model_validate_json(text)
        output = Path(scratch) / f"output-{number}" if strategy.rank == 0 else None
        found = MEASURES[measure](partial(train, recipe, strategy, output))
        if strategy.rank == 0:
            sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
    os._exit(0)  # torch's profiler and gloo take their time to go


if __name__ == "__main__":
    main()
