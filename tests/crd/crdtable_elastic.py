"""TrainingJob's rows about spec.elastic: what it needs, and what does not go with fewer nodes."""

from typing import Any

from .crdtable import COMMAND_JOB, RECIPE_JOB, Case, changed
from .crdtable_strategies import EXPERTS_IN_A_PIPELINE, gang


def elastic(least: int, **more: Any) -> dict[str, Any]:
    return {"spec.elastic": {"minNodes": least, **more}}


FOUR = changed(RECIPE_JOB, {"spec.nodes": 4})
HYBRID = changed(FOUR, {"spec.perNode": 2, "spec.strategy": "fsdp", "spec.fsdp": {"shard": "hybrid"}})

ELASTIC_CASES = (
    Case("elastic", FOUR, elastic(1)),
    Case("elastic with all that can be said", FOUR, elastic(2, waitSeconds=60, growAfterSeconds=600)),
    Case("elastic program", COMMAND_JOB, {"spec.nodes": 3, **elastic(2)}),
    Case("elastic without a number", FOUR, {"spec.elastic": {}}, "spec.elastic.minNodes", "Required value"),
    *(
        Case(
            f"elastic between {least} and 4",
            FOUR,
            elastic(least),
            "spec",
            "elastic.minNodes must be less than nodes, which is the most that the gang has",
        )
        for least in (4, 5)
    ),
    Case("elastic, a batch for few that the numbers between do not divide", FOUR, elastic(1)),
    Case(
        "elastic, a batch that few do not divide",
        RECIPE_JOB,
        {"spec.nodes": 8, **elastic(3)},
        "spec",
        "training.batchSize must be a multiple of elastic.minNodes * perNode * accumulationSteps too (with parallel: "
        "of the data parallel processes): it stays the same with fewer nodes",
    ),
    Case("elastic and cut", gang(8, tensor=2, pipeline=1), elastic(2)),
    Case(
        "elastic, and cut into more than there may be",
        gang(8, tensor=2),
        elastic(1),
        "spec",
        "parallel's tensor * pipeline * context must divide elastic.minNodes * perNode too",
    ),
    Case("elastic with experts", gang(8, expert=4), {"spec.model": {"experts": 4}, **elastic(4)}),
    Case(
        "elastic, and fewer than the experts are dealt out to",
        gang(8, pipeline=2, expert=4),
        {**EXPERTS_IN_A_PIPELINE, **elastic(4)},
        "spec",
        "parallel.expert must divide what tensor and pipeline leave over of elastic.minNodes * perNode too",
    ),
    Case("elastic copies between nodes", HYBRID, elastic(2)),
    Case(
        "elastic without copies between nodes",
        HYBRID,
        elastic(1),
        "spec",
        "fsdp.shard hybrid copies between nodes: elastic.minNodes must be 2 or more",
    ),
    Case(
        "elastic in a queue",
        FOUR,
        {"spec.queue": "gpus", **elastic(1)},
        "spec",
        "elastic and queue exclude each other: Kueue admits a gang whole, and one that would grow might wait for ever: "
        "leave one out",
    ),
    Case("elastic with time to start", FOUR, {"spec.startDeadlineSeconds": 301, **elastic(1)}),
    Case(
        "elastic without time to shrink",
        FOUR,
        {"spec.startDeadlineSeconds": 300, **elastic(1)},
        "spec",
        "startDeadlineSeconds must be more than elastic.waitSeconds: else the job fails before it shrinks",
    ),
)
