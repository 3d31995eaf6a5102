"""A service of a TrainingJob that wrote an adapter alone: the model that it was trained for, and the adapter on it."""

from typing import Any

import pytest

from slipway.plan.inference.served import Adapter, Served, record, recorded
from slipway.plan.observed import Obj, Ref
from slipway.plan.volumes import ClaimPath, claim_ref

from .world import JOB, JOB_CLAIM, applied, claim, condition, from_job, job, said, settle

BASE_CLAIM = claim_ref("team", "bases")
ANSWERS = "pvc://stdlib-output/uid-7/adapter, an adapter for pvc://bases/llama"


def adapter_job(**output: Any) -> Obj:
    whole = {
        "claim": "stdlib-output",
        "adapterPath": "uid-7/adapter",
        "adapterRank": 16,
        "baseUri": "pvc://bases/llama",
        **output,
    }
    written = {name: value for name, value in whole.items() if value is not None}
    return job(condition("Complete", "True"), output=written)


def objects(**claims: Obj | None) -> dict[Ref, Obj | None]:
    """The job and its claims, with those of `base` and `output` for claims that anyone may mount."""
    found = {"base": claim(), "output": claim(), **claims}
    return {JOB: adapter_job(), BASE_CLAIM: found["base"], JOB_CLAIM: found["output"]}


def pod_of(body: Obj, **fields: Any) -> Obj:
    outcome = settle(body, **{"objects": objects(), **fields})
    pod: Obj = applied(outcome, "Deployment")["spec"]["template"]["spec"]
    return pod


def test_the_engine_serves_the_base_with_the_adapter_under_both_names_of_the_service() -> None:
    arguments = pod_of(from_job())["containers"][0]["args"]
    assert arguments[0] == "/slipway/model/llama"
    start = arguments.index("--served-model-name")
    assert arguments[start : start + 12] == [
        *("--served-model-name", "chat-base"),
        *("--tokenizer", "/slipway/adapter/uid-7/adapter"),
        *("--enable-lora", "--max-loras", "2", "--max-lora-rank", "16"),
        *("--lora-modules", "chat=/slipway/adapter/uid-7/adapter", "team/chat=/slipway/adapter/uid-7/adapter"),
    ]


@pytest.mark.parametrize(("rank", "reserved"), [(1, "1"), (2, "8"), (16, "16"), (300, "320"), (512, "512")])
def test_the_engine_reserves_the_next_rank_that_it_knows(rank: int, reserved: str) -> None:
    arguments = pod_of(from_job(), objects={**objects(), JOB: adapter_job(adapterRank=rank)})["containers"][0]["args"]
    assert arguments[arguments.index("--max-lora-rank") + 1] == reserved


def test_both_claims_are_mounted_read_only_by_the_engine_and_the_check() -> None:
    pod = pod_of(from_job())
    assert [volume["persistentVolumeClaim"] for volume in pod["volumes"][:2]] == [
        {"claimName": "bases"},
        {"claimName": "stdlib-output"},
    ]
    both = [
        {"name": "model", "mountPath": "/slipway/model", "readOnly": True},
        {"name": "adapter", "mountPath": "/slipway/adapter", "readOnly": True},
    ]
    assert pod["containers"][0]["volumeMounts"][:2] == both
    assert pod["initContainers"][0]["volumeMounts"] == both
    assert pod["initContainers"][0]["command"][-2:] == ["--adapter", "/slipway/adapter/uid-7/adapter"]


def test_the_sidecar_asks_the_adapter() -> None:
    command = pod_of(from_job())["initContainers"][1]["command"]
    assert command[command.index("--model") + 1] == "chat"


def test_what_answers_is_told_and_recorded() -> None:
    outcome = settle(from_job(), objects=objects())
    assert said(outcome, "ModelReady") == ("True", "ModelFound", f"{ANSWERS}, written by TrainingJob 'stdlib'")
    assert outcome.status["model"] == {
        "claim": "bases",
        "path": "llama",
        "accessModes": ["ReadWriteMany"],
        "adapter": {"claim": "stdlib-output", "path": "uid-7/adapter", "accessModes": ["ReadWriteMany"], "rank": 16},
        "trainingJob": "stdlib",
        "trainingJobUid": "uid-7",
    }


def test_a_record_reads_back_as_it_was_written() -> None:
    what = Served(ClaimPath("b", ""), ("ReadOnlyMany",), "j", "u", Adapter(ClaimPath("a", "x"), ("ReadWriteOnce",), 8))
    assert recorded({"model": record(what)}) == what


@pytest.mark.parametrize("adapter", [3, {}, {"claim": "a", "path": "x", "accessModes": []}])
def test_what_is_no_record_is_none(adapter: Any) -> None:
    assert recorded({"model": {"claim": "b", "path": "", "accessModes": [], "adapter": adapter}}) is None


@pytest.mark.parametrize("which", ["base", "output"])
def test_the_narrower_claim_says_where_pods_may_run(which: str) -> None:
    assert "affinity" not in pod_of(from_job())
    assert "podAffinity" in pod_of(from_job(), objects=objects(**{which: claim("ReadWriteOnce")}))["affinity"]
    alone = settle(from_job(replicas=2), objects=objects(**{which: claim("ReadWriteOncePod")}))
    name = {"base": "bases", "output": "stdlib-output"}[which]
    _, reason, message = said(alone, "Ready")
    assert (reason, f"PersistentVolumeClaim {name!r}" in message) == ("ClaimAllowsOnePod", True)


@pytest.mark.parametrize(("which", "name"), [("base", "bases"), ("output", "stdlib-output")])
def test_a_claim_that_is_not_there_is_named_before_anything_is_made(which: str, name: str) -> None:
    outcome = settle(from_job(), objects=objects(**{which: None}))
    _, reason, message = said(outcome, "ModelReady")
    assert (reason, f"no PersistentVolumeClaim {name!r}" in message) == ("ClaimNotFound", True)
    assert outcome.apply == ()


@pytest.mark.parametrize("which", ["base", "output"])
def test_what_serves_goes_on_when_a_claim_is_gone(which: str) -> None:
    status = settle(from_job(), objects=objects()).status
    outcome = settle(from_job(), status=status, objects=objects(**{which: None}))
    assert said(outcome, "ModelReady")[:2] == ("False", "ClaimNotFound")
    assert applied(outcome, "Deployment")["spec"]["replicas"] == 1
    assert outcome.status["model"] == status["model"]


def test_the_adapter_outlives_its_job() -> None:
    status = settle(from_job(), objects=objects()).status
    outcome = settle(from_job(), status=status, objects={**objects(), JOB: None})
    kind, reason, message = said(outcome, "ModelReady")
    assert (kind, reason) == ("True", "SourceDeleted")
    assert ANSWERS in message
    assert "train it with output.merge merged" in message, "spec.model.uri cannot name an adapter"
    assert outcome.status["model"] == status["model"]


@pytest.mark.parametrize(
    ("output", "why"),
    [
        (
            {"baseUri": "file:///models/llama"},
            "for the model file:///models/llama, which is on no claim that a replica could mount",
        ),
        ({"baseUri": None}, "for the model of its image, which is on no claim that a replica could mount"),
        ({"adapterRank": 513}, "of rank 513, and the engine takes 512 at most"),
    ],
)
def test_an_adapter_that_cannot_be_served_says_why_and_the_mend(output: Obj, why: str) -> None:
    told = f"TrainingJob 'stdlib' wrote an adapter alone, {why}: train it anew with output.merge merged"
    outcome = settle(from_job(), objects={**objects(), JOB: adapter_job(**output)})
    expected = ("False", "TrainingJobHasNoModel", f"spec.model.from.trainingJob: {told}")
    assert said(outcome, "ModelReady") == expected


def test_a_merged_model_is_served_whole() -> None:
    merged = adapter_job(path="uid-7/model")
    assert "--enable-lora" not in pod_of(from_job(), objects={**objects(), JOB: merged})["containers"][0]["args"]


def test_the_users_own_lora_flags_are_refused_with_an_adapter_alone() -> None:
    body = from_job(engineArgs=["--max-model-len=64", "--lora-modules=mine=/data/mine"])
    _, reason, message = said(settle(body, objects=objects()), "Accepted")
    assert (reason, message.startswith("spec.engineArgs[1]: --lora-modules: ")) == ("ReservedEngineArgument", True)
    assert said(settle(body), "Accepted")[1] == "Accepted", "with a whole model they are the user's"
