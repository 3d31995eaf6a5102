"""The gang of processes: who this one is, and the few things that all of them do together.

Decided here: gloo for what lies in main memory and NCCL for what lies on GPUs; a collective that waits longer than
COLLECTIVE_TIMEOUT_SECONDS is given up. Within a step the watchdog is much quicker, so this is long enough for what
happens on rank 0 while the others wait: a checkpoint that is written to the end, the export. Nothing here knows of
models.
"""

import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from .errors import RecipeError

COLLECTIVE_TIMEOUT_SECONDS = 1800
T = TypeVar("T")


class Gang:
    """Joins the process group that torchrun's variables describe."""

    def __init__(self, accelerator: str) -> None:
        self.local_rank = local_rank = int(os.environ["LOCAL_RANK"])
        self.pod = int(os.environ.get("GROUP_RANK", "0"))  # torchrun's word for the node
        if accelerator == "nvidia":
            if not torch.cuda.is_available():
                raise RecipeError("accelerator: nvidia was asked for, but torch finds no GPU in this pod")
            self.device = torch.device("cuda", local_rank)
            torch.cuda.set_device(self.device)
        else:
            self.device = torch.device("cpu")
        backend = "cpu:gloo,cuda:nccl" if accelerator == "nvidia" else "gloo"
        dist.init_process_group(backend, timeout=timedelta(seconds=COLLECTIVE_TIMEOUT_SECONDS))
        self.rank = dist.get_rank()
        self.world_size = dist.get_world_size()

    def broadcast(self, value: T | None) -> T:
        """Rank 0's value, on every rank."""
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]  # type: ignore[return-value]

    def gather(self, value: T) -> list[T]:
        """Every rank's value, on every rank, in rank order."""
        gathered: list[Any] = [None] * self.world_size
        dist.all_gather_object(gathered, value)
        return gathered

    def sum(self, values: Sequence[float]) -> list[float]:
        """Element by element over the gang, in float64."""
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return [float(each) for each in total.tolist()]

    def close(self) -> None:
        dist.destroy_process_group()


def on_main(gang: Gang, make: Callable[[], T]) -> T:
    """Rank 0 makes the value, all get it. Its RecipeError is raised on every rank, so all end alike."""
    made: tuple[T | None, str | None] | None = None
    if gang.rank == 0:
        try:
            made = (make(), None)
        except RecipeError as error:
            made = (None, str(error))
    value, message = gang.broadcast(made)
    if message is not None:
        raise RecipeError(message)
    return value  # type: ignore[return-value]


def keep_on_main(gang: Gang, make: Callable[[], T]) -> T | None:
    """Like `on_main`, for what cannot leave rank 0: the others get None."""
    kept: list[T] = []
    on_main(gang, lambda: kept.append(make()))
    return kept[0] if kept else None


def on_all(gang: Gang, make: Callable[[], T]) -> list[T]:
    """Every rank makes a value, all get all. The lowest rank's RecipeError is raised on every rank."""
    made: tuple[T | None, str | None]
    try:
        made = (make(), None)
    except RecipeError as error:
        made = (None, str(error))
    gathered = gang.gather(made)
    for rank, (_, message) in enumerate(gathered):
        if message is not None:
            raise RecipeError(f"{message} (rank {rank})")
    return [value for value, _ in gathered]  # type: ignore[misc]
