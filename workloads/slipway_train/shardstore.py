"""The gang's sharded checkpoints: every process writes its own file, rank 0 shows them all by one rename.

Decided here: the processes agree over a group of their own, which the threads that write may use while the steps use
the gang's. Rank 0 makes the directory, hears from everyone how the writing went, and only then writes the manifest with
everyone's SHA-256: a process that fails or dies leaves a directory that nobody sees. So every pod needs the volume.
"""

from pathlib import Path
from typing import Protocol

import torch.distributed as dist

from .checkpoint import Checkpoint, CheckpointStore, digest_of
from .errors import RecipeError
from .files import readable, sync
from .gang import Gang, on_all
from .shards import shard_name, write_shard
from .strategies.pieces import Pieces


class Store(Protocol):
    """Where a checkpoint is saved. Returns once it is on the disk; OSError where the volume is full or gone."""

    def save(self, checkpoint: Checkpoint) -> None: ...


class OwnShard:
    """One process's shard by itself, written as `ShardStore` has it written, in a directory that is there: to be
    measured."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / shard_name(0, 1)

    def save(self, checkpoint: Checkpoint) -> None:
        _write(self._path, checkpoint.pieces)


class ShardStore:
    """`store` is rank 0's, None on the others. To be made and called by all processes, as often and in one order."""

    def __init__(self, gang: Gang, store: CheckpointStore | None) -> None:
        self._store = store
        self._name = shard_name(gang.rank, gang.world_size)
        self._main = gang.rank == 0
        self._group = dist.new_group(backend="gloo")

    def save(self, checkpoint: Checkpoint) -> None:
        """Each process gives its `checkpoint.pieces`."""
        if self._store is None:
            self._write_together(None, checkpoint.pieces)
        else:
            self._store.save_shards(checkpoint, lambda directory: self._write_together(directory, checkpoint.pieces))

    def _write_together(self, directory: Path | None, pieces: Pieces) -> dict[str, str]:
        """Rank 0 knows the directory, and gets the digests of all files in it."""
        box = [directory]
        dist.broadcast_object_list(box, src=0, group=self._group)
        assert box[0] is not None, "rank 0 has made it"
        mine = self._written(box[0] / self._name, pieces)
        told: list[tuple[str, str | None, str]] | None = [("", None, "")] * self._group.size() if self._main else None
        dist.gather_object((self._name, *mine), told, dst=0, group=self._group)
        _raise_first([(self._name, *mine)] if told is None else told)
        return {name: digest for name, digest, _ in told or () if digest is not None}

    def _written(self, path: Path, pieces: Pieces) -> tuple[str | None, str]:
        """The file's digest, or None and what went wrong: that is told before it is raised, since the others wait."""
        try:
            return _write(path, pieces), ""
        except Exception as error:  # whatever it was, nobody may be left waiting for it
            return None, str(error)


def _write(path: Path, pieces: Pieces) -> str:
    """Onto the disk. The file's digest."""
    write_shard(path, pieces)
    readable(path)
    sync(path)
    return digest_of(path)


def check_volume(gang: Gang, output: Path | None) -> None:
    """After rank 0 has made the job's directory: raises RecipeError, on all, where a process does not see it."""

    def look() -> None:
        if output is None or not output.is_dir():
            raise RecipeError(
                f"checkpoint.layout: every process writes its shard, but SLIPWAY_OUTPUT_DIR ({output or 'not set'}) is"
                " not the output volume in this pod: use a ReadWriteMany claim, or layout Full"
            )

    on_all(gang, look)


def _raise_first(told: list[tuple[str, str | None, str]]) -> None:
    for name, digest, error in told:
        if digest is None:
            raise OSError(f"{name} was not written: {error}")
