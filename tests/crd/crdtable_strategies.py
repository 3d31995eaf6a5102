"""TrainingJob's rows about strategies: what each can be set to, and what does not go together."""

from typing import Any

from .crdtable import COMMAND_JOB, RECIPE_JOB, Case, Obj, changed
from .crdtable_trainingjob import UNEQUAL_SHARES

GPU_JOB = changed(RECIPE_JOB, {"spec.accelerator": "nvidia"})

EXPERTS_IN_A_PIPELINE = {"spec.model": {"experts": 4, "layers": 4}, "spec.training.accumulationSteps": 2}


def gang(size: int, **parallel: Any) -> Obj:
    """A job of `size` processes with strategy parallel."""
    return changed(RECIPE_JOB, {"spec.nodes": size, "spec.strategy": "parallel", "spec.parallel": parallel})


STRATEGY_CASES = (
    Case(
        "unknown strategy",
        RECIPE_JOB,
        {"spec.strategy": "zero"},
        "spec.strategy",
        'supported values: "auto", "ddp", "fsdp", "deepspeed", "parallel"',
    ),
    *(Case(f"strategy {name}", RECIPE_JOB, {"spec.strategy": name}) for name in ("auto", "ddp", "fsdp", "deepspeed")),
    *(
        Case(
            f"{name} with strategy {other}",
            RECIPE_JOB,
            {f"spec.{name}": {}, "spec.strategy": other},
            "spec",
            f"{name} belongs to strategy {name}: leave it out, or set strategy to {name}",
        )
        for name, other in {"ddp": "auto", "fsdp": "ddp", "deepspeed": "fsdp", "parallel": "fsdp"}.items()
    ),
    Case(
        "strategy's settings with command",
        COMMAND_JOB,
        {"spec.fsdp": {}},
        "spec",
        "fsdp belongs to strategy fsdp: leave it out, or set strategy to fsdp",
    ),
    Case("activation checkpointing", RECIPE_JOB, {"spec.activationCheckpointing": "full"}),
    Case(
        "unknown activation checkpointing",
        RECIPE_JOB,
        {"spec.activationCheckpointing": "some"},
        "spec.activationCheckpointing",
        'supported values: "none", "full"',
    ),
    # -- micro-batches
    Case("micro-batches", RECIPE_JOB, {"spec.nodes": 2, "spec.training.accumulationSteps": 8}),
    Case(
        "more micro-batches than rows",
        RECIPE_JOB,
        {"spec.nodes": 2, "spec.training.accumulationSteps": 16},
        "spec",
        UNEQUAL_SHARES,
    ),
    Case(
        "no micro-batch",
        RECIPE_JOB,
        {"spec.training.accumulationSteps": 0},
        "spec.training.accumulationSteps",
        "should be greater than or equal to 1",
    ),
    # -- ddp
    Case("ddp's buckets", RECIPE_JOB, {"spec.strategy": "ddp", "spec.ddp": {"bucketMib": 100}}),
    # -- fsdp
    *(
        Case(f"fsdp {shard}", RECIPE_JOB, {"spec.strategy": "fsdp", "spec.fsdp": {"shard": shard}})
        for shard in ("full", "gradients")
    ),
    Case(
        "fsdp hybrid",
        RECIPE_JOB,
        {"spec.strategy": "fsdp", "spec.fsdp": {"shard": "hybrid"}, "spec.nodes": 2, "spec.perNode": 2},
    ),
    *(
        Case(
            f"fsdp hybrid with {alone} of 1",
            RECIPE_JOB,
            {"spec.strategy": "fsdp", "spec.fsdp": {"shard": "hybrid"}, f"spec.{other}": 4},
            "spec",
            "fsdp.shard hybrid needs nodes and perNode of 2 or more: it cuts within a node and copies between nodes",
        )
        for alone, other in (("nodes", "perNode"), ("perNode", "nodes"))
    ),
    Case("fsdp offload", GPU_JOB, {"spec.strategy": "fsdp", "spec.fsdp": {"offload": "cpu"}}),
    *(
        Case(
            f"{name} offload without a GPU",
            RECIPE_JOB,
            {"spec.strategy": name, f"spec.{name}": {"offload": "cpu"}},
            "spec",
            f"{name}.offload needs a GPU: with accelerator cpu all is in main memory already",
        )
        for name in ("fsdp", "deepspeed")
    ),
    # -- deepspeed
    *(
        Case(
            f"stage {stage}",
            GPU_JOB,
            {"spec.strategy": "deepspeed", "spec.deepspeed": {"stage": stage, "offload": "cpu"}},
        )
        for stage in (1, 2, 3)
    ),
    Case(
        "stage 4",
        RECIPE_JOB,
        {"spec.strategy": "deepspeed", "spec.deepspeed": {"stage": 4}},
        "spec.deepspeed.stage",
        "should be less than or equal to 3",
    ),
    Case(
        "nvme",
        GPU_JOB,
        {"spec.strategy": "deepspeed", "spec.deepspeed": {"stage": 3, "offload": "nvme", "nvmePath": "/scratch"}},
    ),
    Case(
        "nvme with stage 2",
        GPU_JOB,
        {"spec.strategy": "deepspeed", "spec.deepspeed": {"stage": 2, "offload": "nvme", "nvmePath": "/scratch"}},
        "spec.deepspeed",
        "offload nvme needs stage 3",
    ),
    *(
        Case(
            name,
            GPU_JOB,
            {"spec.strategy": "deepspeed", "spec.deepspeed": {"stage": 3, **settings}},
            "spec.deepspeed",
            "nvmePath goes with offload nvme: set both, or neither",
        )
        for name, settings in {
            "nvme nowhere": {"offload": "nvme"},
            "a path without nvme": {"offload": "cpu", "nvmePath": "/scratch"},
        }.items()
    ),
    Case(
        "nvme in a relative path",
        GPU_JOB,
        {"spec.strategy": "deepspeed", "spec.deepspeed": {"stage": 3, "offload": "nvme", "nvmePath": "scratch"}},
        "spec.deepspeed.nvmePath",
        "must be an absolute path, without ':'",
    ),
    # -- parallel
    Case(
        "parallel without sizes",
        RECIPE_JOB,
        {"spec.strategy": "parallel"},
        "spec",
        "strategy parallel needs parallel: how to cut the model",
    ),
    Case("tensor", gang(4, tensor=2), {}),
    Case("context", gang(4, context=4), {}),
    Case("pipeline", gang(4, pipeline=4), {"spec.training.accumulationSteps": 4}),
    Case("interleaved", gang(2, pipeline=2, schedule="Interleaved1F1B"), {"spec.training.accumulationSteps": 2}),
    Case("all of it", gang(8, tensor=2, pipeline=2, context=2), {"spec.training.accumulationSteps": 2}),
    Case("a batch for the data parallel processes", gang(4, tensor=2), {"spec.training.batchSize": 2}),
    Case(
        "a batch for half of the data parallel processes",
        gang(4, tensor=2),
        {"spec.training.batchSize": 3},
        "spec",
        UNEQUAL_SHARES,
    ),
    Case(
        "size 0",
        gang(4, tensor=0),
        {},
        "spec.parallel.tensor",
        "should be greater than or equal to 1",
    ),
    Case(
        "sizes that do not divide the gang",
        gang(4, tensor=2, pipeline=3),
        {"spec.model": {"layers": 6}, "spec.training": {"steps": 1, "batchSize": 12, "accumulationSteps": 3}},
        "spec",
        "parallel's tensor * pipeline * context must divide nodes * perNode: the rest is data parallel",
    ),
    *(
        Case(
            f"{field} that tensor does not divide",
            gang(4, tensor=4),
            {"spec.model": {"hiddenSize": 256, "heads": 8, "kvHeads": 8, **change}},
            "spec",
            "model's heads, kvHeads and vocabSize must be multiples of parallel.tensor",
        )
        for field, change in {
            "heads": {"heads": 2, "kvHeads": 2},
            "kvHeads": {"kvHeads": 2},
            "vocabSize": {"vocabSize": 1002},
        }.items()
    ),
    Case(
        "a feed-forward width that tensor does not divide",
        gang(3, tensor=3),
        {
            "spec.model": {"vocabSize": 1200, "contextLength": 192, "hiddenSize": 96, "heads": 3, "kvHeads": 3},
            "spec.training.batchSize": 4,
        },
        "spec",
        "the feed-forward width (8/3 of model.hiddenSize, rounded up to 32) must be a multiple of parallel.tensor",
    ),
    *(
        Case(
            f"layers that {name} does not divide",
            gang(2, pipeline=2, schedule=schedule),
            {"spec.model": {"layers": layers}, "spec.training.accumulationSteps": 2},
            "spec",
            "model.layers must be a multiple of the stages: parallel.pipeline, twice that when interleaved",
        )
        for name, schedule, layers in (("pipeline", "1F1B", 5), ("an interleaved pipeline", "Interleaved1F1B", 6))
    ),
    *(
        Case(
            f"a context that {name} does not divide",
            gang(2, **{name: 2}),
            {"spec.model": {"contextLength": 34}},
            "spec",
            "model.contextLength must be a multiple of 2 * parallel.context * parallel.tensor",
        )
        for name in ("context", "tensor")
    ),
    Case(
        "micro-batches that pipeline does not divide",
        gang(4, pipeline=4),
        {"spec.training.accumulationSteps": 2},
        "spec",
        "training.accumulationSteps are a pipeline's micro-batches: a multiple of parallel.pipeline",
    ),
    Case("experts", gang(4, expert=4), {"spec.model": {"experts": 8}}),
    Case("experts in a pipeline", gang(4, pipeline=2, expert=2), EXPERTS_IN_A_PIPELINE),
    *(
        Case(
            f"experts dealt out to {name}",
            base,
            EXPERTS_IN_A_PIPELINE,
            "spec",
            "parallel.expert must divide model.experts, and the processes that tensor and pipeline leave over",
        )
        for name, base in {
            "8 processes": gang(8, expert=8),
            "more than a stage's processes": gang(4, pipeline=2, expert=4),
        }.items()
    ),
    Case(
        "experts of a dense model",
        gang(2, expert=2),
        {},
        "spec",
        "parallel.expert must divide model.experts, and the processes that tensor and pipeline leave over",
    ),
    Case(
        "experts cut by tensor",
        gang(2, tensor=2),
        {"spec.model": {"experts": 4}},
        "spec",
        "parallel.tensor cuts no experts: use parallel.expert for a model with them",
    ),
    Case(
        "tensor and expert",
        gang(4, tensor=2, expert=2),
        {"spec.model": {"experts": 4}},
        "spec.parallel",
        "expert and tensor cannot both be more than 1",
    ),
    Case(
        "interleaved without a pipeline",
        gang(2, schedule="Interleaved1F1B"),
        {},
        "spec.parallel",
        "schedule Interleaved1F1B needs a pipeline of 2 or more",
    ),
    # -- checkpoints in shards
    *(
        Case(f"shards by {name}", RECIPE_JOB, {"spec.strategy": name, "spec.checkpoint": {"layout": "Sharded"}})
        for name in ("fsdp", "deepspeed")
    ),
    Case("shards by parallel", gang(1), {"spec.checkpoint": {"layout": "Sharded"}}),
    *(
        Case(
            f"shards by {name}",
            RECIPE_JOB,
            {"spec.strategy": name, "spec.checkpoint": {"layout": "Sharded"}},
            "spec",
            "checkpoint.layout Sharded needs strategy fsdp, deepspeed or parallel: with ddp, which auto may choose,"
            " every process holds the whole model",
        )
        for name in ("auto", "ddp")
    ),
    Case(
        "shards from several pods on a claim of Slipway's",
        RECIPE_JOB,
        {"spec.strategy": "fsdp", "spec.checkpoint": {"layout": "Sharded"}, "spec.nodes": 2},
        "spec",
        "checkpoint.layout Sharded is written from every pod, and the claim that Slipway makes is one pod's: with"
        " several nodes name a ReadWriteMany claim as output.claim",
    ),
    Case(
        "shards from several pods on a claim",
        RECIPE_JOB,
        {
            "spec.strategy": "fsdp",
            "spec.checkpoint": {"layout": "Sharded"},
            "spec.nodes": 2,
            "spec.output": {"claim": "shared"},
        },
    ),
)
