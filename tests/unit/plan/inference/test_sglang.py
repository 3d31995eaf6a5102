"""A service with engine sglang: its command, drain and environment, and what it is refused."""

from typing import Any

import pytest

from slipway.plan.inference import engine
from slipway.plan.observed import Obj
from slipway.plan.outcome import Plan

from .test_acceptance import refused
from .test_adapter import objects
from .world import COMPLETE_JOB, JOB, JOB_CLAIM, applied, claim, from_job, said, settle, spec

GPU = {"engine": "sglang", "accelerator": "nvidia"}


def pod_of(outcome: Plan) -> Obj:
    found: Obj = applied(outcome, "Deployment")["spec"]["template"]["spec"]
    return found


def main_of(**fields: Any) -> Obj:
    found: Obj = pod_of(settle(spec(**fields)))["containers"][0]
    return found


def test_the_command_on_gpus() -> None:
    main = main_of(**GPU, parallelism={"tensor": 2}, engineArgs=["--context-length=4096"])
    assert main["command"] == ["python3", "-m", "sglang.launch_server"]
    assert main["args"] == [
        *("--model-path", "/slipway/model/llama"),
        *("--host", "0.0.0.0", "--port", "8000"),
        *("--served-model-name", "chat", "--enable-metrics"),
        *("--tensor-parallel-size", "2"),
        "--context-length=4096",
    ]
    assert main["image"] == "sglang-gpu:1"
    assert {entry["name"] for entry in main["env"]} == set(engine.ENVIRONMENT)


def test_on_a_cpu_it_is_told_so() -> None:
    main = main_of(engine="sglang", image="mine:1")
    assert main["args"][-2:] == ["--device", "cpu"]
    assert {"name": "SGLANG_USE_CPU_ENGINE", "value": "1"} in main["env"]


@pytest.mark.parametrize("drain", [0, 45])
def test_the_grace_period_ends_a_drain_that_has_no_end_of_its_own(drain: int) -> None:
    pod = pod_of(settle(spec(**GPU, drainSeconds=drain)))
    assert pod["terminationGracePeriodSeconds"] == engine.ENDPOINT_SECONDS + drain


def test_readiness_is_the_same_sidecars() -> None:
    sglang, vllm = (
        pod_of(settle(spec(engine=name, accelerator="nvidia")))["initContainers"] for name in ("sglang", "vllm")
    )
    assert sglang == vllm


def test_without_an_image_for_the_accelerator_it_is_refused() -> None:
    message = refused(settle(spec(engine="sglang")), "ImageNotConfigured")
    assert message.startswith("spec.image: this installation has no SGLang image for accelerator cpu: ")


def test_flags_are_checked_against_its_own_options() -> None:
    message = refused(settle(spec(**GPU, engineArgs=["--max-model-len=4096"])), "UnknownEngineArgument")
    assert message.startswith("spec.engineArgs[0]: --max-model-len is not an option of SGLang 0.5.23")
    assert said(settle(spec(**GPU, engineArgs=["--context-length=4096"])), "Accepted")[0] == "True"


def test_a_trained_model_is_served() -> None:
    outcome = settle(from_job(**GPU), objects={JOB: COMPLETE_JOB, JOB_CLAIM: claim()})
    assert said(outcome, "Accepted")[0] == "True"
    assert pod_of(outcome)["containers"][0]["args"][1] == "/slipway/model/uid-7/model"


def test_an_adapter_is_refused_with_the_mend() -> None:
    outcome = settle(from_job(**GPU), objects=objects())
    message = refused(outcome, "UnsupportedByEngine")
    assert message.startswith("spec.engine: SGLang answers as an adapter only where ")
    assert message.endswith("train with output.merge merged, or set vllm")
