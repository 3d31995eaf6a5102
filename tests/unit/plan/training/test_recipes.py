"""Recipes that go on from a model: what is checked and mounted, what the trainer is told, and what is handed on."""

import json
from typing import Any

import pytest

from .builders import (
    JOB,
    NOTHING_THERE,
    RECIPE,
    UID,
    Obj,
    backend_condition,
    claim,
    claim_ref,
    ended,
    failed,
    fresh,
    gang_ref,
    live,
    planned,
    pod,
    pod_ref,
    running_status,
    told,
    with_gang,
)

SFT: Obj = {
    "recipe": "sft",
    "baseModel": {"uri": "pvc://models/llama/7b"},
    "dataset": {"uri": "s3://bucket/rows"},
    "training": {"steps": 200, "batchSize": 16},
}
LORA: Obj = {**SFT, "recipe": "lora", "baseModel": {"uri": "file:///models/llama"}}
REQUIRED: Obj = {**LORA, "output": {"require": {"perplexityMost": "12.5", "exactMatchLeast": "0.4"}}}
GOOD = {"bitsPerByte": "1.5", "unigramBitsPerByte": "4.5", "perplexity": "9.1", "exactMatch": "0.5", "answers": 32}
BAD = {**GOOD, "perplexity": "13.0", "exactMatch": "0.1"}


def template(spec: Obj, **claims: Any) -> Any:
    what = fresh(spec, read=NOTHING_THERE | {claim_ref(name): body for name, body in claims.items()})
    (gang,) = planned(what).create
    return gang["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]


def recipe(spec: Obj, **claims: Any) -> Any:
    (variable,) = [v for v in template(spec, **claims)["containers"][0]["env"] if v["name"] == "SLIPWAY_RECIPE"]
    return json.loads(variable["value"])


def test_the_base_model_in_a_claim_is_mounted_read_only() -> None:
    spec = template(SFT, models=claim("ReadOnlyMany"))
    mount = {"name": "base-model", "mountPath": "/slipway/base-model", "subPath": "llama/7b", "readOnly": True}
    assert mount in spec["containers"][0]["volumeMounts"]
    assert {"name": "base-model", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}} in spec["volumes"]


def test_what_the_trainer_is_told() -> None:
    told_it = recipe(SFT, models=claim("ReadOnlyMany"))
    assert told_it["baseModel"] == {"path": "/slipway/base-model", "contextLength": 1024}
    assert told_it["dataset"] == {
        "path": "s3://bucket/rows",
        "include": ["**/*.jsonl", "**/*.parquet", "**/*.arrow"],
        "heldOutPercent": 5,
        "badRowsPercent": 1,
    }
    assert told_it["evaluation"] == {"prompts": 32, "answerTokens": 128}
    assert not {"model", "adapter"} & set(told_it)


def test_an_adapter_is_told_with_its_defaults() -> None:
    told_it = recipe({**REQUIRED, "adapter": {"rank": 8}})
    assert told_it["baseModel"]["path"] == "/models/llama"
    modules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    assert told_it["adapter"] == {"rank": 8, "alpha": 32, "dropoutPercent": 0, "targetModules": modules}
    assert told_it["output"] == {"merge": "none", "require": {"perplexityMost": "12.5", "exactMatchLeast": "0.4"}}


@pytest.mark.parametrize("spec", [{**RECIPE, "baseModel": {"uri": "file:///m"}}, {**RECIPE, "recipe": "sft"}])
def test_a_base_model_belongs_to_its_recipes(spec: Obj) -> None:
    status, reason, message = told(planned(fresh(spec)))["Accepted"]
    assert (status, reason) == ("False", "InvalidSpec")
    assert message.startswith("spec.baseModel: ")


def test_a_base_models_claim_is_checked_like_a_datasets() -> None:
    assert claim_ref("models") in planned(fresh(SFT)).reads
    missing = planned(fresh(SFT, read=NOTHING_THERE | {claim_ref("models"): None}))
    assert told(missing)["Accepted"][1:] == (
        "ClaimNotFound",
        "spec.baseModel.uri: the namespace has no PersistentVolumeClaim 'models': create it, or name another",
    )
    alone = planned(fresh({**SFT, "nodes": 2}, read=NOTHING_THERE | {claim_ref("models"): claim("ReadWriteOncePod")}))
    assert told(alone)["Accepted"][1] == "ClaimNotShared"
    assert "spec.baseModel.uri" in told(alone)["Accepted"][2]


@pytest.mark.parametrize(
    ("data", "models", "together"),
    [
        ("ReadOnlyMany", "ReadWriteOnce", True),
        ("ReadWriteOnce", "ReadOnlyMany", True),
        ("ReadOnlyMany", "ReadWriteMany", False),
    ],
)
def test_the_gang_goes_where_its_narrowest_input_is(data: str, models: str, together: bool) -> None:
    spec = {**SFT, "nodes": 2, "dataset": {"uri": "pvc://data"}}
    assert ("affinity" in template(spec, data=claim(data), models=claim(models))) is together


# What is handed on


@pytest.mark.parametrize(
    ("merge", "output"),
    [
        ("none", {"adapterPath": f"{UID}/adapter"}),
        ("merged", {"adapterPath": f"{UID}/adapter", "path": f"{UID}/model"}),
    ],
)
def test_the_output_of_an_adapter(merge: str, output: Obj) -> None:
    made = planned(with_gang(pod(phase="Succeeded"), spec={**LORA, "output": {"merge": merge}}))
    known = {"claim": "demo-output", "adapterRank": 16, "baseUri": "file:///models/llama"}
    assert made.status["output"] == {**known, **output}


def said(evaluation: Any) -> str:
    return json.dumps({"evaluation": evaluation, "step": 200})


def succeeded(evaluation: Any, spec: Obj = REQUIRED, **changes: Any) -> Any:
    return planned(with_gang(pod(phase="Succeeded", containers=(ended(0, said(evaluation)),)), spec=spec, **changes))


def test_a_model_that_is_good_enough() -> None:
    made = succeeded(GOOD)
    assert told(made)["Complete"][0] == "True"
    assert made.status["evaluation"] == GOOD


def test_a_model_that_is_not_good_enough_is_not_handed_on_whatever_the_trainer_thinks() -> None:
    made = succeeded(BAD)
    assert told(made)["Failed"] == (
        "True",
        "RequirementNotMet",
        "spec.output.require: perplexity is 13.0, at most 12.5 is required; "
        "exactMatch is 0.1, at least 0.4 is required",
    )
    assert told(made)["Complete"][0] == told(made)["Ready"][0] == "False"
    assert "output" not in made.status
    assert made.status["evaluation"] == BAD, "the numbers are for whoever wonders"


def test_its_gang_is_left_to_notice_whatever_the_watch_tells_first() -> None:
    """The backend deletes the peers that still run; deleting the gang would take all logs with it."""
    by_index = succeeded(BAD)
    assert by_index.delete == ()
    early = planned(with_gang(pod(), pod("worker-0"), spec=REQUIRED, status=by_index.status))
    assert told(early)["Failed"][1] == "RequirementNotMet"
    assert early.delete == ()


def test_what_was_not_measured_is_not_met() -> None:
    made = succeeded({name: GOOD[name] for name in ("bitsPerByte", "unigramBitsPerByte", "perplexity")})
    assert told(made)["Failed"][2] == "spec.output.require: exactMatch was not measured, at least 0.4 is required"


@pytest.mark.parametrize(
    "evaluation", [None, {}, {**GOOD, "bitsPerByte": "nan"}, {**GOOD, "unigramBitsPerByte": "inf"}]
)
def test_what_is_no_evaluation_meets_no_requirement(evaluation: Any) -> None:
    made = succeeded(evaluation)
    assert told(made)["Failed"][1] == "RequirementNotMet"
    assert told(made)["Complete"][0] == "False"


def test_without_a_requirement_nothing_is_compared() -> None:
    assert told(succeeded(BAD, LORA))["Complete"][0] == "True"


@pytest.mark.parametrize(("evaluation", "kind"), [(GOOD, "Complete"), (BAD, "Failed")])
def test_the_pod_is_read_where_the_backends_word_came_first(evaluation: Any, kind: str) -> None:
    early: Any = {"spec": REQUIRED, "backend": backend_condition("Succeeded"), "status": running_status()}
    rank_0 = pod_ref(f"{JOB}-0-master-0")
    assert planned(with_gang(pod(), **early)).reads == (rank_0,)
    made = planned(with_gang(pod(), read={rank_0: live("Succeeded", exitCode=0, message=said(evaluation))}, **early))
    assert told(made)[kind][0] == "True"


def test_where_the_pod_is_gone_the_trainers_success_is_believed() -> None:
    rank_0 = pod_ref(f"{JOB}-0-master-0")
    made = planned(with_gang(spec=REQUIRED, backend=backend_condition("Succeeded"), read={rank_0: None}))
    assert told(made)["Complete"][0] == "True"


def refusal(evaluation: Any) -> str:
    failure = {"rank": 0, "exitCode": 3, "message": "output.require: perplexity is 13.0, at most 12.5 is required"}
    return json.dumps({"failures": [failure], "evaluation": evaluation})


def test_the_trainers_refusal_is_final_and_keeps_what_was_measured() -> None:
    made = planned(with_gang(failed(message=refusal(BAD), code=3), spec=REQUIRED, status=running_status()))
    status, reason, message = told(made)["Failed"]
    assert (status, reason) == ("True", "RequirementNotMet")
    assert message.endswith("output.require: perplexity is 13.0, at most 12.5 is required")
    assert made.status["evaluation"] == BAD
    assert made.status["attempt"] == 0, "never tried again"


def test_no_rule_mends_a_model_that_is_not_good_enough() -> None:
    rules = [{"reasons": ["PodFailed"], "action": "RestartGangFree"}, {"exitCodes": [3], "action": "RestartGang"}]
    spec: Obj = {**REQUIRED, "failurePolicy": {"rules": rules}}
    made = planned(with_gang(failed(message=refusal(BAD), code=3), spec=spec, status=running_status()))
    assert told(made)["Failed"][1] == "RequirementNotMet"
    assert (made.status["lastFailure"]["reason"], made.status["lastFailure"]["exitCode"]) == ("RequirementNotMet", 3)
    assert "rule" not in made.status["lastFailure"]
    assert (made.status["attempt"], "restarts" in made.status) == (0, False)


def test_the_trainers_refusal_is_read_where_the_watch_is_behind() -> None:
    late: Any = {"backend": backend_condition("Failed"), "status": running_status()}
    read: Any = {pod_ref(f"{JOB}-0-master-0"): live("Failed", exitCode=3, message=refusal(BAD)), gang_ref(): {}}
    made = planned(with_gang(pod(), pod("worker-0"), spec=REQUIRED, read=read, **late))
    assert told(made)["Failed"][1] == "RequirementNotMet"
    assert made.status["evaluation"] == BAD


def test_a_3_of_a_program_that_knows_no_requirement_is_any_failure() -> None:
    read: Any = {pod_ref(f"{JOB}-0-master-0"): None, gang_ref(): {"status": {}}}
    made = planned(with_gang(failed(code=3), spec=LORA, status=running_status(), read=read))
    assert told(made)["Running"][1] == "Restarting"
