"""Previews with the operator's own plans: what a user of `slipway plan` and `slipway render` sees."""

from typing import Any

import pytest
import yaml

from slipway.__main__ import main

JOB = """
apiVersion: slipway.dev/v1alpha1
kind: TrainingJob
metadata: {name: demo}
spec:
  recipe: pretrain
  dataset: {uri: "file:///usr/lib/python3.11"}
  training: {steps: 10}
"""
SERVICE = """
apiVersion: slipway.dev/v1alpha1
kind: InferenceService
metadata: {name: chat}
spec: {model: {uri: "pvc://models/llama"}, scaling: {maxReplicas: 3}}
"""
CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: models}
spec: {accessModes: [ReadWriteMany]}
status: {phase: Bound}
"""


@pytest.fixture
def shown(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(command: str, text: str) -> str:
        path = tmp_path / "resources.yaml"
        path.write_text(text)
        assert main([command, "-f", str(path)]) == 0
        return capsys.readouterr().out

    return run


def kinds_in(text: str) -> list[tuple[str, str]]:
    return [(each["kind"], each["metadata"]["name"]) for each in yaml.safe_load_all(text)]


def test_a_training_job_becomes_a_claim_and_the_gang_of_its_first_attempt(shown: Any) -> None:
    assert kinds_in(shown("render", JOB)) == [("PersistentVolumeClaim", "demo-output"), ("PyTorchJob", "demo-0")]


def test_a_queued_job_is_shown_as_queued(shown: Any) -> None:
    """Its gang is made suspended, and Kueue lets it run: there is none here."""
    summary = shown("plan", JOB + "  queue: research\n")
    assert "Queued        True     WaitingForAdmission" in summary
    assert "Running       False    Queued: attempt 0 waits in queue research" in summary
    assert "Queued        False    Admitted" not in summary


def test_an_inference_service_becomes_what_serves_and_scales_it(shown: Any) -> None:
    made = {("Deployment", "chat"), ("Service", "chat"), ("ScaledObject", "chat")}
    assert set(kinds_in(shown("render", SERVICE + "---" + CLAIM))) == made


def test_a_service_without_its_claim_makes_nothing_and_says_why(shown: Any) -> None:
    assert shown("render", SERVICE) == "# Nothing would be made: `slipway plan` says why.\n"
    summary = shown("plan", SERVICE)
    assert "looked for    PersistentVolumeClaim default/models, which the file does not have" in summary
    assert "Ready         False" in summary


@pytest.mark.parametrize("command", ["plan", "render"])
def test_a_resource_that_the_operator_would_refuse_is_a_failure(command: str, tmp_path: Any, capsys: Any) -> None:
    path = tmp_path / "resources.yaml"
    path.write_text(
        JOB.replace("steps: 10", "steps: 10, batchSize: 1000000") + "  accelerator: nvidia\n  podTemplate:\n"
        "    {spec: {nodeSelector: {nvidia.com/gpu.product: Tesla-T4}}}\n---" + JOB
    )
    assert main([command, "-f", str(path)]) == 1
    printed = capsys.readouterr()
    assert printed.err == f"{path}: TrainingJob default/demo would not be accepted: DoesNotFit\n"
    assert "PyTorchJob" in printed.out


@pytest.mark.parametrize("command", ["plan", "render"])
def test_a_status_of_null_is_none(command: str, shown: Any) -> None:
    assert shown(command, JOB + "status: null") == shown(command, JOB)


def test_a_claim_whose_spec_is_null_says_nothing_of_it(shown: Any) -> None:
    null = CLAIM.replace("spec: {accessModes: [ReadWriteMany]}", "spec: null")
    without = CLAIM.replace("spec: {accessModes: [ReadWriteMany]}\n", "")
    assert shown("render", SERVICE + "---" + null) == shown("render", SERVICE + "---" + without)


def test_what_a_plan_reads_of_another_resource_is_checked_before(tmp_path: Any, capsys: Any) -> None:
    """The service comes first, and its plan reads the job's status."""
    path = tmp_path / "resources.yaml"
    path.write_text(SERVICE.replace('uri: "pvc://models/llama"', "from: {trainingJob: demo}") + f"---{JOB}status: 5\n")
    assert main(["plan", "-f", str(path)]) == 1
    assert "TrainingJob demo: status: must be a map, not" in capsys.readouterr().err


@pytest.mark.parametrize("value", [".nan", "-.inf", "!!binary aGVsbG8=", "!!set {a}", "!!timestamp 2026-01-01"])
@pytest.mark.parametrize("field", ["command: [a, VALUE]", "podTemplate: {spec: {x: VALUE}}", "output: {claim: VALUE}"])
@pytest.mark.parametrize("command", ["plan", "render"])
def test_what_json_cannot_say_is_refused_in_a_sentence(
    command: str, field: str, value: str, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "resources.yaml"
    path.write_text(f"{JOB}  {field}".replace("VALUE", value))
    assert main([command, "-f", str(path)]) == 1
    printed = capsys.readouterr()
    assert (printed.out, printed.err.startswith(f"{path}: not YAML: ")) == ("", True)


@pytest.mark.parametrize(("command", "stream"), [("plan", "out"), ("render", "err")])
def test_what_only_the_api_server_checks_is_told(command: str, stream: str, tmp_path: Any, capsys: Any) -> None:
    path = tmp_path / "resources.yaml"
    path.write_text(JOB.replace("recipe: pretrain", "recipe: pretrain\n  nodes: 2").replace("10}", "10, batchSize: 3}"))
    assert main([command, "-f", str(path)]) == 0
    assert "Not checked here: the API server's own rules" in getattr(capsys.readouterr(), stream)
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert "kubectl apply --dry-run=server" in " ".join(capsys.readouterr().out.split())
