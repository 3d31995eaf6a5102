"""What each sample becomes: the whole plan, object by object, beside this file.

After an intended change: `UPDATE_GOLDEN=1 pytest tests/golden`, and read the difference.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.plan.inference import plan
from slipway.plan.observed import Obj, Observed, Owner, Pod, Verdict
from slipway.plan.outcome import Defaults, Plan

HERE = Path(__file__).parent
SAMPLES = HERE.parents[2] / "workloads" / "samples"
NOW = 1_800_000_000.0
DEFAULTS = Defaults(
    trainer_image="registry.example/slipway/trainer:0.1.0",
    engine_sidecar_image="registry.example/slipway/operator:0.1.0",
    vllm_images=(("cpu", "registry.example/slipway/vllm:0.1.0"), ("nvidia", "docker.io/vllm/vllm-openai:v0.32.0")),
    sglang_images=(("cpu", ""), ("nvidia", "docker.io/lmsysorg/sglang:v0.5.23")),
    progress_url="http://slipway-leader.slipway.svc:8090/v1/progress",
    gateway_url="http://slipway-gateway.slipway.svc",
    prometheus_url="http://prometheus.monitoring.svc:9090",
)

COMPLETE = {"type": "Complete", "status": "True", "reason": "Succeeded", "message": ""}
JOB_UID = "0b8e7a4c-5c4d-4f7e-9a53-2f3f6f6f4b11"
OUTPUT = {"claim": "stdlib-output", "path": f"{JOB_UID}/model"}


def claim(mode: str) -> Obj:
    return {"metadata": {}, "spec": {"accessModes": [mode]}}


JOB_DONE = {
    ("TrainingJob", "stdlib"): {"metadata": {"uid": JOB_UID}, "status": {"conditions": [COMPLETE], "output": OUTPUT}},
    ("PersistentVolumeClaim", "stdlib-output"): claim("ReadWriteOnce"),
}


@dataclass(frozen=True)
class Case:
    """A sample in a cluster that holds `objects`, by kind and name; `serving`: its pod is ready."""

    name: str
    sample: str
    objects: Mapping[tuple[str, str], Obj] = field(default_factory=dict)
    serving: bool = False
    spec: Mapping[str, Any] = field(default_factory=dict)


CASES = (
    Case("from-job-waiting", "inferenceservice-from-job", {("TrainingJob", "stdlib"): {"status": {}}}),
    Case("from-job-starting", "inferenceservice-from-job", JOB_DONE),
    Case("from-job-serving", "inferenceservice-from-job", JOB_DONE, serving=True),
    Case("pvc-missing", "inferenceservice-pvc"),
    Case("pvc", "inferenceservice-pvc", {("PersistentVolumeClaim", "models"): claim("ReadWriteMany")}),
    Case("scaled", "inferenceservice-scaled", JOB_DONE),
    Case(
        "tensor-parallel",
        "inferenceservice-pvc",
        {("PersistentVolumeClaim", "models"): claim("ReadWriteOncePod")},
        spec={"parallelism": {"tensor": 4}, "replicas": 1, "podTemplate": None, "drainSeconds": 0},
    ),
    Case(
        "sglang",
        "inferenceservice-pvc",
        {("PersistentVolumeClaim", "models"): claim("ReadWriteMany")},
        spec={
            "engine": "sglang",
            "engineArgs": ["--context-length=8192", "--mem-fraction-static=0.9"],
            "parallelism": {"tensor": 2},
        },
    ),
)


def observed(case: Case) -> Observed:
    body = yaml.safe_load((SAMPLES / f"{case.sample}.yaml").read_text())
    owner = Owner(
        namespace="team",
        name=body["metadata"]["name"],
        uid="5b1d1f0a-7d0e-4b53-8a86-7c1b3f7d2f10",
        generation=1,
        resource_version="1",
        deleting=False,
        spec={**body["spec"], **case.spec},
        status={},
    )
    return Observed(owner)


def settle(case: Case, seen: Observed) -> Plan:
    """Answer what the plan asks, as the loop does within one visit."""
    outcome = plan(seen, NOW, DEFAULTS)
    while outcome.reads or outcome.templates:
        reads = {ref: case.objects.get((ref.kind, ref.name)) for ref in outcome.reads}
        verdicts = {digest: Verdict() for digest, _ in outcome.templates}
        seen = replace(seen, read={**seen.read, **reads}, verdicts={**seen.verdicts, **verdicts})
        outcome = plan(seen, NOW, DEFAULTS)
    return outcome


def ready_pod(deployment: Obj) -> Pod:
    return Pod(
        namespace="team",
        name="pod-1",
        uid="pod-1-uid",
        labels=deployment["spec"]["template"]["metadata"]["labels"],
        phase="Running",
        reason="",
        message="",
        node="node-1",
        ready=True,
        deleting=False,
        created=NOW,
        started=NOW,
        scheduled=True,
        unschedulable_message="",
    )


def rendered(case: Case) -> Plan:
    seen = observed(case)
    outcome = settle(case, seen)
    return settle(case, replace(seen, pods=(ready_pod(outcome.apply[0]),))) if case.serving else outcome


def as_text(outcome: Plan) -> str:
    told = {key: value for key, value in asdict(outcome).items() if value}
    return yaml.safe_dump(_plain(told), sort_keys=False, width=120)


def _plain(value: Any) -> Any:
    """Tuples as lists, and no shared parts, which YAML would write as anchors."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_plan_is_as_recorded(case: Case) -> None:
    file = HERE / f"{case.name}.yaml"
    text = as_text(rendered(case))
    if os.environ.get("UPDATE_GOLDEN") == "1":
        file.write_text(text)
    assert text == file.read_text()


def test_every_record_has_a_case() -> None:
    assert {file.stem for file in HERE.glob("*.yaml")} == {case.name for case in CASES}


def test_every_sample_is_recorded() -> None:
    assert {file.stem for file in SAMPLES.glob("inferenceservice-*.yaml")} == {case.sample for case in CASES}
