"""What engines published of themselves against what the planner says of it, and the tables of docs/planner.md.

python -m tests.unit.plan.capacity.published           # writes the tables
python -m tests.unit.plan.capacity.published --check   # fails where they are stale
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from slipway.plan.capacity.decoder import Decoder
from slipway.plan.capacity.decoderconfig import decoder_from
from slipway.plan.capacity.devices import BY_NAME, GIB
from slipway.plan.capacity.enginememory import Budget, parts
from slipway.plan.capacity.kvcache import Cache, held
from slipway.plan.capacity.sharding import Sharding

HERE = Path(__file__).parent
PAGE = Path("docs/planner.md")
REGENERATE = "python -m tests.unit.plan.capacity.published"
BEGIN, END = "<!-- generated: {} -->", "<!-- end -->"
GOALS = {"free": 5.0, "size": 10.0}


@cache
def configs() -> Mapping[str, Any]:
    found: Mapping[str, Any] = yaml.safe_load((HERE / "configs.yaml").read_text())
    return found


@cache
def figures(kind: str) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = yaml.safe_load((HERE / "published.yaml").read_text())[kind]
    return found


def decoder(name: str) -> Decoder:
    return decoder_from(configs()[name], name=name)


@cache
def fitted(kind: str) -> frozenset[str]:
    """Ids of the half that formulas may be fitted to."""
    ids = sorted((each["id"] for each in figures(kind)), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    return frozenset(ids[: len(ids) // 2])


@dataclass(frozen=True)
class Capacity:
    """One figure of an engine's memory. Errors are in percent of what was published, None where nothing is compared."""

    figure: Mapping[str, Any]

    @property
    def sharding(self) -> Sharding:
        return Sharding(self.figure.get("tensor", 1), self.figure.get("pipeline", 1))

    @property
    def cache(self) -> Cache:
        return Cache(self.figure.get("engine", "vllm"), self.figure["batchedTokens"])

    def tokens(self, free_bytes: list[int]) -> int:
        model, length = decoder(self.figure["model"]), self.figure["contextTokens"]
        return held(model, self.sharding, free_bytes, self.cache, request_tokens=length).tokens

    @property
    def published(self) -> int | None:
        if "requests" in self.figure:
            return int(self.figure["requests"] * self.figure["contextTokens"])
        found: int | None = self.figure.get("tokens")
        return found

    @property
    def given_free(self) -> int | None:
        if self.published is None or "freeGiB" not in self.figure:
            return None
        return self.tokens([round(self.figure["freeGiB"] * GIB)] * self.sharding.pipeline)

    @property
    def from_size(self) -> int | None:
        if "fromSize" in self.figure:
            return None
        gpu = self.figure.get("gpu")
        memory = BY_NAME[gpu].memory_bytes if gpu else round(self.figure["memoryGiB"] * GIB)
        sequences = 1024 if gpu in ("H100-80GB", "H200", "B200") else 256
        budget = Budget(memory, self.figure["utilization"], self.cache, sequences)
        return self.tokens([each.free for each in parts(decoder(self.figure["model"]), self.sharding, budget)])

    @property
    def told(self) -> int:
        """What the engine said, or what its memory holds where it said only that."""
        return self.published or self.tokens([round(self.figure["freeGiB"] * GIB)])

    def error(self, which: str) -> float | None:
        found = self.given_free if which == "free" else self.from_size
        return None if found is None else (found / self.told - 1) * 100


@cache
def capacities() -> tuple[Capacity, ...]:
    return tuple(Capacity(each) for each in figures("capacity"))


def errors(which: str, part: str) -> dict[str, float]:
    """By id, of the figures that are compared and of one half: `fit` or `check`."""
    mine = [each for each in capacities() if (each.figure["id"] in fitted("capacity")) == (part == "fit")]
    found = {each.figure["id"]: each.error(which) for each in mine}
    return {name: error for name, error in found.items() if error is not None}
