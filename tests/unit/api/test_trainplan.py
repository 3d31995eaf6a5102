"""`slipway plan train`: the table and the JSON, and what is refused before either."""

import json
from pathlib import Path
from typing import Any

import pytest

from slipway.__main__ import main

JOB = """
apiVersion: slipway.dev/v1alpha1
kind: TrainingJob
metadata: {name: demo, namespace: team}
spec:
  recipe: pretrain
  accelerator: nvidia
  perNode: 8
  precision: bf16
  model: {vocabSize: 32000, contextLength: 4096, hiddenSize: 4096, layers: 32, heads: 32, kvHeads: 32}
  dataset: {uri: "file:///data"}
  training: {steps: 5, batchSize: 64}
"""
SELECTED = JOB + "  podTemplate: {spec: {nodeSelector: {nvidia.com/gpu.product: NVIDIA-H200}}}\n"
SMALL = JOB.replace("hiddenSize: 4096, layers: 32", "hiddenSize: 256, layers: 2").replace("4096", "256")
ON_CPU = """
apiVersion: slipway.dev/v1alpha1
kind: TrainingJob
metadata: {name: small}
spec:
  recipe: pretrain
  perNode: 2
  dataset: {uri: "file:///data"}
  training: {steps: 5}
  podTemplate: {spec: {containers: [{name: main, resources: {limits: {memory: 4Gi}}}]}}
"""
COMMAND = """
apiVersion: slipway.dev/v1alpha1
kind: TrainingJob
metadata: {name: own}
spec: {command: [python3, train.py]}
"""


@pytest.fixture
def told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """What `slipway plan train` prints for a text, and its exit code's error."""

    def tell(text: str, *arguments: str, code: int = 0) -> str:
        (tmp_path / "job.yaml").write_text(text)
        assert main(["plan", "train", "-f", str(tmp_path / "job.yaml"), *arguments]) == code
        printed = capsys.readouterr()
        return printed.err if code else printed.out

    return tell


def test_the_table_says_what_there_is_what_is_needed_and_why(told: Any) -> None:
    lines = told(SELECTED).splitlines()
    assert lines[0] == "TrainingJob team/demo: 6.58 B parameters in bf16, 262,144 tokens a step, 1 x 8 processes"
    assert lines[1] == (
        "Memory: 139.7 GiB for a process (podTemplate.spec.nodeSelector[nvidia.com/gpu.product] NVIDIA-H200); "
        "estimates are within 15 %."
    )
    assert lines[2] == "Runs as: ddp."
    assert lines[3].startswith("Refused: spec.model: ddp needs ")
    head = "STRATEGY NEEDS WEIGHTS GRADIENTS OPTIMIZER ACTIVATIONS LOGITS TEMPORARY BUCKETS OVERHEAD HOST FITS WHY"
    assert " ".join(lines[5].split()) == head
    (full,) = [" ".join(line.split()) for line in lines if "fsdp full, 8 micro-batches" in line]
    assert full.endswith("batches 40.2 0.995 3.1 9.2 22.8 1.5 0 1.1 1.5 0 yes sends 343.3 GiB a step and not 257.5")
    assert lines[-1].endswith(" more with -o json.")


def test_the_chosen_one_has_a_star(told: Any) -> None:
    lines = told(SMALL, "--gpu", "l4").splitlines()
    (star,) = [line for line in lines if line.startswith("*")]
    assert star.split()[1] == "ddp"
    assert star.endswith("yes   the first that fits")
    assert not any(line.startswith("Refused") for line in lines)


def test_a_gpu_on_the_command_line_is_instead_of_the_file_s(told: Any) -> None:
    assert "Memory: 79.1 GiB for a process (h100-80gb)" in told(SELECTED, "--gpu", "h100-80gb")


def test_what_is_not_known_is_said_and_nothing_refused(told: Any) -> None:
    lines = told(JOB).splitlines()
    assert lines[1].startswith("Memory: not known, so nothing is refused; the GPU is not known: set spec.accelerator")
    assert not any(line.startswith("Refused") for line in lines)
    assert "?     the first in order; how much memory there is is not known" in "\n".join(lines)


def test_cpu_pods_share_their_limit(told: Any) -> None:
    assert "Memory: 4.0 GiB for the 2 processes of a pod (podTemplate.spec.containers[main].resources.limits" in told(
        ON_CPU
    )


def test_json_has_every_alternative_in_bytes(told: Any) -> None:
    (plan,) = json.loads(told(SELECTED, "-o", "json"))
    assert plan["room"]["memoryBytes"] == 150_023_207_649
    assert plan["parameters"] == 6_582_177_792
    assert plan["runsAs"]["strategy"] == "ddp"
    assert plan["refusal"].startswith("spec.model: ddp needs ")
    assert plan["unknown"] is None
    by_name = {each["name"]: each for each in plan["alternatives"]}
    full = by_name["fsdp full, checkpointing"]
    assert (full["strategy"], full["shard"], full["checkpointing"], full["microBatches"]) == ("fsdp", "full", "full", 1)
    assert (
        full["neededBytes"]
        == full["bytes"]["total"]
        == sum(count for name, count in full["bytes"].items() if name not in ("total", "host"))
    )
    assert (full["verdict"], full["chosen"], full["listed"]) == ("fits", False, False)
    assert full["sentBytesPerStep"] > 0
    assert by_name["parallel tensor 1 pipeline 2, 16 micro-batches"]["bubblePercent"] == 6


def test_several_jobs_are_each_told(told: Any) -> None:
    assert [each["job"] for each in json.loads(told(JOB + "---" + ON_CPU, "-o", "json"))] == [
        "team/demo",
        "default/small",
    ]
    assert told(JOB + "---" + ON_CPU).count("TrainingJob ") == 2


def test_the_least_that_a_step_takes(told: Any) -> None:
    (plan,) = json.loads(told(SELECTED, "-o", "json"))
    seconds = {each["name"]: (each["computeSecondsAtPeak"], each["sendSecondsAtPeak"]) for each in plan["alternatives"]}
    assert seconds["ddp"] == (pytest.approx(1.52, rel=0.01), pytest.approx(0.102, rel=0.01))
    assert seconds["ddp, checkpointing"][0] == pytest.approx(1.52 * 4 / 3, rel=0.01)
    (plan,) = json.loads(told(JOB, "-o", "json"))
    assert {each["computeSecondsAtPeak"] for each in plan["alternatives"]} == {None}, "no GPU is known"


def test_a_gpu_without_bf16_is_noted(told: Any) -> None:
    assert "Note: t4 has no tensor cores for bf16" in told(SMALL, "--gpu", "t4")
    assert "Note" not in told(SMALL.replace("bf16", "fp32"), "--gpu", "t4")


@pytest.mark.parametrize(
    ("text", "arguments", "complaint"),
    [
        (COMMAND, (), "spec.command: what a program of your own needs is not known"),
        (JOB, ("--gpu", "H1"), "--gpu H1: not a GPU that is known; it is one of a100-40gb, "),
        (ON_CPU, ("--gpu", "l4"), "spec.accelerator is cpu: leave out --gpu, or set nvidia"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}", (), "no document is a TrainingJob of slipway.dev/v1alpha1"),
        (JOB.replace("recipe: pretrain", "nodes: 1"), (), "spec: exactly one of recipe and command must be set"),
        (JOB.replace("layers: 32", "layers: 0"), (), "spec.model.layers: Input should be greater than or equal to 1"),
    ],
)
def test_what_cannot_be_planned_is_refused(told: Any, text: str, arguments: tuple[str, ...], complaint: str) -> None:
    assert complaint in told(text, *arguments, code=1)


def test_its_options_belong_to_it(capsys: pytest.CaptureFixture[str]) -> None:
    for option in (("--gpu", "l4"), ("-o", "json")):
        assert main(["plan", "-f", "none", *option]) == 2
        assert f"{option[0]} belongs to `slipway plan train`" in capsys.readouterr().err


ACCELERATOR = """
apiVersion: slipway.dev/v1alpha1
kind: Accelerator
metadata: {name: mine}
spec:
  memoryGib: "192"
  memoryGigabytesPerSecond: 5300
  teraflops: {fp16: 1300, bf16: 1300}
  linkGigabytesPerSecond: 64
  hostGigabytesPerSecond: 64
  nodeLabels: {gpu: mine}
"""


def test_an_accelerator_of_the_file_is_planned_with(told: Any) -> None:
    named = JOB.replace("accelerator: nvidia", "accelerator: nvidia\n  acceleratorClass: mine")
    assert "Memory: 192.0 GiB for a process (spec.acceleratorClass mine)" in told(f"{ACCELERATOR}---{named}")
    assert "Memory: 192.0 GiB for a process (mine)" in told(f"{ACCELERATOR}---{JOB}", "--gpu", "Mine")
    complaint = "TrainingJob demo: spec.acceleratorClass: there is no Accelerator 'mine': there are a100-40gb, "
    assert complaint in told(named, code=1)
