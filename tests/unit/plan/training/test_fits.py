"""A job that cannot fit where it says that it runs: refused for good, with numbers, before anything is read."""

import json
from typing import Any

import pytest

from slipway.plan.capacity.devices import catalog
from slipway.plan.outcome import Event, Plan

from .builders import (
    COMMAND,
    RECIPE,
    asked,
    failed,
    fresh,
    gang_pods,
    observed,
    owner,
    planned,
    pod,
    running_status,
    told,
    with_gang,
)

GPU = "nvidia.com/gpu.product"
LARGE = {"vocabSize": 32000, "contextLength": 4096, "hiddenSize": 4096, "layers": 32, "heads": 32, "kvHeads": 32}


def selecting(product: Any, **fields: Any) -> Any:
    template = {"spec": {"nodeSelector": {GPU: product}}}
    return {**RECIPE, "accelerator": "nvidia", "model": LARGE, "podTemplate": template, **fields}


def limited(memory: Any, **fields: Any) -> Any:
    container = {"name": "main", "resources": {"limits": {"memory": memory}}}
    return {**RECIPE, "podTemplate": {"spec": {"containers": [container]}}, **fields}


@pytest.mark.parametrize(
    ("spec", "source"),
    [
        (selecting("NVIDIA-A100-SXM4-80GB"), f"nodeSelector[{GPU}] NVIDIA-A100-SXM4-80GB is 79.1 GiB"),
        (limited("512Mi"), "containers[main].resources.limits.memory 512Mi is 0.500 GiB"),
    ],
    ids=["gpu", "cpu"],
)
def test_it_is_refused_once_and_nothing_is_made(spec: Any, source: str) -> None:
    made = planned(observed(owner(spec)))
    status, reason, message = told(made)["Accepted"]
    assert (status, reason) == ("False", "DoesNotFit")
    assert message.startswith("spec.model: ddp needs ")
    assert source in message
    assert told(made)["Running"] == ("False", "NotAccepted", "see condition Accepted")
    assert told(made)["Ready"] == ("False", "DoesNotFit", message)
    assert made.events == (Event("Warning", "DoesNotFit", message),)
    assert (made.apply, made.create, made.delete, made.reads, made.templates) == ((), (), (), (), ())
    assert made.requeue_after is None, "the spec cannot change"


def test_a_gpu_that_does_not_multiply_fp8_is_refused_and_others_are_named() -> None:
    made = planned(observed(owner(selecting("NVIDIA-A100-SXM4-80GB", model={}, precision="fp8"))))
    assert told(made)["Accepted"] == (
        "False",
        "InvalidSpec",
        "spec.precision: a100-80gb does not multiply fp8: set it to bf16, or ask for one of b200, h100-80gb, "
        "h100-pcie-80gb, h200, l4, l40s",
    )
    assert (made.apply, made.create, made.reads, made.templates) == ((), (), (), ())


def test_a_gpu_without_bf16_is_not_told_to_use_it() -> None:
    made = planned(observed(owner(selecting("Tesla-T4", model={}, precision="fp8"))))
    assert told(made)["Accepted"][2].startswith("spec.precision: t4 does not multiply fp8: set it to fp32, or ask for")


@pytest.mark.parametrize(
    "spec",
    [
        selecting("NVIDIA-H100-80GB-HBM3", model={}, precision="fp8"),
        selecting("NVIDIA-A100-SXM4-80GB", model={}, precision="bf16"),
        selecting("NVIDIA-A100-SXM4-80GB-SHARED"),
        selecting("NVIDIA-L4", model={}),
        {**RECIPE, "accelerator": "nvidia", "model": LARGE},
        {**RECIPE, "model": LARGE},
        limited("8Gi"),
        {**COMMAND, "podTemplate": limited("1Ki")["podTemplate"]},
    ],
    ids=["fp8", "bf16", "a share", "a small model", "no selector", "no limit", "enough", "a command"],
)
def test_what_fits_or_is_not_known_is_accepted(spec: Any) -> None:
    assert told(planned(fresh(spec)))["Accepted"][1] == "Accepted"


def test_what_runs_is_left_alone() -> None:
    made = planned(with_gang(*gang_pods(), spec=selecting("NVIDIA-L4"), status=running_status()))
    assert told(made)["Accepted"][1] == "Accepted"
    assert made.delete == ()


@pytest.mark.parametrize("spec", [selecting("NVIDIA-L4"), selecting("Tesla-T4", model={}, precision="fp8")])
def test_what_was_let_run_once_may_restart(spec: Any) -> None:
    made = planned(fresh(spec, status={"attempt": 1}))
    assert told(made)["Accepted"][1] == "Accepted"
    assert [obj["metadata"]["name"] for obj in made.create] == ["demo-1"]


def test_what_is_missing_is_told_first() -> None:
    spec = {name: value for name, value in selecting("NVIDIA-L4").items() if name != "training"}
    assert told(planned(observed(owner(spec))))["Accepted"][1] == "InvalidSpec"


SMALL_CLASS = {
    "memoryGib": "16",
    "memoryGigabytesPerSecond": 300,
    "teraflops": {"fp16": 100, "bf16": 100},
    "linkGigabytesPerSecond": 32,
    "hostGigabytesPerSecond": 32,
    "nodeLabels": {"gpu": "small"},
}
OF_CLASS = {**RECIPE, "accelerator": "nvidia", "acceleratorClass": "small"}


def test_a_job_is_judged_by_the_class_that_it_names() -> None:
    known = catalog({"small": SMALL_CLASS})
    _, reason, message = told(planned(observed(owner({**OF_CLASS, "model": LARGE}), accelerators=known)))["Accepted"]
    assert reason == "DoesNotFit"
    assert "spec.acceleratorClass small is 16.0 GiB" in message
    larger = catalog({"small": {**SMALL_CLASS, "memoryGib": "500"}})
    made = planned(fresh({**OF_CLASS, "model": LARGE}, accelerators=larger))
    assert told(made)["Accepted"][1] == "Accepted"


def test_auto_shares_the_work_by_the_class_that_the_job_names() -> None:
    medium = {"vocabSize": 32000, "contextLength": 256, "hiddenSize": 2048, "layers": 16, "heads": 16, "kvHeads": 16}
    spec = {**OF_CLASS, "perNode": 8, "model": medium}
    assert strategy(planned(fresh(spec, accelerators=catalog({"small": SMALL_CLASS})))) == "fsdp"
    roomy = catalog({"small": {**SMALL_CLASS, "memoryGib": "500"}})
    assert strategy(planned(fresh(spec, accelerators=roomy))) == "ddp"


def strategy(made: Plan) -> Any:
    pod = made.create[0]["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]
    (recipe,) = (each["value"] for each in pod["containers"][0]["env"] if each["name"] == "SLIPWAY_RECIPE")
    return json.loads(recipe)["strategy"]


def test_the_gang_of_a_class_goes_to_its_nodes() -> None:
    made = planned(fresh({**COMMAND, "accelerator": "nvidia", "acceleratorClass": "h200"}))
    roles = made.create[0]["spec"]["pytorchReplicaSpecs"]
    assert roles["Master"]["template"]["spec"]["nodeSelector"] == {GPU: "NVIDIA-H200"}


def test_a_class_that_there_is_not_is_refused_and_waited_for() -> None:
    made = planned(fresh({**COMMAND, "accelerator": "nvidia", "acceleratorClass": "h1000"}))
    status, reason, message = told(made)["Accepted"]
    assert (status, reason, made.create) == ("False", "UnknownAccelerator", ())
    assert message.startswith("spec.acceleratorClass: there is no Accelerator 'h1000': there are a100-40gb, ")


def test_a_class_that_goes_stops_no_gang_and_leaves_the_end_of_an_attempt_as_it_is() -> None:
    spec = {**COMMAND, "nodes": 2, "accelerator": "nvidia", "acceleratorClass": "gone"}
    assert told(planned(with_gang(*gang_pods(), spec=spec, status=running_status())))["Accepted"][1] == "Accepted"
    ends = with_gang(failed(), pod("worker-0"), spec=spec, status=running_status())
    known = with_gang(failed(), pod("worker-0"), spec={**spec, "acceleratorClass": "h200"}, status=running_status())
    assert asked(ends).reads == asked(known).reads, "what must be known of the end is asked as ever"
