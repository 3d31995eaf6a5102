"""What a process's memory holds while it trains: the model's own tensors, and what comes and goes within a step.

Decided here: activations and temporaries are what the allocator held at most above where the trace began; the rest is
counted from the tensors themselves. Optimizer state is AdamW's two moments.
"""

import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch

_MIB = 2**20
_HISTORY = 200_000  # allocations that a snapshot tells of, the newest


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes. `process` is the largest resident size so far, on a GPU the most that torch had reserved."""

    parameters: int
    gradients: int
    optimizer: int
    activations: int
    process: int

    def parts(self) -> list[str]:
        named = {"parameters": self.parameters, "gradients": self.gradients, "optimizer": self.optimizer}
        named |= {"activations, at most": self.activations, "process, at most": self.process}
        return [f"{name} {size / _MIB:.1f} MiB" for name, size in named.items()]


@contextmanager
def recorded(device: torch.device, snapshot: Path) -> Iterator[None]:
    """On a GPU the allocator notes each allocation and from where it came, and what it has noted goes to `snapshot`."""
    if device.type != "cuda":
        yield
        return
    torch.cuda.memory._record_memory_history(max_entries=_HISTORY)
    try:
        yield
        torch.cuda.memory._dump_snapshot(str(snapshot))
    finally:
        torch.cuda.memory._record_memory_history(enabled=None)


def measured(model: torch.nn.Module, events: Iterable[Any], device: torch.device) -> Memory:
    """`events` are a trace's with memory."""
    parameters = list(model.parameters())
    trained = [each for each in parameters if each.requires_grad]
    if device.type == "cuda":
        process = torch.cuda.max_memory_reserved(device)
    else:
        process = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Memory(
        parameters=_bytes(parameters),
        gradients=_bytes([each.grad for each in trained if each.grad is not None]),
        optimizer=2 * _bytes(trained),
        activations=peak_bytes(events),
        process=process,
    )


def peak_bytes(events: Iterable[Any]) -> int:
    """The most that was allocated at a time, above where the trace began."""
    in_order = sorted(events, key=lambda event: float(event.time_range.start))
    changes = (int(event.self_cpu_memory_usage + event.self_device_memory_usage) for event in in_order)
    return max(accumulate(changes, initial=0))


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(each.numel() * each.element_size() for each in tensors)
