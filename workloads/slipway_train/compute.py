"""How long this process computes in a step, without what it waits for its peers.

Decided here: what is timed are the parts of each layer (attention, feed-forward) in the forward pass. Gradients and,
under sharding strategies, weights travel around these and not within them, so a slow process shows here and a process
that waits for it does not. The backward pass does about the same work over again, and is left out: collectives overlap
with it. A part within a part counts once.
"""

import time
from collections.abc import Iterator

import torch


class ComputeClock:
    """Attached to a model before a strategy takes it. `take` after each step or after many."""

    def __init__(self, model: torch.nn.Module, device: torch.device) -> None:
        self._seconds = 0.0
        self._depth = 0
        self._began = 0.0
        self._events: list[torch.cuda.Event] = []  # begin and end by turns
        self._on_gpu = device.type == "cuda"
        for part in _parts(model):
            part.register_forward_pre_hook(self._enter)
            part.register_forward_hook(self._leave, always_call=True)

    def take(self) -> float:
        """Seconds since the last time. On a GPU the steps must have ended, as they have when their loss is known."""
        spans = zip(self._events[::2], self._events[1::2], strict=True)
        seconds: float = self._seconds + sum(begin.elapsed_time(end) for begin, end in spans) / 1000
        self._seconds, self._events = 0.0, []
        return seconds

    def _enter(self, *_: object) -> None:
        self._depth += 1
        if self._depth > 1:
            return
        if self._on_gpu:
            self._events.append(_recorded())
        else:
            self._began = time.perf_counter()

    def _leave(self, *_: object) -> None:
        self._depth -= 1
        if self._depth:
            return
        if self._on_gpu:
            self._events.append(_recorded())
        else:
            self._seconds += time.perf_counter() - self._began


def _parts(model: torch.nn.Module) -> Iterator[torch.nn.Module]:
    """What has parts of its own in the repeated layers; whatever has weights where nothing is repeated."""
    layers = [layer for module in model.modules() if isinstance(module, torch.nn.ModuleList) for layer in module]
    parts = [part for layer in layers for part in layer.children() if list(part.children())]
    yield from parts or (module for module in model.modules() if list(module.parameters(recurse=False)))


def _recorded() -> torch.cuda.Event:
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event
