"""How a gang shares the work: one small interface, one file per strategy.

Decided here: a recipe asks a strategy for seven things and knows nothing else of processes. State is a flat map from
names to tensors, the same whatever the strategy, so a checkpoint does not depend on it.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import torch

from ..errors import RecipeError

T = TypeVar("T")
State = dict[str, torch.Tensor]  # on the CPU


class Strategy(Protocol):
    rank: int
    world_size: int
    device: torch.device

    def wrap(self, model: torch.nn.Module) -> torch.nn.Module:
        """The model as the training step calls it: gradients come out as the gang's mean."""

    def broadcast(self, value: T | None) -> T:
        """Rank 0's value, on every rank."""

    def gather(self, value: T) -> list[T]:
        """Every rank's value, on every rank, in rank order."""

    def sum(self, values: Sequence[float]) -> list[float]:
        """Element by element over the gang, in float64."""

    def capture(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> State:
        """The whole state of the unwrapped model and its optimizer, on rank 0; others may get less."""

    def restore(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer, state: State | None) -> None:
        """Puts rank 0's state into every rank's model and optimizer; other ranks pass None."""

    def close(self) -> None: ...


def on_main(strategy: Strategy, make: Callable[[], T]) -> T:
    """Rank 0 makes the value, all get it. Its RecipeError is raised on every rank, so all end alike."""
    made: tuple[T | None, str | None] | None = None
    if strategy.rank == 0:
        try:
            made = (make(), None)
        except RecipeError as error:
            made = (None, str(error))
    value, message = strategy.broadcast(made)
    if message is not None:
        raise RecipeError(message)
    return value  # type: ignore[return-value]


def on_all(strategy: Strategy, make: Callable[[], T]) -> list[T]:
    """Every rank makes a value, all get all. The lowest rank's RecipeError is raised on every rank."""
    made: tuple[T | None, str | None]
    try:
        made = (make(), None)
    except RecipeError as error:
        made = (None, str(error))
    gathered = strategy.gather(made)
    for rank, (_, message) in enumerate(gathered):
        if message is not None:
            raise RecipeError(f"{message} (rank {rank})")
    return [value for value, _ in gathered]  # type: ignore[misc]
