"""Which class of GPUs a spec means: the cluster's own before the built-in ones, and no guess between equals."""

from typing import Any

import pytest

from slipway.api.inferenceservice import InferenceServiceSpec
from slipway.plan.capacity.classes import class_refusal, device_of, node_selector
from slipway.plan.capacity.devices import BUILT_IN, catalog
from slipway.plan.capacity.enginememory import default_batched_tokens
from slipway.plan.capacity.refusal import misfit
from slipway.plan.capacity.room import room_of
from slipway.plan.conditions import Finding

from .builders import GIB, LABEL, SEVEN_BILLION, on_gpu, spec

H200 = {LABEL: "NVIDIA-H200"}


def declared(**changed: Any) -> dict[str, Any]:
    """An Accelerator's spec."""
    figures = {"memoryGigabytesPerSecond": 5300, "linkGigabytesPerSecond": 64, "hostGigabytesPerSecond": 64}
    return {"memoryGib": "192", **figures, "teraflops": {"fp16": 1300}, "nodeLabels": {"gpu": "mine"}, **changed}


def of_class(name: str, selector: Any = None, **fields: Any) -> Any:
    template = {"podTemplate": {"spec": {"nodeSelector": selector}}} if selector is not None else {}
    return spec(accelerator="nvidia", acceleratorClass=name, **template, **fields)


def test_an_accelerator_is_added_to_the_built_in_classes() -> None:
    known = catalog({"mine": declared(dollarsPerHour="2.50", priceSource="our contract")})
    assert set(known.classes) == {*BUILT_IN.classes, "mine"}
    mine = known.classes["mine"]
    assert (mine.memory_bytes, mine.memory_bytes_per_second, mine.fp16_flops) == (192 * GIB, 5.3e12, 1.3e15)
    assert (mine.bf16_flops, mine.fp8_flops, mine.labels) == (None, None, {"gpu": "mine"})
    assert (mine.dollars_per_hour, mine.price_source) == (2.5, "our contract")


def test_an_accelerator_goes_before_the_built_in_class_of_its_name_and_of_its_nodes() -> None:
    known = catalog({"h200": declared(memoryGib="100", nodeLabels=H200)})
    assert (len(known.classes), known.classes["h200"].memory_bytes) == (len(BUILT_IN.classes), 100 * GIB)
    other = catalog({"mine": declared(nodeLabels=H200)})
    assert other.selected(H200) == other.classes["mine"]
    assert BUILT_IN.selected(H200) == BUILT_IN.classes["h200"]


def test_the_class_with_the_most_labels_is_meant_and_between_equals_nobody_is_guessed() -> None:
    zone = {**H200, "zone": "a"}
    known = catalog({"all": declared(nodeLabels=H200), "some": declared(nodeLabels=zone)})
    assert known.selected(zone) == known.classes["some"]
    assert known.selected(H200) == known.classes["all"]
    equal = catalog({"one": declared(nodeLabels=H200), "two": declared(nodeLabels=H200)})
    assert equal.selected(H200) is None
    assert catalog({}).selected({}) is None


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"memoryGib": "much"}, "spec.memoryGib: String should match pattern"),
        ({"teraflops": {}}, "spec.teraflops.fp16: Field required"),
        ({"nodeLabels": {}}, "spec.nodeLabels: Dictionary should have at least 1 item"),
        ({"nodeLabels": {"a b": "c"}}, "spec.nodeLabels: Value error, 'a b' is no label's key"),
        ({"cores": 3}, "spec.cores: Extra inputs are not permitted"),
    ],
)
def test_what_cannot_be_read_is_no_class_and_hides_the_built_in_one(wrong: dict[str, Any], complaint: str) -> None:
    """Else an admin's own figures would silently be replaced by ours."""
    known = catalog({"h200": declared(**wrong)})
    assert "h200" not in known.classes
    assert known.unreadable["h200"].startswith(complaint)
    told = class_refusal(of_class("h200"), known)
    assert told is not None
    assert told.message.startswith(f"spec.acceleratorClass: Accelerator 'h200' cannot be read: {complaint}")


def test_a_class_that_there_is_not_is_refused_with_the_field_and_those_that_there_are() -> None:
    known = catalog({"mine": declared()})
    names = ", ".join(sorted({*BUILT_IN.classes, "mine"}))
    message = f"spec.acceleratorClass: there is no Accelerator 'h1000': there are {names}"
    assert class_refusal(of_class("h1000"), known) == Finding("UnknownAccelerator", message)
    assert class_refusal(of_class("mine"), known) is None
    assert class_refusal(spec(accelerator="nvidia"), known) is None


def test_a_node_selector_that_contradicts_the_class_is_refused() -> None:
    message = (
        "spec.podTemplate.spec.nodeSelector[nvidia.com/gpu.product]: 'NVIDIA-L4' is not what spec.acceleratorClass "
        "h200 stands for, 'NVIDIA-H200': leave one of them out"
    )
    told = class_refusal(of_class("h200", {LABEL: "NVIDIA-L4"}), BUILT_IN)
    assert told == Finding("InvalidPodTemplate", message)
    assert class_refusal(of_class("h200", {**H200, "disk": "fast"}), BUILT_IN) is None


def test_a_class_says_where_pods_go_and_with_what_they_are_planned() -> None:
    known = catalog({"mine": declared(memoryGib="16")})
    named = of_class("mine", model=SEVEN_BILLION)
    assert node_selector(named, known) == {"gpu": "mine"}
    assert node_selector(on_gpu("NVIDIA-H200"), known) == {}
    room = room_of(named, known)
    assert room is not None
    assert (room.memory_bytes, room.source) == (16 * GIB, "spec.acceleratorClass mine")
    assert "spec.acceleratorClass mine is 16.0 GiB" in str(misfit(named, known))
    assert room_of(of_class("gone"), known) is None


def test_a_service_s_node_selector_tells_its_class() -> None:
    body = {"model": {"uri": "pvc://models"}, "accelerator": "nvidia", "podTemplate": {"spec": {"nodeSelector": H200}}}
    service = InferenceServiceSpec.model_validate(body)
    assert device_of(service, BUILT_IN) == BUILT_IN.classes["h200"]
    assert device_of(service.model_copy(update={"accelerator": "cpu"}), BUILT_IN) is None


def test_an_engine_s_defaults_go_by_the_card_whatever_the_class_is_called() -> None:
    labels = {LABEL: "NVIDIA-A100-SXM4-80GB"}
    known = catalog({"ours": declared(memoryGib="79.14", nodeLabels=labels)})
    assert (
        default_batched_tokens(known.classes["ours"]) == default_batched_tokens(BUILT_IN.classes["a100-80gb"]) == 2048
    )
    assert default_batched_tokens(BUILT_IN.classes["h100-80gb"]) == 8192
