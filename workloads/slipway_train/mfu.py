"""Model FLOPs utilization: what share of the devices' peak the model's own arithmetic takes, in percent.

PaLM's definition (Chowdhery et al. 2022, arXiv:2204.02311, appendix B): a token costs 6 N + 12 L H Q T floating point
operations, forward and backward. What is computed twice (activation checkpointing) is not counted twice, and attention
counts in full though half of it is masked, so that the figure can be compared with published ones.

Decided here: which peak counts. It is the dense one, of the number format that the matrix multiplications use (with fp8
most of them), as the maker states it. What is not in the table, a slice of a device (MIG), and a CPU have none: then
there is no MFU, since a guessed peak would give a precise wrong number.
"""

import re

TERA = 1e12

# (name as torch.cuda.get_device_name() says it, TFLOP/s of fp8 and bf16 on tensor cores, of fp32 on none), the first
# that is found in the name. NVIDIA's data sheets state twice as much where "with sparsity" is meant. torch leaves TF32
# off.
PEAKS: tuple[tuple[str, float | None, float, float | None], ...] = (
    ("B200", 4500.0, 2250.0, None),  # nvidia.com/en-us/data-center/dgx-b200: 72 PFLOPS of fp8 for eight, sparse
    ("GH200", 1978.9, 989.4, 66.9),  # nvidia.com/en-us/data-center/grace-hopper-superchip
    ("H200 NVL", 1670.5, 835.5, 60.0),  # nvidia.com/en-us/data-center/h200
    ("H200", 1978.9, 989.4, 66.9),
    ("H100 NVL", 1670.5, 835.5, 60.0),  # nvidia.com/en-us/data-center/h100
    ("H100 PCIe", 1513.0, 756.0, 51.2),  # NVIDIA H100 Tensor Core GPU Architecture, white paper, table 1
    ("H100", 1978.9, 989.4, 66.9),
    ("A100", None, 312.0, 19.5),  # nvidia.com/en-us/data-center/a100
    ("A30", None, 165.0, 10.3),  # nvidia.com/en-us/data-center/products/a30-gpu
    ("L40S", 733.0, 362.0, 91.6),  # nvidia.com/en-us/data-center/l40s
    ("L40", 362.0, 181.0, 90.5),  # nvidia.com/en-us/data-center/l40
    ("L4", 242.0, 121.0, 30.3),  # nvidia.com/en-us/data-center/l4
)


def flops_per_token(
    *, parameters: int, layers: int, heads: int, head_size: int, sequence_length: int, frozen_parameters: int = 0
) -> int:
    """Floating point operations for one token, forward and backward.

    `parameters`: those that are trained and multiplied with. An input embedding is looked up, so it counts only if it
    is the output projection too; of a mixture of experts, those count that a token visits. `frozen_parameters` are
    multiplied with and not trained (below LoRA): 4 operations instead of 6, for no gradient of theirs is computed.
    """
    attention = 12 * layers * heads * head_size * sequence_length
    return 6 * parameters + 4 * frozen_parameters + attention


def peak_flops(device_name: str, precision: str) -> float | None:
    """Dense floating point operations per second of one device at a precision; None where it is not known."""
    if re.search(r"\bMIG\b", device_name):
        return None
    for name, fp8, bf16, fp32 in PEAKS:
        if re.search(rf"\b{name}\b", device_name):
            tera = {"fp8": fp8, "bf16": bf16, "fp32": fp32}.get(precision)
            return None if tera is None else tera * TERA
    return None


def mfu_percent(*, tokens_per_second: float, flops_per_token: int, devices: int, peak_flops: float) -> float:
    """`tokens_per_second` over all `devices`; `peak_flops` of one."""
    return 100 * tokens_per_second * flops_per_token / (devices * peak_flops)
