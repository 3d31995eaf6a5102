"""What engines published of themselves against what the planner says of it, and the tables of docs/planner.md.

python -m tests.unit.plan.capacity.published           # writes the tables
python -m tests.unit.plan.capacity.published --check   # fails where they are stale
"""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from slipway.cli.generated import Generated, with_block
from slipway.plan.capacity.candidates import Candidate, Fleet, Settings, candidates, precisions
from slipway.plan.capacity.decoder import Decoder
from slipway.plan.capacity.decoderconfig import decoder_from
from slipway.plan.capacity.devices import BUILT_IN, GIB
from slipway.plan.capacity.enginememory import Budget, parts
from slipway.plan.capacity.kvcache import Cache, held
from slipway.plan.capacity.roofline import Replica, Work, idle_percent, sent_bytes
from slipway.plan.capacity.serving import Demand, itl_bound, speed, ttft_bound
from slipway.plan.capacity.sharding import Sharding

HERE = Path(__file__).parent
PAGE = Path("docs/planner.md")
REGENERATE = "python -m tests.unit.plan.capacity.published"
MISSION = (
    *(("TP8", "as is"), ("TP4 x PP2", "as is"), ("TP2 x PP4", "as is"), ("TP1 x PP8", "as is"), ("TP1 x PP7", "as is")),
    *(("TP4", "int4"), ("TP2 x PP2", "int4"), ("TP2", "int4")),
)
GOALS = {"free": 5.0, "size": 10.0}  # percent


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
        memory = BUILT_IN.classes[gpu].memory_bytes if gpu else round(self.figure["memoryGiB"] * GIB)
        sequences = 1024 if gpu in ("h100-80gb", "h200", "b200") else 256
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


def errors(which: str, half: str) -> dict[str, float]:
    """By id, of the figures that are compared and of one half: `fit` or `check`."""
    mine = [each for each in capacities() if part("capacity", each.figure) == half]
    found = {each.figure["id"]: each.error(which) for each in mine}
    return {name: error for name, error in found.items() if error is not None}


@dataclass(frozen=True)
class Pace:
    """One figure of an engine's speed: `requests` sent at once to one replica."""

    figure: Mapping[str, Any]

    @property
    def replica(self) -> Replica:
        return Replica(
            decoder(self.figure["model"]), Sharding(self.figure["tensor"]), BUILT_IN.classes[self.figure["gpu"]]
        )

    @property
    def demand(self) -> Demand:
        return Demand(self.figure["promptTokens"], self.figure["outputTokens"])

    @property
    def itl_bound_ms(self) -> float:
        return itl_bound(self.replica, self.demand, self.figure["requests"]) * 1000

    @property
    def prefill_share(self) -> float | None:
        """Of the bound, what all prompts together reached; None where that was not published."""
        bound_ms = ttft_bound(self.replica, self.figure["promptTokens"]) * 1000 * self.figure["requests"]
        return bound_ms / float(self.figure["lastTtftMs"]) if "lastTtftMs" in self.figure else None

    @property
    def tokens_per_second(self) -> float:
        return speed(self.replica, self.demand, self.figure["requests"]).output_tokens_per_second

    @property
    def error(self) -> float:
        return (self.tokens_per_second / float(self.figure["tokensPerSecond"]) - 1) * 100


@cache
def paces() -> tuple[Pace, ...]:
    return tuple(Pace(each) for each in figures("speed"))


def part(kind: str, figure: Mapping[str, Any]) -> str:
    return "fit" if figure["id"] in fitted(kind) else "check"


def tables() -> dict[str, str]:
    """Of the page, by the name in their markers."""
    return {"capacity": _table(_capacity_rows()), "speed": _table(_speed_rows()), "mission": _table(_mission_rows())}


def page(text: str) -> str:
    """The page with its tables as they ought to be."""
    for name, table in tables().items():
        text = with_block(text, name, f"{table}\n", page=PAGE)
    return text


def _capacity_rows() -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        ("figure", "half", "published tokens", "given free memory", "error", "from the GPU's size", "error")
    ]
    for each in sorted(capacities(), key=lambda each: (part("capacity", each.figure), each.figure["id"])):
        told = f"{each.published:,}" if each.published else f"{each.figure['freeGiB']} GiB"
        free = (_number(each.given_free), _percent(each.error("free")))
        size = (_number(each.from_size), _percent(each.error("size"))) if each.from_size is not None else ("-", "")
        rows.append((each.figure["id"], part("capacity", each.figure), told, *free, *size))
    return rows


def _speed_rows() -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("figure", "half", "ITL ms", "bound ms", "published tokens/s", "expected", "error")]
    for each in sorted(paces(), key=lambda each: (part("speed", each.figure), each.figure["id"])):
        figure = each.figure
        times = (f"{figure['itlMs']:.1f}", f"{each.itl_bound_ms:.1f}", f"{figure['tokensPerSecond']:,.0f}")
        expected = (f"{each.tokens_per_second:,.0f}", _percent(each.error))
        rows.append((figure["id"], part("speed", figure), *times, *expected))
    return rows


def _mission_rows() -> list[tuple[str, ...]]:
    """175 billion parameters on a100-80gb, 1,024 tokens in and 256 out; one request alone, and as many as fit."""
    head = (
        "cut",
        "GB a GPU",
        "KV bytes a token",
        "requests",
        "KB sent a token",
        "idle alone",
        "TTFT",
        "ITL alone",
        "tokens/s",
    )
    fleet, engine, demand = Fleet([BUILT_IN.classes["a100-80gb"]], 8, 8), Settings("vllm", 0.92), Demand(1024, 256)
    found = {
        (each.sharding.name, each.precision): each for each in candidates(decoder("gpt-175b"), fleet, engine, demand)
    }
    return [head, *(_mission_row(found[cut], demand) for cut in MISSION)]


def _mission_row(each: Candidate, demand: Demand) -> tuple[str, ...]:
    assert each.parts is not None
    assert each.speed is not None
    model = dict(precisions(decoder("gpt-175b"), each.device))[each.precision]
    replica = Replica(model, each.sharding, each.device)
    alone = speed(replica, demand, 1)
    return (
        each.sharding.name + ("" if each.precision == "as is" else f" {each.precision}"),
        f"{each.parts.weights / 1e9:.1f}",
        f"{each.token_bytes:,}",
        f"{each.speed.requests}",
        f"{sent_bytes(replica, Work(1, demand.tokens)) / 1e3:,.0f}",
        f"{idle_percent(each.sharding, 1)} %",
        f"{alone.ttft_seconds * 1000:,.0f} ms",
        f"{alone.itl_seconds * 1000:,.0f} ms",
        f"{each.speed.output_tokens_per_second:,.0f}",
    )


def _number(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"


def _percent(error: float | None) -> str:
    return "" if error is None else f"{error:+.1f} %"


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, "|" + " --- |" * len(rows[0]), *body])


def generated() -> Generated:
    return Generated(PAGE.parent, {PAGE.name: page(PAGE.read_text(encoding="utf-8"))}, REGENERATE)


def main(arguments: Sequence[str]) -> int:
    found = generated()
    if list(arguments) != ["--check"]:
        found.write()
        return 0
    difference = found.difference()
    sys.stdout.write(difference and f"{difference}{PAGE} is stale. Run: {REGENERATE}\n")
    return 1 if difference else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
