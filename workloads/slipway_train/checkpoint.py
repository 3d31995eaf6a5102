"""Checkpoints on the output volume: `checkpoints/step-<n>/`, written whole, verified when read.

Decided here: tensors are stored as safetensors and everything else as JSON, so loading runs no code from the volume.
A manifest with a SHA-256 of each file is checked at load; a checkpoint that fails it is passed over for the one before,
with a warning, and removed only once a new one is safe: an error of the volume may pass. Only rank 0 comes here, and
the launcher of its pod when rank 0 is gone. What is in memory (memorytier.py) lies in such a store too. In place of one
file of tensors there may be one of each process (shards.py): which it is, the manifest says.
"""

import dataclasses
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save_file

from .data import DataPosition
from .errors import RecipeError
from .files import remove_directory, remove_partials, whole_directory
from .logs import event, log
from .shards import Shards, is_shard
from .strategies.pieces import Pieces

_TENSORS, _STATE, _TOKENIZER, _MANIFEST = "tensors.safetensors", "state.json", "tokenizer.json", "manifest.json"
_WITH_IT = (_TOKENIZER, _STATE)
_DAMAGE = (OSError, ValueError, KeyError, TypeError)  # what reading a damaged checkpoint may raise
_OWN_OUTPUT = "give this job an output of its own"
_NAME = re.compile(r"step-(\d{9})")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """After `step` optimizer steps. `recipe` and `corpus` are the fingerprints of what it was made from.

    `tensors` are whole. One that is to be saved in shards has none, but this process's `pieces`.
    """

    step: int
    data: DataPosition
    recipe: str
    corpus: str
    tokenizer: bytes
    tensors: Mapping[str, torch.Tensor]
    pieces: Pieces = dataclasses.field(default_factory=dict)

    def check_belongs(self, *, recipe: str, corpus: str) -> None:
        """Raises RecipeError where going on from here would not be the same run."""
        for field, mine, theirs in (("recipe", recipe, self.recipe), ("dataset", corpus, self.corpus)):
            if mine != theirs:
                raise RecipeError(f"the checkpoint of step {self.step} was made from another {field}: {_OWN_OUTPUT}")


class CheckpointStore:
    """The newest `keep` checkpoints under `root`."""

    def __init__(self, root: Path, *, keep: int) -> None:
        self._root = root
        self._keep = keep
        self._damaged: list[Path] = []
        root.mkdir(parents=True, exist_ok=True)
        remove_partials(root)

    def save(self, checkpoint: Checkpoint) -> None:
        """Returns once it is on disk. OSError where the volume is full or gone: the run is then retried."""
        with whole_directory(self.directory_of(checkpoint.step)) as partial:
            save_file(dict(checkpoint.tensors), partial / _TENSORS)
            _describe(partial, checkpoint, {_TENSORS: digest_of(partial / _TENSORS)})
        self._prune(checkpoint.step)

    def save_shards(self, checkpoint: Checkpoint, write: Callable[[Path], Mapping[str, str]]) -> None:
        """`write` has the gang put its shards into a directory, and tells the SHA-256 of each."""
        with whole_directory(self.directory_of(checkpoint.step)) as partial:
            _describe(partial, checkpoint, write(partial))
        self._prune(checkpoint.step)

    def damage(self, step: int) -> str | None:
        """What is wrong with checkpoint `step`, None where all its checksums hold."""
        try:
            _load(self.directory_of(step))
        except _DAMAGE as error:
            return str(error)
        return None

    def adopt(self, step: int, source: Path) -> None:
        """Copies checkpoint `step` from the directory where another store has it."""
        with whole_directory(self.directory_of(step)) as partial:
            for name in (_TENSORS, *_WITH_IT, _MANIFEST):
                shutil.copyfile(source / name, partial / name)
        self._prune(step)

    def directory_of(self, step: int) -> Path:
        return self._root / _name(step)

    def steps(self) -> list[int]:
        """Newest first, whole or not."""
        return [step for step, _ in self._newest_first()]

    def newest(self) -> Checkpoint | None:
        """The newest that is whole, None where there is none. Damaged ones are reported."""
        for step, path in self._newest_first():
            try:
                return _load(path)
            except _DAMAGE as error:
                log.warning(event("checkpoint_damaged", step=step, error=str(error), action="the one before is used"))
                self._damaged.append(path)
        return None

    def _prune(self, saved_step: int) -> None:
        for path in self._damaged:
            if path.exists() and path.name != _name(saved_step):
                remove_directory(path)
        self._damaged = []
        for _, path in list(self._newest_first())[self._keep :]:
            remove_directory(path)

    def _newest_first(self) -> Iterator[tuple[int, Path]]:
        found = [(int(match[1]), path) for path in self._root.iterdir() if (match := _NAME.fullmatch(path.name))]
        return iter(sorted(found, reverse=True))


def _name(step: int) -> str:
    return f"step-{step:09d}"


def _state(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "step": checkpoint.step,
        "data": checkpoint.data.to_json(),
        "recipe": checkpoint.recipe,
        "corpus": checkpoint.corpus,
    }


def _describe(partial: Path, checkpoint: Checkpoint, digests: Mapping[str, str]) -> None:
    """What a checkpoint has beside its tensors, of which `digests` are, and the manifest of all."""
    (partial / _TOKENIZER).write_bytes(checkpoint.tokenizer)
    (partial / _STATE).write_text(json.dumps(_state(checkpoint)))
    manifest = {**digests, **{name: digest_of(partial / name) for name in _WITH_IT}}
    (partial / _MANIFEST).write_text(json.dumps(manifest))


def _load(path: Path) -> Checkpoint:
    digests = json.loads((path / _MANIFEST).read_text())
    content = {name: _verified(path / name, digests[name]) for name in _WITH_IT}
    state = json.loads(content[_STATE])
    return Checkpoint(
        step=state["step"],
        data=DataPosition.from_json(state["data"]),
        recipe=state["recipe"],
        corpus=state["corpus"],
        tokenizer=content[_TOKENIZER],
        tensors=_load_shards(path, digests) or load_tensors(_verified(path / _TENSORS, digests[_TENSORS])),
    )


def _load_shards(path: Path, digests: Mapping[str, str]) -> Shards | None:
    """None where the tensors are in one file. They are read later, and verified now."""
    names = sorted(name for name in digests if is_shard(name))
    for name in names:
        if digests[name] != digest_of(path / name):
            raise ValueError(_mismatch(name))
    return Shards([path / name for name in names]) if names else None


def _verified(path: Path, digest: str) -> bytes:
    content = path.read_bytes()
    if digest != hashlib.sha256(content).hexdigest():
        raise ValueError(_mismatch(path.name))
    return content


def _mismatch(name: str) -> str:
    return f"{name} does not match its SHA-256"


def digest_of(path: Path) -> str:
    """SHA-256. Read in pieces: a checkpoint may be larger than what memory is left."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
