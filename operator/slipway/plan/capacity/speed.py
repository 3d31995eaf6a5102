"""How long a step takes at least: what a process computes at its GPU's peak, and what it sends at its link's rate.

Decided here: which figures are known at all. The peak is of bf16 or fp8, so nothing is said of fp32; the link is the
one inside a node, so nothing is said of the sending of a job on several. Both are bounds that no job reaches: half of
the first is good. The count of operations is the one that MFU is defined by (Chowdhery et al. 2022, arXiv:2204.02311,
appendix B).
"""

from .devices import Device
from .layout import Layout, Load
from .model import parameters
from .traffic import sent_bytes


def flops(layout: Layout, load: Load) -> float:
    """Of one process in a step. Recomputing adds a forward pass, a third of forward and backward."""
    shape = load.shape
    of_token = 6 * parameters(shape) + 12 * shape.layers * shape.hidden * shape.context
    again = 4 / 3 if layout.checkpointing == "full" else 1
    return of_token * load.batch * shape.context / layout.processes * again


def compute_seconds(layout: Layout, load: Load, device: Device | None) -> float | None:
    if device is None or load.precision == "fp32":
        return None
    peak = device.fp8_flops if load.precision == "fp8" else device.bf16_flops
    return None if peak is None else flops(layout, load) / peak


def send_seconds(layout: Layout, load: Load, device: Device | None) -> float | None:
    """With offload over the slower of link and PCI Express."""
    if device is None or layout.nodes > 1:
        return None
    rate = device.link_bytes_per_second if layout.offload == "none" else device.host_bytes_per_second
    return sent_bytes(layout, load) / rate
