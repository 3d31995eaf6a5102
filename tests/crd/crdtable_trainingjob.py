"""TrainingJob's rows of the table."""

from .crdtable import (
    ABSENT,
    BAD_NAME,
    BELOW,
    COMMAND_JOB,
    HOLDS_NUL,
    IMAGES,
    LONG_CLAIM,
    LONG_IMAGE,
    NOT_A_DECIMAL,
    NOT_A_NAME,
    NOT_A_QUANTITY,
    NOT_AN_IMAGE,
    NOT_IMAGES,
    RECIPE_JOB,
    STEPS_OUT,
    Case,
)

CUT: dict[str, dict[str, object]] = {"deepspeed": {}, "parallel": {"spec.parallel": {}}}

IMMUTABLE = "cannot change: delete the TrainingJob and create another"
UNEQUAL_SHARES = (
    "training.batchSize must be a multiple of nodes * perNode * accumulationSteps (with parallel: of the data parallel"
    " processes): every process takes an equal share, in equal parts"
)

TRAINING_JOB_CASES = (
    # -- what to run
    Case("recipe", RECIPE_JOB, {}),
    Case("command", COMMAND_JOB, {}),
    Case(
        "recipe and command",
        RECIPE_JOB,
        {"spec.command": ["true"]},
        "spec",
        "exactly one of recipe and command must be set",
    ),
    Case(
        "neither recipe nor command",
        RECIPE_JOB,
        {"spec.recipe": ABSENT},
        "spec",
        "exactly one of recipe and command must be set",
    ),
    Case("no spec", RECIPE_JOB, {"spec": ABSENT}, "spec", "Required value"),
    Case(
        "unknown recipe",
        RECIPE_JOB,
        {"spec.recipe": "dpo"},
        "spec.recipe",
        'supported values: "pretrain", "sft", "lora", "qlora"',
    ),
    Case(
        "recipe without data set",
        RECIPE_JOB,
        {"spec.dataset": ABSENT},
        "spec",
        "a recipe needs dataset and training",
    ),
    Case(
        "recipe without training",
        RECIPE_JOB,
        {"spec.training": ABSENT},
        "spec",
        "a recipe needs dataset and training",
    ),
    *(
        Case(
            f"command with {field}",
            COMMAND_JOB,
            {f"spec.{field}": value},
            "spec",
            "model, dataset, training and checkpoint belong to a recipe: leave them out with command",
        )
        for field, value in {
            "model": {},
            "dataset": {"uri": "file:///data"},
            "training": {"steps": 1},
            "checkpoint": {},
        }.items()
    ),
    *(
        Case(
            f"command with {field}",
            COMMAND_JOB,
            {f"spec.{field}": value},
            "spec",
            "strategy, precision and activationCheckpointing are the recipe's: with command the program decides",
        )
        for field, value in {"strategy": "ddp", "precision": "bf16", "activationCheckpointing": "full"}.items()
    ),
    Case(
        "command with desync",
        COMMAND_JOB,
        {"spec.desync": "Fail"},
        "spec",
        "desync looks into a recipe's ranks: leave it out with command",
    ),
    *(
        Case(
            f"desync with {name}",
            RECIPE_JOB,
            {"spec.desync": "Fail", "spec.strategy": name} | more,
            "spec",
            "desync compares copies that strategies ddp and fsdp hold: leave it out with deepspeed and parallel",
        )
        for name, more in CUT.items()
    ),
    Case("desync with fsdp", RECIPE_JOB, {"spec.desync": "Fail", "spec.strategy": "fsdp"}),
    Case("command with output", COMMAND_JOB, {"spec.output": {"claim": "results"}}),
    Case("empty program", COMMAND_JOB, {"spec.command": [""]}, "spec.command", "must begin with the program to start"),
    Case("empty argument", COMMAND_JOB, {"spec.command": ["true", ""]}),
    Case("argument with NUL", COMMAND_JOB, {"spec.command": ["true", "a\0"]}, "spec.command[1]", HOLDS_NUL),
    # -- where and how
    *(Case(f"image {image}", RECIPE_JOB, {"spec.image": image}) for image in IMAGES),
    *(Case(f"image {image!r}", RECIPE_JOB, {"spec.image": image}, "spec.image", NOT_AN_IMAGE) for image in NOT_IMAGES),
    Case("long image", RECIPE_JOB, {"spec.image": "a" * 256 + ":1"}, "spec.image", LONG_IMAGE),
    Case("gang", RECIPE_JOB, {"spec.nodes": 4, "spec.perNode": 2, "spec.training.batchSize": 24}),
    Case(
        "unequal shares",
        RECIPE_JOB,
        {"spec.nodes": 4, "spec.perNode": 2, "spec.training.batchSize": 20},
        "spec",
        UNEQUAL_SHARES,
    ),
    Case(
        "default batch over three nodes",
        RECIPE_JOB,
        {"spec.nodes": 3},
        "spec",
        UNEQUAL_SHARES,
    ),
    Case("any gang with command", COMMAND_JOB, {"spec.nodes": 3}),
    Case(
        "accelerator", RECIPE_JOB, {"spec.accelerator": "tpu"}, "spec.accelerator", 'supported values: "cpu", "nvidia"'
    ),
    Case("precision", RECIPE_JOB, {"spec.precision": "fp8"}, "spec.precision", 'supported values: "fp32", "bf16"'),
    # -- model
    Case("model by default", RECIPE_JOB, {"spec.model": {}}),
    Case("model", RECIPE_JOB, {"spec.model": {"hiddenSize": 256, "heads": 8, "kvHeads": 4, "layers": 6}}),
    Case(
        "heads do not divide",
        RECIPE_JOB,
        {"spec.model": {"hiddenSize": 200}},
        "spec.model",
        "hiddenSize must be a multiple of heads",
    ),
    Case(
        "odd head size",
        RECIPE_JOB,
        {"spec.model": {"hiddenSize": 198}},
        "spec.model",
        "hiddenSize / heads (the head size) must be even for rotary positions",
    ),
    Case(
        "kvHeads do not divide",
        RECIPE_JOB,
        {"spec.model": {"kvHeads": 4}},
        "spec.model",
        "heads must be a multiple of kvHeads",
    ),
    Case("experts", RECIPE_JOB, {"spec.model": {"experts": 8, "expertsPerToken": 8}}),
    Case(
        "more experts per token than experts",
        RECIPE_JOB,
        {"spec.model": {"experts": 2, "expertsPerToken": 3}},
        "spec.model",
        "expertsPerToken must be at most experts",
    ),
    # -- data set
    Case("data set in a claim", RECIPE_JOB, {"spec.dataset.uri": "pvc://text"}),
    Case("data set in a directory of a claim", RECIPE_JOB, {"spec.dataset.uri": "pvc://text/a/b..c"}),
    *(
        Case(
            f"data set {uri}",
            RECIPE_JOB,
            {"spec.dataset.uri": uri},
            "spec.dataset.uri",
            "must be file:///path, pvc://claim/path, s3://bucket/path or gs://bucket/path",
        )
        for uri in (
            "",
            "/data",
            "file://data",
            "s3://",
            "pvc://",
            "pvc://Claim/data",
            "pvc://a..b",
            "hf://a/b",
            "gs:///x",
        )
    ),
    Case("longest claim", RECIPE_JOB, {"spec.dataset.uri": f"pvc://{'c' * 253}"}),
    Case("long claim", RECIPE_JOB, {"spec.dataset.uri": f"pvc://{'c' * 254}/a"}, "spec.dataset.uri", LONG_CLAIM),
    Case("long file", RECIPE_JOB, {"spec.dataset.uri": f"file:///{'c' * 300}"}),
    Case("data set with NUL", RECIPE_JOB, {"spec.dataset.uri": "file:///a\0"}, "spec.dataset.uri", HOLDS_NUL),
    Case("pattern with NUL", RECIPE_JOB, {"spec.dataset.include": ["a\0"]}, "spec.dataset.include[0]", HOLDS_NUL),
    *(
        Case(f"data set {uri}", RECIPE_JOB, {"spec.dataset.uri": uri}, "spec.dataset.uri", STEPS_OUT)
        for uri in ("pvc://text/../other", "file:///data/..")
    ),
    Case("patterns", RECIPE_JOB, {"spec.dataset.include": ["**/*.py", "docs/*.rst"]}),
    Case("pattern with ..", RECIPE_JOB, {"spec.dataset.include": ["a", "../*"]}, "spec.dataset.include[1]", STEPS_OUT),
    Case(
        "absolute pattern",
        RECIPE_JOB,
        {"spec.dataset.include": ["/etc/*"]},
        "spec.dataset.include[0]",
        "is relative to uri: must not start with /",
    ),
    *(
        Case(f"pattern {pattern}", RECIPE_JOB, {"spec.dataset.include": ["**", "a/**", pattern]})
        for pattern in ("**/a*", "*/**/b", "*.*", ".hidden", "a/.b/..c")
    ),
    *(
        Case(f"pattern {pattern}", RECIPE_JOB, {"spec.dataset.include": [pattern]}, "spec.dataset.include[0]", BELOW)
        for pattern in (".", "./a", "a/.", "a//b", "a/./b", "a/")
    ),
    *(
        Case(
            f"pattern {pattern}",
            RECIPE_JOB,
            {"spec.dataset.include": [pattern]},
            "spec.dataset.include[0]",
            "** must stand alone between slashes: **/*.txt, not **.txt",
        )
        for pattern in ("**.txt", "a/b**", "***", "a**/b")
    ),
    Case(
        "pattern given twice",
        RECIPE_JOB,
        {"spec.dataset.include": ["a", "a"]},
        "spec.dataset.include[1]",
        "Duplicate value",
    ),
    # -- output
    Case("output of a size and class", RECIPE_JOB, {"spec.output": {"size": "1.5Gi", "storageClassName": "fast"}}),
    Case("output deleted with the job", RECIPE_JOB, {"spec.output": {"whenDeleted": "Delete"}}),
    Case("output in a claim", RECIPE_JOB, {"spec.output": {"claim": "results.2"}}),
    *(
        Case(
            f"claim with {field}",
            RECIPE_JOB,
            {"spec.output": {"claim": "results", field: value}},
            "spec.output",
            "claim names an existing volume: leave out size and storageClassName, or leave out claim",
        )
        for field, value in {"size": "1Gi", "storageClassName": "fast"}.items()
    ),
    Case(
        "claim deleted with the job",
        RECIPE_JOB,
        {"spec.output": {"claim": "results", "whenDeleted": "Delete"}},
        "spec.output",
        "Slipway does not delete a claim that it did not make: leave whenDeleted at Retain",
    ),
    *(
        Case(f"claim {name}", RECIPE_JOB, {"spec.output": {"claim": name}}, "spec.output.claim", NOT_A_NAME)
        for name in ("Results_1", "a..b", "a.-b", "a.", "-a")
    ),
    Case(
        "class name", RECIPE_JOB, {"spec.output": {"storageClassName": "-"}}, "spec.output.storageClassName", NOT_A_NAME
    ),
    *(
        Case(f"size {size}", RECIPE_JOB, {"spec.output": {"size": size}}, "spec.output.size", NOT_A_QUANTITY)
        for size in ("10 Gi", "ten", "-1Gi", "1e3", "10GB")
    ),
    Case("size 0", RECIPE_JOB, {"spec.output": {"size": "0Gi"}}, "spec.output.size", "must be at least 1Mi"),
    Case(
        "size in thousandths", RECIPE_JOB, {"spec.output": {"size": "500m"}}, "spec.output.size", "must be at least 1Mi"
    ),
    Case("the largest size", RECIPE_JOB, {"spec.output": {"size": "1023Pi"}}),
    *(
        Case(f"size {size}", RECIPE_JOB, {"spec.output": {"size": size}}, "spec.output.size", "must be less than 1Ei")
        for size in ("1024Pi", f"{'9' * 30}Pi")
    ),
    Case(
        "when deleted",
        RECIPE_JOB,
        {"spec.output": {"whenDeleted": "Keep"}},
        "spec.output.whenDeleted",
        'supported values: "Retain", "Delete"',
    ),
    # -- training
    *(
        Case(f"learning rate {rate}", RECIPE_JOB, {"spec.training.optimizer": {"learningRate": rate}})
        for rate in ("0", "0.003", "3e-4", "1", "1.0e0")
    ),
    *(
        Case(
            f"{field} {text}",
            RECIPE_JOB,
            {"spec.training.optimizer": {field: text}},
            f"spec.training.optimizer.{field}",
            NOT_A_DECIMAL,
        )
        for field in ("learningRate", "weightDecay")
        for text in ("-1", ".5", "1e-300", "nan", "3e-4 ")
    ),
    Case("weight decay of ten", RECIPE_JOB, {"spec.training.optimizer": {"weightDecay": "1e1"}}),
    *(
        Case(
            f"{field} {text}",
            RECIPE_JOB,
            {"spec.training.optimizer": {field: text}},
            f"spec.training.optimizer.{field}",
            message,
        )
        for field, text, message in (
            ("learningRate", "1.0001", "must be between 0 and 1: AdamW moves each weight by about so much in a step"),
            ("learningRate", "3e99", "must be between 0 and 1: AdamW moves each weight by about so much in a step"),
            (
                "weightDecay",
                "10.1",
                "must be between 0 and 10: a step takes this times the learning rate of each weight away",
            ),
        )
    ),
    Case(
        "learning rate without quotes",
        RECIPE_JOB,
        {"spec.training.optimizer": {"learningRate": 0.003}},
        "spec.training.optimizer.learningRate",
        "must be of type string",
    ),
    # -- how it is watched
    Case("desync", RECIPE_JOB, {"spec.desync": "Fail"}),
    Case(
        "desync of another kind",
        RECIPE_JOB,
        {"spec.desync": "Warn"},
        "spec.desync",
        'supported values: "Ignore", "Fail"',
    ),
    # -- checkpoint
    *(
        Case(f"checkpoint {checkpoint}", RECIPE_JOB, {"spec.checkpoint": checkpoint})
        for checkpoint in (
            {"everySteps": 500, "memoryEvery": 499, "keep": 3, "mode": "Sync"},
            {"everySeconds": 600, "memoryEvery": 1_000_000},
            {"memoryEvery": 99},
        )
    ),
    Case(
        "steps and seconds",
        RECIPE_JOB,
        {"spec.checkpoint": {"everySteps": 10, "everySeconds": 60}},
        "spec.checkpoint",
        "everySteps and everySeconds exclude each other: leave one out",
    ),
    *(
        Case(
            f"memory too rarely: {checkpoint}",
            RECIPE_JOB,
            {"spec.checkpoint": checkpoint},
            "spec.checkpoint",
            "memoryEvery must be less than everySteps (100 when left out): it saves nothing else",
        )
        for checkpoint in ({"everySteps": 10, "memoryEvery": 10}, {"memoryEvery": 100})
    ),
    Case(
        "shards in memory",
        RECIPE_JOB,
        {"spec.strategy": "fsdp", "spec.checkpoint": {"layout": "Sharded", "memoryEvery": 5}},
        "spec.checkpoint",
        "memoryEvery keeps whole checkpoints: leave it out with layout Sharded",
    ),
    Case(
        "mode",
        RECIPE_JOB,
        {"spec.checkpoint": {"mode": "async"}},
        "spec.checkpoint.mode",
        'supported values: "Async", "Sync"',
    ),
    # -- pod template
    Case(
        "pod template",
        RECIPE_JOB,
        {
            "spec.podTemplate": {
                "metadata": {"labels": {"team": "a"}, "annotations": {"note": "x"}},
                "spec": {"containers": [{"name": "main", "anything": {"at": ["all"]}}]},
            }
        },
    ),
    # -- name
    Case("longest name", RECIPE_JOB, {"metadata.name": "a" * 40}),
    *(
        Case(f"name {name}", RECIPE_JOB, {"metadata.name": name}, "", BAD_NAME)
        for name in ("a" * 41, "1st", "a.b", "0")
    ),
)
