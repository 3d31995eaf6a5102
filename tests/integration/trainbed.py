"""Gangs of forked ranks: what the launcher does around them, without a second of import for every process."""

import json
import multiprocessing
import shutil
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from slipway_train.memorytier import Rescue, rescue
from tests.integration.trainrank import Fault, Order, run_rank
from tests.unit.train.support import free_port

PATIENCE_SECONDS = 120
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.integration.trainrank", "tests.integration.strategypreload"])


@dataclass
class Bed:
    """One job's volume and its pods' scratch."""

    root: Path
    recipe: dict[str, Any]
    variables: dict[str, str] = field(default_factory=dict)  # for every rank; {rank} is its number
    attempt: int = 0

    @property
    def output(self) -> Path:
        return self.root / "output"

    def start(self, world_size: int, faults: dict[int, Fault] | None = None, **checkpoint: Any) -> list[BaseProcess]:
        """The next attempt, of `world_size` ranks. `checkpoint` is the recipe's field for this attempt."""
        self.attempt += 1
        shutil.rmtree(self.memory, ignore_errors=True)
        self.memory.mkdir(parents=True)
        recipe = self.recipe | {"checkpoint": checkpoint or self.recipe["checkpoint"]}
        common = {
            "WORLD_SIZE": str(world_size),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(free_port()),
            "OMP_NUM_THREADS": "1",
            "SLIPWAY_RECIPE": json.dumps(recipe),
            "SLIPWAY_MEMORY_DIR": str(self.memory),
        }
        return [self._start(rank, common, (faults or {}).get(rank)) for rank in range(world_size)]

    def run(self, world_size: int, faults: dict[int, Fault] | None = None, **checkpoint: Any) -> list[int | None]:
        """An attempt until all ranks have ended: their exit codes."""
        return self.wait(self.start(world_size, faults, **checkpoint))

    def wait(self, ranks: list[BaseProcess]) -> list[int | None]:
        for process in ranks:
            process.join(PATIENCE_SECONDS)
        codes = [process.exitcode for process in ranks]
        for process in ranks:
            process.kill()
        assert None not in codes, f"a rank hangs: {self.log(0)}"
        return codes

    def rescue(self) -> Rescue:
        """What the launcher does when a rank was lost."""
        return rescue(self.memory, self.output / "checkpoints", keep=2)

    @property
    def memory(self) -> Path:
        return self.root / "memory"

    def log(self, rank: int) -> str:
        return self._log(rank).read_text()

    def fault(self, rank: int) -> str:
        """What the rank was doing, and in which thread, when its fault came; empty where none came."""
        note = self._log(rank).with_suffix(".fault")
        return note.read_text() if note.exists() else ""

    def struck(self, rank: int) -> float:
        """When the rank's fault came, in seconds since the epoch."""
        return self._log(rank).with_suffix(".fault").stat().st_mtime

    def batches(self) -> list[str]:
        """Hashes of the global batches that rank 0 had, over all attempts."""
        return (self.root / "batches").read_text().split()

    def metrics(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.output / "metrics.jsonl").read_text().splitlines()]

    def curve(self) -> list[tuple[int, float]]:
        return [(line["step"], line["loss"]) for line in self.metrics()]

    def weights(self) -> bytes:
        return (self.output / "model" / "model.safetensors").read_bytes()

    def _log(self, rank: int) -> Path:
        return self.root / f"attempt-{self.attempt}-rank-{rank}.log"

    def _start(self, rank: int, common: dict[str, str], fault: Fault | None) -> BaseProcess:
        own = {name: value.format(rank=rank) for name, value in self.variables.items()}
        environment = common | own | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        if rank == 0 or '"Sharded"' in common["SLIPWAY_RECIPE"]:
            environment["SLIPWAY_OUTPUT_DIR"] = str(self.output)
        batches = self.root / "batches" if rank == 0 else None
        order = Order(environment, self._log(rank), (str(self.output), str(self.memory)), fault, batches)
        process = _CONTEXT.Process(target=run_rank, args=(order,))
        process.start()
        return process
