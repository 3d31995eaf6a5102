"""`python -m tests.perf.train.checkpoint_stall`: for how long a checkpoint holds up the steps, Async against Sync.

Only the ratio counts, of medians on this machine in one run: absolute times are the disk's. Half a minute.
"""

import json
import logging
import os
import statistics
import sys
import tempfile
from pathlib import Path

import torch

from slipway_train.course import follow
from slipway_train.gang import Gang
from slipway_train.profile import gang_of_one
from slipway_train.progress import Reporter, no_sender
from tests.unit.train.support import parse, recipe_json, write_dataset

BOUND_RATIO = 0.5
STEPS, EVERY_STEPS = 24, 4
MODEL = {"vocabSize": 512, "contextLength": 32, "hiddenSize": 512, "layers": 8, "heads": 8, "kvHeads": 8}  # 25M weights


def stalls(mode: str, dataset: Path, output: Path, gang: Gang) -> list[float]:
    """Seconds of each checkpoint but the last, which waits for the end by design."""
    checkpoint = {"everySteps": EVERY_STEPS, "keep": 1, "mode": mode}
    training = {"steps": STEPS, "batchSize": 8}
    recipe = parse(recipe_json(dataset, model=MODEL, training=training, checkpoint=checkpoint))
    with Reporter(no_sender) as reporter:
        follow(recipe, gang, output, reporter=reporter, stop_asked=lambda: False)
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return [line["checkpointStallSeconds"] for line in lines if "checkpointStallSeconds" in line]


def main() -> int:

    os.environ |= gang_of_one()
    torch.set_num_threads(1)
    logging.getLogger("slipway_train").setLevel(logging.ERROR)
    gang = Gang("cpu")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "dataset").mkdir()
        write_dataset(root / "dataset")
        median = {
            mode: statistics.median(stalls(mode, root / "dataset", root / mode, gang)) for mode in ("Sync", "Async")
        }
    gang.close()
    ratio = median["Async"] / median["Sync"]
    sys.stdout.write(f"Sync {median['Sync']:.3f} s, Async {median['Async']:.3f} s per checkpoint: ratio {ratio:.2f}\n")
    return 0 if ratio < BOUND_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
