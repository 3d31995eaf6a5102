"""What is known of the memory that a job will find, and what is not guessed."""

from typing import Any

import pytest

from slipway.plan.capacity.devices import BUILT_IN
from slipway.plan.capacity.room import of_device, room_of, unknown

from .builders import GIB, on_gpu, spec, with_limit


def test_a_gpu_is_known_by_its_label() -> None:
    room = room_of(on_gpu("NVIDIA-H200"))
    assert room is not None
    assert (room.memory_bytes, room.sharing, room.device) == (
        BUILT_IN.classes["h200"].memory_bytes,
        1,
        BUILT_IN.classes["h200"],
    )
    assert room.source == "podTemplate.spec.nodeSelector[nvidia.com/gpu.product] NVIDIA-H200"


def test_a_pod_s_limit_is_for_all_of_its_processes() -> None:
    room = room_of(with_limit("4Gi", perNode=2))
    assert room is not None
    assert (room.memory_bytes, room.sharing, room.device) == (4 * GIB, 2, None)
    assert room.source == "podTemplate.spec.containers[main].resources.limits.memory 4Gi"


@pytest.mark.parametrize(
    "what",
    [
        spec(),
        spec(accelerator="nvidia"),
        on_gpu("NVIDIA-H200-SHARED"),
        on_gpu(["NVIDIA-H200"]),
        on_gpu(None),
        spec(accelerator="nvidia", podTemplate={"spec": {"nodeSelector": "NVIDIA-H200"}}),
        with_limit("much"),
        with_limit(None),
        with_limit({}),
        spec(podTemplate={"spec": {"containers": "main"}}),
        spec(podTemplate={"spec": {"containers": [{"name": "main"}, {"name": "main", "resources": {}}]}}),
        spec(podTemplate={"spec": {"containers": [{"name": "other", "resources": {"limits": {"memory": "1Gi"}}}]}}),
        spec(podTemplate={"spec": {"containers": [{"name": "main", "resources": {"requests": {"memory": "1Gi"}}}]}}),
    ],
)
def test_what_does_not_say_is_not_guessed(what: Any) -> None:
    assert room_of(what) is None


def test_a_limit_says_nothing_of_a_gpu_nor_a_gpu_of_a_cpu() -> None:
    limits = with_limit("1Gi").pod_template
    assert room_of(spec(accelerator="nvidia", podTemplate=limits)) is None
    assert room_of(spec(podTemplate=on_gpu("NVIDIA-H200").pod_template)) is None


def test_what_is_not_known_can_be_said() -> None:
    assert "podTemplate.spec.containers[main].resources.limits.memory" in unknown(spec())
    told = unknown(spec(accelerator="nvidia"))
    assert "spec.acceleratorClass" in told
    assert all(name in told for name in BUILT_IN.classes)


def test_a_device_by_itself_is_one_process_s() -> None:
    device: Any = BUILT_IN.classes["l4"]
    assert (of_device(device).sharing, of_device(device).source) == (1, "l4")
