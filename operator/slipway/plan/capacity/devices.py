"""GPUs by the label that the GPU operator puts on their nodes.

Decided here: which cards are known, and that only an exact label is. A shared or partitioned card
(`NVIDIA-A100-SXM4-40GB-SHARED`, `...-MIG-3g.20gb`) is another label, hence unknown: its memory is not one job's.

Memory is what CUDA reports as the card's total (torch's "has a total capacity of ... GiB"), the smallest of several
published for a card, not the name's gigabytes. Bandwidths and dense bf16 rates are the vendor's data sheets':
A100 (nvidia-a100-datasheet, 2021), H100 (h100-datasheet, 2023), H200 (hpc-datasheet-sc23-h200, 2023), B200 (HGX B200 in
blackwell-datasheet, 2024: half of the rate with sparsity), L4 (l4-datasheet, 2023), L40S (l40s-datasheet, 2023), T4
(t4-tensor-core-datasheet, 2018). Labels are gpu-feature-discovery's: NVML's product name with dashes for spaces.
"""

from collections.abc import Mapping
from dataclasses import dataclass

LABEL = "nvidia.com/gpu.product"

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU. Link rates are of one direction: half of what data sheets call NVLink's bandwidth.

    `bf16_flops` is None where the tensor cores have no bf16. `link` joins the GPUs of a node, `host` is PCI Express.
    """

    name: str  # what `slipway plan train --gpu` takes
    product: str  # the value of LABEL
    memory_bytes: int
    memory_bytes_per_second: float
    bf16_flops: float | None
    link_bytes_per_second: float
    host_bytes_per_second: float


def _device(name: str, product: str, *, gib: float, memory: float, bf16: float | None, link: int, host: int) -> Device:
    """`memory`, `link`, `host` in GB/s, `bf16` in TFLOP/s, as data sheets have them."""
    flops = None if bf16 is None else bf16 * 1e12
    return Device(name, product, round(gib * GIB), memory * 1e9, flops, link * 1e9, host * 1e9)


DEVICES = (
    _device("T4", "Tesla-T4", gib=14.56, memory=320, bf16=None, link=16, host=16),
    _device("L4", "NVIDIA-L4", gib=22.03, memory=300, bf16=121, link=32, host=32),
    _device("L40S", "NVIDIA-L40S", gib=44.34, memory=864, bf16=362, link=32, host=32),
    _device("A100-40GB", "NVIDIA-A100-SXM4-40GB", gib=39.38, memory=1555, bf16=312, link=300, host=32),
    _device("A100-PCIE-40GB", "NVIDIA-A100-PCIE-40GB", gib=39.38, memory=1555, bf16=312, link=32, host=32),
    _device("A100-80GB", "NVIDIA-A100-SXM4-80GB", gib=79.14, memory=2039, bf16=312, link=300, host=32),
    _device("A100-PCIE-80GB", "NVIDIA-A100-80GB-PCIe", gib=79.14, memory=1935, bf16=312, link=32, host=32),
    _device("H100-80GB", "NVIDIA-H100-80GB-HBM3", gib=79.1, memory=3350, bf16=989, link=450, host=64),
    _device("H100-PCIE-80GB", "NVIDIA-H100-PCIe", gib=79.1, memory=2000, bf16=756, link=64, host=64),
    _device("H200", "NVIDIA-H200", gib=139.72, memory=4800, bf16=989, link=450, host=64),
    _device("B200", "NVIDIA-B200", gib=178.35, memory=8000, bf16=2250, link=900, host=64),
)
BY_PRODUCT: Mapping[str, Device] = {device.product: device for device in DEVICES}
BY_NAME: Mapping[str, Device] = {device.name: device for device in DEVICES}
