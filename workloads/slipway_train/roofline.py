"""What a device can do at its best, measured here and now, and what traced operations ask of it.

Decided here: the peaks are of a large matrix product in the recipe's precision and of a copy that fits no cache, as
torch does them, not a data sheet's. An operation's traffic is its inputs' and its output's size: what the caches save
is not seen, so traffic is an upper bound. Views move nothing.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch

_BYTES = {"double": 8, "long int": 8, "float": 4, "int": 4, "c10::BFloat16": 2, "c10::Half": 2, "bool": 1}
_VIEWS = (
    *("aten::view", "aten::as_strided", "aten::t", "aten::transpose", "aten::expand", "aten::reshape", "aten::slice"),
    *("aten::select", "aten::unsqueeze", "aten::squeeze", "aten::detach", "aten::alias", "aten::permute"),
    *("aten::_unsafe_view", "aten::unbind", "aten::split", "aten::narrow", "aten::lift_fresh", "aten::resize_"),
    *("aten::empty", "aten::empty_like", "aten::empty_strided", "aten::resolve_conj", "aten::resolve_neg"),
)
_COPY_BYTES = 64 * 2**20
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Work:
    """Floating-point operations, and bytes read and written."""

    flops: float
    bytes: float


def best(device: torch.device, *, bf16: bool) -> Work:
    """Per second."""
    size = 4096 if device.type == "cuda" else 768
    matrix = torch.randn(size, size, device=device, dtype=torch.bfloat16 if bf16 else torch.float32)
    words = torch.zeros(_COPY_BYTES // 4, device=device)
    copied = torch.empty_like(words)
    return Work(
        flops=2 * size**3 / _quickest(lambda: matrix @ matrix, device),
        bytes=2 * _COPY_BYTES / _quickest(lambda: copied.copy_(words), device),
    )


def asked(events: Iterable[Any]) -> Work:
    """Of a trace's operations (torch.autograd.profiler_util.FunctionEvent, with shapes and flops)."""
    operations = [event for event in events if is_operation(event)]
    return Work(sum(event.flops or 0 for event in operations), sum(_traffic(event) for event in operations))


def is_operation(event: Any) -> bool:  # noqa: ANN401 (torch is not typed)
    """Made of no others, and does something."""
    return _works(event) and not any(_works(child) for child in event.cpu_children)


def _works(event: Any) -> bool:  # noqa: ANN401
    return event.name.startswith("aten::") and event.name not in _VIEWS


def _traffic(event: Any) -> int:  # noqa: ANN401
    read = sum(
        _size(shape) * _BYTES.get(dtype, 0)
        for shape, dtype in zip(event.input_shapes, event.input_dtypes, strict=False)
    )
    return read + int(max(0, event.self_cpu_memory_usage, event.self_device_memory_usage))


def _size(shape: list[int]) -> int:
    if not shape:
        return 0  # a number, or a list of tensors that the trace does not describe
    size = 1
    for each in shape:
        size *= each
    return size


def _quickest(work: Callable[[], object], device: torch.device) -> float:
    seconds = []
    for _ in range(_TRIES):
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - began)
    return min(seconds)
