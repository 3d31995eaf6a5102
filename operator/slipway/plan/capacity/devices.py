"""GPUs by the label that the GPU operator puts on their nodes.

Decided here: that only an exact label is a known card. A shared or partitioned one (`NVIDIA-A100-SXM4-40GB-SHARED`,
`...-MIG-3g.20gb`) is another label, hence unknown: its memory is not one job's. Which cards there are, and where their
figures are from, is in accelerators.yaml.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml

LABEL = "nvidia.com/gpu.product"

GIB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One GPU. Link rates are of one direction: half of what data sheets call NVLink's bandwidth.

    A rate of operations is None where the tensor cores have no such numbers. `link` joins the GPUs of a node, `host` is
    PCI Express. The price is of an hour of one GPU, None where none is known.
    """

    name: str  # what `slipway plan train --gpu` and `slipway plan serve --accelerator` take
    product: str  # the value of LABEL
    memory_bytes: int
    memory_bytes_per_second: float
    fp16_flops: float
    bf16_flops: float | None
    fp8_flops: float | None
    link_bytes_per_second: float
    host_bytes_per_second: float
    dollars_per_hour: float | None = None
    price_source: str | None = None


def _device(entry: Mapping[str, Any]) -> Device:
    """From GiB, GB/s and TFLOP/s, as data sheets have them."""
    flops = {precision: rate * 1e12 for precision, rate in entry["tflops"].items()}
    return Device(
        name=entry["name"],
        product=entry["nodeLabels"][LABEL],
        memory_bytes=round(entry["memoryGiB"] * GIB),
        memory_bytes_per_second=entry["memoryGBps"] * 1e9,
        fp16_flops=flops["fp16"],
        bf16_flops=flops.get("bf16"),
        fp8_flops=flops.get("fp8"),
        link_bytes_per_second=entry["linkGBps"] * 1e9,
        host_bytes_per_second=entry["hostGBps"] * 1e9,
        dollars_per_hour=entry.get("dollarsPerHour"),
        price_source=entry.get("priceSource"),
    )


def _devices() -> tuple[Device, ...]:
    text = resources.files(__package__).joinpath("accelerators.yaml").read_text(encoding="utf-8")
    return tuple(_device(entry) for entry in yaml.safe_load(text)["devices"])


DEVICES = _devices()
BY_PRODUCT: Mapping[str, Device] = {device.product: device for device in DEVICES}
BY_NAME: Mapping[str, Device] = {device.name: device for device in DEVICES}
