"""What each TrainingJob of tests/golden/training/inputs becomes, object by object, as it is committed beside it.

`UPDATE_GOLDEN=1 pytest tests/golden` writes the outputs anew; what changed is then read in the diff.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.plan.observed import Observed, Owner, Ref, Verdict
from slipway.plan.outcome import Defaults, Plan
from slipway.plan.training import plan

HERE = Path(__file__).parent / "training"
SAMPLES = sorted((Path(__file__).parents[2] / "workloads" / "samples").glob("trainingjob-*.yaml"))
INPUTS = sorted((HERE / "inputs").glob("*.yaml"))
UPDATE = os.environ.get("UPDATE_GOLDEN") == "1"
NOW = 1_800_000_000.0
DEFAULTS = Defaults(
    trainer_image="slipway/trainer:0.1.0",
    engine_sidecar_image="",
    vllm_images=(),
    progress_url="http://slipway-leader.slipway-system:8090/v1/progress",
    gateway_url="",
    prometheus_url="",
)


def owner(job: dict[str, Any]) -> Owner:
    metadata = job["metadata"]
    return Owner(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=1,
        resource_version="1",
        deleting=False,
        spec=job["spec"],
        status={},
    )


def answered(job: dict[str, Any], claims: dict[str, dict[str, Any]]) -> Plan:
    """The plan of a new job, once all that it asks is answered: `claims` are there, nothing else is."""
    observed = Observed(owner=owner(job))
    while (made := plan(observed, NOW, DEFAULTS)).reads or made.templates:
        read: dict[Ref, dict[str, Any] | None] = {ref: claims.get(ref.name) for ref in made.reads}
        verdicts = {digest: Verdict() for digest, _ in made.templates}
        observed = replace(observed, read={**observed.read, **read}, verdicts={**observed.verdicts, **verdicts})
    return made


def rendered(source: Path) -> list[dict[str, Any]]:
    """The objects that are made: first the claim, and with the claim there, the gang."""
    job, *others = yaml.safe_load_all(source.read_text())
    claims = {body["metadata"]["name"]: body for body in others}
    first = answered(job, claims)
    claims |= {body["metadata"]["name"]: body for body in first.apply}
    second = answered(job, claims)
    assert first.apply == second.apply
    return [*second.apply, *second.create]


@pytest.mark.parametrize("source", INPUTS, ids=lambda path: path.stem)
def test_what_is_made_is_what_is_committed(source: Path) -> None:
    target = HERE / "outputs" / source.name
    objects = rendered(source)
    assert [body["kind"] for body in objects][-1] == "PyTorchJob"
    if UPDATE:
        target.write_text(yaml.safe_dump_all(objects, sort_keys=False, width=120))
    assert objects == list(yaml.safe_load_all(target.read_text()))


@pytest.mark.parametrize("source", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_is_accepted(source: Path) -> None:
    job = yaml.safe_load(source.read_text())
    job["metadata"] |= {"namespace": "demo", "uid": "90000000-0000-0000-0000-000000000009"}
    claim = {"metadata": {}, "spec": {"accessModes": ["ReadWriteMany"]}}
    made = answered(job, dict.fromkeys(("team-checkpoints", "models", "instructions"), claim))
    assert [each["status"] for each in made.status["conditions"] if each["type"] == "Accepted"] == ["True"]


def test_no_output_is_left_without_its_input() -> None:
    assert {path.name for path in (HERE / "outputs").glob("*.yaml")} == {path.name for path in INPUTS}
