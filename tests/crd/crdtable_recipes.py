"""TrainingJob's rows of the table: the recipes that go on from a model, their data, and what a model must reach."""

from .crdtable import (
    FP8,
    HOLDS_NUL,
    LONG_CLAIM,
    LORA_JOB,
    NOT_A_DECIMAL,
    RECIPE_JOB,
    SFT_JOB,
    STEPS_OUT,
    Case,
    Obj,
    changed,
)

NO_PERPLEXITY = "must be between 1 and 1000000: 1 is that of a model which is always certain, and right"
NO_SHARE = "must be between 0 and 1: it is a share, such as 0.5 for half of them"

NEEDS_BASE = "baseModel belongs to recipes sft, lora and qlora, and they need it"
EVALUATION_OF_ANSWERS = "evaluation belongs to recipes sft, lora and qlora: only they answer prompts"
COMMAND_JOB = changed(RECIPE_JOB, {"spec": {"command": ["true"]}})


def own_pattern(pattern: str, name: str = "own") -> Obj:
    return {"spec.dataset.cleaning": {"scrubPatterns": [{"name": name, "pattern": pattern}]}}


RECIPE_CASES = (
    # -- what to start from
    *(Case(recipe, SFT_JOB, {"spec.recipe": recipe}) for recipe in ("sft", "lora", "qlora")),
    Case("sft without baseModel", RECIPE_JOB, {"spec.recipe": "sft"}, "spec", NEEDS_BASE),
    Case("pretrain with baseModel", SFT_JOB, {"spec.recipe": "pretrain"}, "spec", NEEDS_BASE),
    Case("command with baseModel", COMMAND_JOB, {"spec.baseModel": {"uri": "file:///m"}}, "spec", NEEDS_BASE),
    Case(
        "sft with a shape",
        SFT_JOB,
        {"spec.model": {}},
        "spec",
        "model is the shape that pretrain makes: sft, lora and qlora take baseModel as it is",
    ),
    *(
        Case(
            f"base model {uri}",
            SFT_JOB,
            {"spec.baseModel.uri": uri},
            "spec.baseModel.uri",
            "must be file:///path or pvc://claim/path",
        )
        for uri in ("s3://bucket/m", "meta-llama/x", "hf://a/b")
    ),
    Case(
        "base model in a long claim",
        SFT_JOB,
        {"spec.baseModel.uri": f"pvc://{'c' * 254}"},
        "spec.baseModel.uri",
        LONG_CLAIM,
    ),
    Case("base model with NUL", SFT_JOB, {"spec.baseModel.uri": "file:///a\0"}, "spec.baseModel.uri", HOLDS_NUL),
    Case("base model that climbs", SFT_JOB, {"spec.baseModel.uri": "pvc://a/../b"}, "spec.baseModel.uri", STEPS_OUT),
    # -- strategies
    *(Case(f"sft by {name}", SFT_JOB, {"spec.strategy": name}) for name in ("ddp", "fsdp", "deepspeed")),
    Case(
        "sft by parallel",
        SFT_JOB,
        {"spec.strategy": "parallel", "spec.parallel": {}},
        "spec",
        "strategy parallel cuts the model that pretrain makes: with sft use fsdp or deepspeed",
    ),
    *(
        Case(
            f"{recipe} by deepspeed",
            LORA_JOB,
            {"spec.recipe": recipe, "spec.strategy": "deepspeed"},
            "spec",
            "recipes lora and qlora train by strategy ddp, or fsdp where the base model is too large for a process",
        )
        for recipe in ("lora", "qlora")
    ),
    *(
        Case(f"{recipe} by {name}", LORA_JOB, {"spec.recipe": recipe, "spec.strategy": name})
        for recipe in ("lora", "qlora")
        for name in ("auto", "ddp", "fsdp")
    ),
    Case("sft in fp8", SFT_JOB, FP8),
    Case(
        "sft in fp8 with an odd context",
        SFT_JOB,
        FP8 | {"spec.baseModel.contextLength": 1000},
        "spec",
        "precision fp8 multiplies by sixteens: make contextLength a multiple of 16, or use bf16",
    ),
    Case(
        "lora in fp8",
        LORA_JOB,
        FP8,
        "spec",
        "precision fp8 is for pretrain and sft, which train every weight: with lora and qlora use bf16",
    ),
    # -- adapter
    Case(
        "adapter", LORA_JOB, {"spec.adapter": {"rank": 8, "targetModules": ["q_proj"]}, "spec.output.merge": "merged"}
    ),
    Case("adapter with sft", SFT_JOB, {"spec.adapter": {}}, "spec", "adapter belongs to recipes lora and qlora"),
    Case(
        "adapter of another layer",
        LORA_JOB,
        {"spec.adapter": {"targetModules": ["lm_head"]}},
        "spec.adapter.targetModules[0]",
        "supported values:",
    ),
    Case(
        "merge with sft",
        SFT_JOB,
        {"spec.output.merge": "merged"},
        "spec",
        "output.merge belongs to recipes lora and qlora: the others write a whole model",
    ),
    # -- data
    *(Case(f"data in {uri}", RECIPE_JOB, {"spec.dataset.uri": uri}) for uri in ("s3://bucket", "gs://bucket/a/b")),
    Case("data that climbs", RECIPE_JOB, {"spec.dataset.uri": "s3://bucket/../x"}, "spec.dataset.uri", STEPS_OUT),
    Case("text field", RECIPE_JOB, {"spec.dataset.textField": "content"}),
    Case(
        "text field of no name",
        RECIPE_JOB,
        {"spec.dataset.textField": "a b"},
        "spec.dataset.textField",
        "must be the name of a field: letters, digits and '_'",
    ),
    Case(
        "text field with sft",
        SFT_JOB,
        {"spec.dataset.textField": "content"},
        "spec",
        "dataset.textField belongs to pretrain: the other recipes find the fields of a row by their names",
    ),
    Case(
        "cleaning",
        SFT_JOB,
        {"spec.dataset.cleaning": {"duplicates": "near", "languages": ["en"], "scrub": ["email", "key"]}},
    ),
    Case("own pattern", RECIPE_JOB, own_pattern(r"(?i)\bcustomer [0-9]{4,}\b")),
    *(
        Case(
            f"own pattern {pattern}",
            RECIPE_JOB,
            own_pattern(pattern),
            "spec.dataset.cleaning.scrubPatterns[0].pattern",
            "must be a regular expression in RE2's syntax, and not one that the empty text matches",
        )
        for pattern in ("(", "(?=a)", "a*", "a|")
    ),
    Case(
        "own pattern of no name",
        RECIPE_JOB,
        own_pattern("a", name="My Own"),
        "spec.dataset.cleaning.scrubPatterns[0].name",
        "must be a word for the placeholder: lower-case letters, digits and '-', a letter first",
    ),
    Case(
        "own patterns of one name",
        RECIPE_JOB,
        {"spec.dataset.cleaning": {"scrubPatterns": [{"name": "a", "pattern": each} for each in ("a", "b")]}},
        "spec.dataset.cleaning.scrubPatterns[1]",
        "Duplicate value",
    ),
    *(
        Case(f"{base['spec']['recipe']} cleaned by length {lengths}", base, {"spec.dataset.cleaning": lengths})
        for base in (RECIPE_JOB, SFT_JOB)
        for lengths in ({"charactersMost": 1}, {"charactersLeast": 10, "charactersMost": 10})
    ),
    Case(
        "no length is right",
        SFT_JOB,
        {"spec.dataset.cleaning": {"charactersLeast": 10, "charactersMost": 9}},
        "spec.dataset.cleaning",
        "charactersLeast must not exceed charactersMost",
    ),
    Case(
        "language by its name",
        SFT_JOB,
        {"spec.dataset.cleaning": {"languages": ["EN"]}},
        "spec.dataset.cleaning.languages[0]",
        "must be a language by ISO 639-1, such as en",
    ),
    # -- what the model must reach
    Case("requirement", RECIPE_JOB, {"spec.output.require": {"perplexityMost": "12.5", "bitsPerByteMost": "2"}}),
    *(
        Case(f"requirement of {field}", LORA_JOB, {"spec.output.require": {field: "0.4"}, **more})
        for field in ("exactMatchLeast", "rouge1Least", "rouge2Least", "rougeLLeast")
        for more in ({}, {"spec.evaluation": {"prompts": 1}})
    ),
    Case("the widest bounds", RECIPE_JOB, {"spec.output.require": {"perplexityMost": "1e6", "bitsPerByteMost": "8"}}),
    Case("the strictest bounds", SFT_JOB, {"spec.output.require": {"perplexityMost": "1", "exactMatchLeast": "1"}}),
    *(
        Case(
            f"{field} {bound}",
            SFT_JOB,
            {"spec.output.require": {field: bound}},
            f"spec.output.require.{field}",
            message,
        )
        for field, bound, message in (
            ("perplexityMost", "0.5", NO_PERPLEXITY),
            ("perplexityMost", "1000001", NO_PERPLEXITY),
            ("bitsPerByteMost", "8.5", "must be between 0 and 8: a byte has no more bits, so any model would do"),
            *((field, "50", NO_SHARE) for field in ("exactMatchLeast", "rouge1Least", "rouge2Least", "rougeLLeast")),
        )
    ),
    Case(
        "empty requirement",
        RECIPE_JOB,
        {"spec.output.require": {}},
        "spec.output.require",
        "must ask for something: leave require out, or set a bound",
    ),
    *(
        Case(
            f"{field} without quotes of a decimal",
            SFT_JOB,
            {"spec.output.require": {field: "high"}},
            f"spec.output.require.{field}",
            NOT_A_DECIMAL,
        )
        for field in (
            "perplexityMost",
            "bitsPerByteMost",
            "exactMatchLeast",
            "rouge1Least",
            "rouge2Least",
            "rougeLLeast",
        )
    ),
    Case(
        "requirement with command",
        COMMAND_JOB,
        {"spec.output.require": {"perplexityMost": "12"}},
        "spec",
        "output.require belongs to a recipe: with command nothing is measured",
    ),
    *(
        Case(
            f"{name} without answers",
            base,
            {"spec.output.require": {"exactMatchLeast": "0.4"}, **more},
            "spec",
            "output.require of exactMatch or ROUGE needs answers: sft, lora or qlora, evaluation.prompts above 0",
        )
        for name, base, more in (
            ("pretrain", RECIPE_JOB, {}),
            ("sft", SFT_JOB, {"spec.evaluation": {"prompts": 0}}),
        )
    ),
    *(
        Case(f"evaluation of {base['spec']['recipe']} {evaluation}", base, {"spec.evaluation": evaluation})
        for base in (SFT_JOB, LORA_JOB)
        for evaluation in ({}, {"prompts": 0}, {"prompts": 8, "answerTokens": 16})
    ),
    Case("evaluation of command", COMMAND_JOB, {"spec.evaluation": {}}, "spec", EVALUATION_OF_ANSWERS),
    Case(
        "evaluation of pretrain",
        RECIPE_JOB,
        {"spec.evaluation": {}},
        "spec",
        EVALUATION_OF_ANSWERS,
    ),
)
