"""The table of GPUs: figures that must agree with each other, and labels that must be exact."""

import pytest

from slipway.plan.capacity.devices import BUILT_IN, Device

from .builders import GIB, LABEL


def test_names_and_labels_are_each_one_device() -> None:
    products = {device.labels[LABEL] for device in BUILT_IN.classes.values()}
    assert len(BUILT_IN.classes) == len(products) == 11


@pytest.mark.parametrize("device", BUILT_IN.classes.values(), ids=lambda device: device.name)
def test_figures_are_plausible(device: Device) -> None:
    """A slip of a thousand, or of GB for Gb, shows in the ratios, which have moved little in ten years."""
    assert 10 * GIB < device.memory_bytes < 200 * GIB
    assert 10 < device.memory_bytes / device.memory_bytes_per_second * 1000 < 90, "milliseconds to read it all"
    assert device.host_bytes_per_second <= device.link_bytes_per_second < device.memory_bytes_per_second
    assert 100 < device.fp16_flops / device.memory_bytes_per_second < 450, "operations for each byte"
    assert device.bf16_flops in (None, device.fp16_flops)
    assert device.fp8_flops is None or 1.9 < device.fp8_flops / device.fp16_flops < 2.1
    assert (device.dollars_per_hour is None) == (device.price_source is None), "a price that nobody published"
    assert device.dollars_per_hour is None or 0.3 < device.dollars_per_hour < 10


@pytest.mark.parametrize(
    ("product", "gib", "bf16_tflops"),
    [
        ("NVIDIA-A100-SXM4-40GB", 39.38, 312),
        ("NVIDIA-A100-SXM4-80GB", 79.14, 312),
        ("NVIDIA-H100-80GB-HBM3", 79.1, 989),
        ("NVIDIA-H200", 139.72, 989),
        ("NVIDIA-B200", 178.35, 2250),
        ("NVIDIA-L4", 22.03, 121),
        ("NVIDIA-L40S", 44.34, 362),
        ("Tesla-T4", 14.56, None),
    ],
)
def test_what_cuda_reports_and_vendors_say(product: str, gib: float, bf16_tflops: int | None) -> None:
    device = BUILT_IN.selected({LABEL: product})
    assert device is not None
    assert device.memory_bytes == round(gib * GIB)
    assert device.bf16_flops == (None if bf16_tflops is None else bf16_tflops * 1e12)


@pytest.mark.parametrize("product", ["NVIDIA-A100-SXM4-40GB-SHARED", "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb", "H100", ""])
def test_a_part_of_a_card_is_not_the_card(product: str) -> None:
    assert BUILT_IN.selected({LABEL: product}) is None
