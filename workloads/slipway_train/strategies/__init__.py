"""How a gang shares the work: one small interface, one file per strategy.

Decided here: a strategy makes of a whole model a `Sharded`, and the loop asks that for five things and knows nothing
else of how the work is shared. State is a flat map from names to whole tensors, the same whatever the strategy and the
world size, so a checkpoint depends on neither.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch

from ..batch import Batch
from ..config import Recipe
from ..gang import Gang
from .pieces import Pieces

GRADIENT_NORM = 1.0
State = dict[str, torch.Tensor]  # on the CPU


class Sharded(Protocol):
    """A model and its optimizer as one process of the gang holds them.

    Processes with the same `data_rank` compute the same rows together. `data_size` divides the world size.
    """

    data_rank: int
    data_size: int

    def step(self, micro_batches: Sequence[Batch], *, targets: int, rate: float) -> float:
        """One optimizer step at learning rate `rate` on this data rank's rows, the gradient's norm clipped.

        `targets` is how many labels count in the global batch. The result is this process's share of the mean loss in
        nats per target: summed over the gang, it is the mean.
        """

    def losses(self, batch: Batch) -> torch.Tensor:
        """Without gradients: nats per label of this data rank's rows, flat, on each of its processes; IGNORED gives 0.

        Every process of the gang must call it as often as the others.
        """

    def capture(self) -> State | None:
        """The whole state: `model.<parameter>` and `optimizer.<parameter>.<key>`, on rank 0; None on the others.

        It is a copy that no later step changes: it may be written while training goes on.
        Parameters that are not trained are left out: the recipe makes them again.
        """

    def pieces(self) -> Pieces:
        """What this process holds of the same state, by the same names: those of all processes together are whole.

        A copy, like `capture`'s, but nothing is sent, and no process holds more than its own.
        """

    def restore(self, state: Mapping[str, torch.Tensor] | None) -> None:
        """Takes rank 0's captured state into every process; the others pass None. One tensor is asked for at a time."""

    def export_state(self) -> State | None:
        """The whole model's parameters by name, on rank 0; None on the others."""


class Strategy(Protocol):
    """Makes a Sharded of a whole model with weights in float32 on the CPU, the same on every process."""

    def __call__(self, model: torch.nn.Module, recipe: Recipe, gang: Gang) -> Sharded: ...
