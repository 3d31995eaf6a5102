"""What is made: the claim, and the PyTorchJob with its pods. Whole objects are in tests/golden/training."""

import json
from dataclasses import replace
from typing import Any

import pytest

from .builders import (
    COMMAND,
    DEFAULTS,
    JOB,
    NAMESPACE,
    NOTHING_THERE,
    RECIPE,
    UID,
    claim,
    claim_ref,
    fresh,
    observed,
    owner,
    planned,
    running_status,
)

OWNED = {
    "apiVersion": "slipway.dev/v1alpha1",
    "kind": "TrainingJob",
    "name": JOB,
    "uid": UID,
    "controller": True,
    "blockOwnerDeletion": True,
}
LABELS = {
    "app.kubernetes.io/managed-by": "slipway",
    "app.kubernetes.io/component": "trainer",
    "slipway.dev/training-job": JOB,
    "slipway.dev/owner-uid": UID,
    "slipway.dev/attempt": "0",
}


def made(spec: Any, **read: Any) -> Any:
    """The PyTorchJob of a spec. `read` maps claims to their bodies."""
    what = fresh(spec, read=NOTHING_THERE | {claim_ref(name): body for name, body in read.items()})
    (gang,) = planned(what).create
    return gang


def template(spec: Any, role: Any = "Master", **read: Any) -> Any:
    return made(spec, **read)["spec"]["pytorchReplicaSpecs"][role]["template"]


def main(spec: Any, role: Any = "Master", **read: Any) -> Any:
    return template(spec, role, **read)["spec"]["containers"][0]


def variables(spec: Any, role: Any = "Master", **read: Any) -> Any:
    return {each["name"]: each["value"] for each in main(spec, role, **read)["env"]}


def applied(**output: Any) -> Any:
    (body,) = planned(fresh({**RECIPE, "output": output})).apply
    return body


def test_the_claim() -> None:
    assert applied() == {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": "demo-output",
            "namespace": NAMESPACE,
            "labels": {"app.kubernetes.io/managed-by": "slipway", "slipway.dev/training-job": JOB},
        },
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}},
    }


def test_the_claim_as_asked_for() -> None:
    assert applied(size="3Ti", storageClassName="fast")["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "3Ti"}},
        "storageClassName": "fast",
    }


def test_the_job_owns_its_claim_only_when_the_claim_is_to_go_with_it() -> None:
    assert first(whenDeleted="Delete")["metadata"]["ownerReferences"] == [OWNED]
    assert "ownerReferences" not in first(whenDeleted="Retain")["metadata"]


def first(**output: Any) -> Any:
    """The claim of a job that has none yet."""
    (body,) = planned(fresh({**RECIPE, "output": output}, children=())).apply
    return body


def test_a_claim_from_which_a_user_takes_the_owner_stays_so() -> None:
    spec = {**RECIPE, "output": {"whenDeleted": "Delete"}}
    (body,) = planned(fresh(spec, status=running_status(1))).apply
    assert "ownerReferences" not in body["metadata"]


def test_a_claim_of_the_users_is_not_applied() -> None:
    what = fresh({**RECIPE, "output": {"claim": "mine"}}, read=NOTHING_THERE | {claim_ref("mine"): claim()})
    assert planned(what).apply == ()


def test_the_gang() -> None:
    gang = made(RECIPE)
    assert gang["apiVersion"] == "kubeflow.org/v1"
    assert gang["kind"] == "PyTorchJob"
    assert gang["metadata"] == {
        "name": "demo-0",
        "namespace": NAMESPACE,
        "labels": LABELS,
        "ownerReferences": [OWNED],
    }
    assert {key: value for key, value in gang["spec"].items() if key != "pytorchReplicaSpecs"} == {
        "nprocPerNode": "1",
        "runPolicy": {"cleanPodPolicy": "Running"},
    }


@pytest.mark.parametrize(
    ("nodes", "replicas"), [(1, {"Master": 1}), (2, {"Master": 1, "Worker": 1}), (5, {"Master": 1, "Worker": 4})]
)
def test_the_pods_of_the_gang(nodes: Any, replicas: Any) -> None:
    spec = {**RECIPE, "nodes": nodes, "perNode": 2}
    gang = made(spec)
    found = gang["spec"]["pytorchReplicaSpecs"]
    assert {role: each["replicas"] for role, each in found.items()} == replicas
    assert {each["restartPolicy"] for each in found.values()} == {"Never"}
    assert gang["spec"]["nprocPerNode"] == "2"


def test_pods_carry_the_labels_by_which_they_are_found() -> None:
    assert template(RECIPE)["metadata"] == template(RECIPE, "Worker")["metadata"] == {"labels": LABELS}


def test_the_attempt_is_in_name_and_labels() -> None:
    what = fresh(status={"attempt": 3})
    (gang,) = planned(what).create
    assert gang["metadata"]["name"] == "demo-3"
    assert gang["metadata"]["labels"]["slipway.dev/attempt"] == "3"
    pods = gang["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["metadata"]["labels"]
    assert pods["slipway.dev/attempt"] == "3"


@pytest.mark.parametrize("role", ["Master", "Worker"])
def test_every_pod_passes_restricted_pod_security(role: Any) -> None:
    spec = template(RECIPE, role)["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["terminationGracePeriodSeconds"] == 60
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert {kind for volume in spec["volumes"] for kind in volume} <= {
        "name",
        "emptyDir",
        "persistentVolumeClaim",
        "projected",
    }


def test_a_recipe_runs_the_launcher() -> None:
    container = main(RECIPE)
    assert container["command"] == ["python3", "-m", "slipway_train.launch"]
    assert container["image"] == "trainer:1"
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert container["name"] == "pytorch"


def test_an_own_command_runs_under_torchrun_and_gets_no_recipe() -> None:
    container = main({**COMMAND, "image": "mine:1"})
    assert container["command"] == ["torchrun", "--no-python", "python3", "train.py"]
    assert container["image"] == "mine:1"
    assert "SLIPWAY_RECIPE" not in variables(COMMAND)


def test_the_recipe_with_every_default_filled_in() -> None:
    assert json.loads(variables(RECIPE)["SLIPWAY_RECIPE"]) == {
        "recipe": "pretrain",
        "strategy": "ddp",
        "precision": "fp32",
        "ddp": {"bucketMib": 25},
        "activationCheckpointing": "none",
        "accelerator": "cpu",
        "model": {
            "vocabSize": 2048,
            "contextLength": 256,
            "hiddenSize": 192,
            "layers": 4,
            "heads": 6,
            "kvHeads": 2,
            "experts": 1,
            "expertsPerToken": 2,
        },
        "dataset": {
            "path": "/data",
            "include": ["*.py"],
            "heldOutPercent": 5,
            "badRowsPercent": 1,
            "textField": "text",
        },
        "training": {
            "steps": 200,
            "batchSize": 16,
            "accumulationSteps": 1,
            "seed": 0,
            "optimizer": {"learningRate": "0.003", "warmupSteps": 20, "weightDecay": "0.1"},
        },
        "desync": "Ignore",
        "checkpoint": {"everySteps": 100, "keep": 2, "mode": "Async", "layout": "Full"},
        "output": {"merge": "none"},
        "stall": {"factor": 10, "floorSeconds": 600},
    }


def test_where_no_stall_counts_the_watchdog_is_told_nothing() -> None:
    assert "stall" not in json.loads(variables({**RECIPE, "stall": {"factor": 0}})["SLIPWAY_RECIPE"])


def test_the_recipe_as_asked_for() -> None:
    spec = {
        **RECIPE,
        "strategy": "ddp",
        "precision": "bf16",
        "accelerator": "nvidia",
        "model": {"layers": 8},
        "desync": "Fail",
        "checkpoint": {"everySteps": 7, "keep": 1},
    }
    recipe = json.loads(variables(spec)["SLIPWAY_RECIPE"])
    assert (recipe["precision"], recipe["accelerator"], recipe["strategy"]) == ("bf16", "nvidia", "ddp")
    assert recipe["model"]["layers"] == 8
    assert recipe["desync"] == "Fail"
    assert recipe["checkpoint"] == {"everySteps": 7, "keep": 1, "mode": "Async", "layout": "Full"}


def test_rank_0_alone_writes_and_reports() -> None:
    assert list(variables(RECIPE)) == [
        "HOME",
        "OMP_NUM_THREADS",
        "SLIPWAY_RECIPE",
        "SLIPWAY_OUTPUT_DIR",
        "SLIPWAY_PROGRESS_URL",
        "SLIPWAY_PROGRESS_TOKEN_FILE",
    ]
    assert list(variables(RECIPE, "Worker")) == ["HOME", "OMP_NUM_THREADS", "SLIPWAY_RECIPE"]
    assert variables(RECIPE) | {"SLIPWAY_RECIPE": ""} == {
        "HOME": "/tmp",
        "OMP_NUM_THREADS": "1",
        "SLIPWAY_RECIPE": "",
        "SLIPWAY_OUTPUT_DIR": f"/slipway/output/{UID}",
        "SLIPWAY_PROGRESS_URL": "http://slipway-leader.slipway:8090/v1/progress",
        "SLIPWAY_PROGRESS_TOKEN_FILE": "/var/run/secrets/slipway/token",
    }


def names(entries: Any) -> Any:
    return [each["name"] for each in entries]


@pytest.mark.parametrize(
    ("role", "expected"), [("Master", ["tmp", "shm", "output", "progress-token"]), ("Worker", ["tmp", "shm"])]
)
def test_each_volume_is_mounted(role: Any, expected: Any) -> None:
    spec = template(RECIPE, role)["spec"]
    assert names(spec["volumes"]) == names(spec["containers"][0]["volumeMounts"]) == expected


def test_the_volumes_of_rank_0() -> None:
    spec = template(RECIPE)["spec"]
    assert spec["volumes"] == [
        {"name": "tmp", "emptyDir": {"sizeLimit": "10Gi"}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
        {"name": "output", "persistentVolumeClaim": {"claimName": "demo-output"}},
        {
            "name": "progress-token",
            "projected": {
                "sources": [
                    {
                        "serviceAccountToken": {
                            "audience": "slipway.dev/progress",
                            "expirationSeconds": 3600,
                            "path": "token",
                        }
                    }
                ]
            },
        },
    ]
    assert spec["containers"][0]["volumeMounts"] == [
        {"name": "tmp", "mountPath": "/tmp"},
        {"name": "shm", "mountPath": "/dev/shm"},
        {"name": "output", "mountPath": "/slipway/output"},
        {"name": "progress-token", "mountPath": "/var/run/secrets/slipway", "readOnly": True},
    ]


@pytest.mark.parametrize(
    ("checkpoint", "expected"),
    [
        ({"everySeconds": 60}, {"everySeconds": 60, "keep": 2, "mode": "Async", "layout": "Full"}),
        ({"memoryEvery": 5}, {"everySteps": 100, "memoryEvery": 5, "keep": 2, "mode": "Async", "layout": "Full"}),
    ],
)
def test_the_default_interval_gives_way_to_seconds(checkpoint: Any, expected: Any) -> None:
    assert json.loads(variables({**RECIPE, "checkpoint": checkpoint})["SLIPWAY_RECIPE"])["checkpoint"] == expected


def test_checkpoints_in_memory_are_bounded_by_rank_0s_memory_alone() -> None:
    spec = {**RECIPE, "checkpoint": {"memoryEvery": 5}}
    shared = {role: template(spec, role)["spec"]["volumes"][1] for role in ("Master", "Worker")}
    assert shared["Master"] == {"name": "shm", "emptyDir": {"medium": "Memory"}}
    assert shared["Worker"] == {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}


def test_without_an_address_nobody_reports() -> None:
    (gang,) = planned(fresh(), defaults=replace(DEFAULTS, progress_url="")).create
    spec = gang["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]
    assert names(spec["volumes"]) == ["tmp", "shm", "output"]
    assert not any("PROGRESS" in name for name in names(spec["containers"][0]["env"]))


def test_the_installations_image_and_pull_policy() -> None:
    defaults = replace(DEFAULTS, trainer_image="other:2", image_pull_policy="Never")
    (gang,) = planned(fresh(), defaults=defaults).create
    container = gang["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"]["containers"][0]
    assert (container["image"], container["imagePullPolicy"]) == ("other:2", "Never")


@pytest.mark.parametrize(
    ("mode", "shared"), [("ReadWriteMany", True), ("ReadWriteOnce", False), ("ReadWriteOncePod", False)]
)
def test_a_claim_that_every_pod_can_write_is_given_to_every_pod(mode: Any, shared: Any) -> None:
    spec = {**RECIPE, "output": {"claim": "mine"}}
    for role, expected in (("Master", True), ("Worker", shared)):
        pods = template(spec, role, mine=claim(mode))["spec"]
        assert ({"name": "output", "persistentVolumeClaim": {"claimName": "mine"}} in pods["volumes"]) is expected
        assert ("SLIPWAY_OUTPUT_DIR" in variables(spec, role, mine=claim(mode))) is expected


DATA = {**RECIPE, "dataset": {"uri": "pvc://data/texts/en"}}


@pytest.mark.parametrize("role", ["Master", "Worker"])
def test_a_dataset_in_a_claim_is_mounted_read_only_in_every_pod(role: Any) -> None:
    spec = template(DATA, role, data=claim("ReadOnlyMany"))["spec"]
    assert {"name": "dataset", "persistentVolumeClaim": {"claimName": "data", "readOnly": True}} in spec["volumes"]
    assert {
        "name": "dataset",
        "mountPath": "/slipway/dataset",
        "subPath": "texts/en",
        "readOnly": True,
    } in spec["containers"][0]["volumeMounts"]
    assert json.loads(variables(DATA, role, data=claim("ReadOnlyMany"))["SLIPWAY_RECIPE"])["dataset"] == {
        "path": "/slipway/dataset",
        "include": ["**/*.txt"],
        "heldOutPercent": 5,
        "badRowsPercent": 1,
        "textField": "text",
    }
    assert "affinity" not in spec


def test_a_dataset_on_one_node_brings_the_gang_there() -> None:
    term = {
        "labelSelector": {"matchLabels": {"slipway.dev/training-job": JOB, "slipway.dev/attempt": "0"}},
        "topologyKey": "kubernetes.io/hostname",
    }
    affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    for role in ("Master", "Worker"):
        assert template(DATA, role, data=claim("ReadWriteOnce"))["spec"]["affinity"] == affinity
    assert "affinity" not in template({**DATA, "nodes": 1}, data=claim("ReadWriteOnce"))["spec"]


def test_a_gpu_for_each_process() -> None:
    container = main({**RECIPE, "accelerator": "nvidia", "perNode": 8})
    assert container["resources"] == {
        "requests": {"cpu": "250m", "memory": "1Gi"},
        "limits": {"nvidia.com/gpu": "8"},
    }
    assert "OMP_NUM_THREADS" not in variables({**RECIPE, "accelerator": "nvidia"})


def test_a_cpu_job_asks_for_little() -> None:
    assert main(RECIPE)["resources"] == {"requests": {"cpu": "250m", "memory": "1Gi"}}


def test_the_users_template_is_merged_into_every_pod() -> None:
    user = {
        "metadata": {"annotations": {"note": "x"}},
        "spec": {
            "nodeSelector": {"disk": "ssd"},
            "containers": [{"name": "main", "resources": {"requests": {"cpu": "2"}}}],
        },
    }
    spec = {**RECIPE, "podTemplate": user}
    (gang,) = planned(fresh(spec)).create
    for role in ("Master", "Worker"):
        pods = gang["spec"]["pytorchReplicaSpecs"][role]["template"]
        assert pods["metadata"] == {"labels": LABELS, "annotations": {"note": "x"}}
        assert pods["spec"]["nodeSelector"] == {"disk": "ssd"}
        assert pods["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "2", "memory": "1Gi"}


def test_the_claims_of_other_jobs_are_not_taken_for_this_one() -> None:
    what = observed(owner(name="other"), read=NOTHING_THERE)
    assert [ref.name for ref in planned(what).reads] == ["other-0", "other-output"]
