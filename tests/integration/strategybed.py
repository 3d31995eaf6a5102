"""Gangs of real processes over gloo, forked from one that has imported torch already: a gang starts in a second."""

import json
import multiprocessing
import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.unit.train.support import free_port

if TYPE_CHECKING:
    from slipway_train.gang import Gang

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.integration.strategypreload"])
PATIENCE_SECONDS = 240  # a busy machine; a gang takes seconds
Work = Callable[["Gang", dict[str, Any], Path, int | None], None]


@dataclass(frozen=True)
class Curve:
    """What a gang left behind: the loss of each step, and its evaluation of the model once it is finished."""

    losses: list[float]
    bits_per_byte: float | None


def train(recipe: dict[str, Any], output: Path, *, processes: int, nodes: int = 1, stop_at: int | None = None) -> Curve:
    """Runs the recipe until it ends, or is told to stop in the `stop_at`-th step of this attempt."""
    output.mkdir(exist_ok=True)
    run(_follow, recipe, output, processes=processes, nodes=nodes, stop_at=stop_at)
    lines = [json.loads(line) for line in (output / "job" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, len(lines) + 1))
    record = output / "job" / ("adapter" if recipe["recipe"] in ("lora", "qlora") else "model") / "slipway.json"
    bits = float(json.loads(record.read_text())["evaluation"]["bitsPerByte"]) if record.exists() else None
    return Curve([line["loss"] for line in lines], bits)


def run(
    work: Work, recipe: dict[str, Any], output: Path, *, processes: int, nodes: int = 1, stop_at: int | None = None
) -> None:
    """`work` in every process of a gang. AssertionError with what each wrote, unless all end well."""
    port = free_port()
    gang = [
        CONTEXT.Process(target=_process, args=(work, rank, processes, nodes, port, recipe, output, stop_at))
        for rank in range(processes)
    ]
    for process in gang:
        process.start()
    for process in gang:
        process.join(PATIENCE_SECONDS)
    codes = [process.exitcode for process in gang]
    for process in gang:
        process.kill()
    words = "\n".join(path.read_text() for path in sorted(output.glob("error-*")))
    assert codes == [0] * processes, f"exit codes {codes}\n{words}"


def _process(
    work: Work,
    rank: int,
    processes: int,
    nodes: int,
    port: int,
    recipe: dict[str, Any],
    output: Path,
    stop_at: int | None,
) -> None:
    per_node = processes // nodes
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank % per_node),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(per_node),
        "GROUP_RANK": str(rank // per_node),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    try:
        _work(work, recipe, output, stop_at)
    except BaseException:
        (output / f"error-{rank}").write_text(traceback.format_exc())
        os._exit(1)  # a broken process group may block in its own destructor


def _work(work: Work, recipe: dict[str, Any], output: Path, stop_at: int | None) -> None:
    import torch

    from slipway_train.gang import Gang

    torch.set_num_threads(1)
    gang = Gang("cpu")
    work(gang, recipe, output, stop_at)
    gang.close()


def _follow(gang: "Gang", recipe: dict[str, Any], output: Path, stop_at: int | None) -> None:
    from slipway_train.course import follow
    from slipway_train.errors import Stopped
    from slipway_train.progress import Reporter, no_sender
    from tests.unit.train.support import parse

    calls = iter(range(1, 10**6))
    sharded = recipe["checkpoint"].get("layout") == "Sharded"
    mine = output / "job" if gang.rank == 0 or sharded else None
    try:
        with Reporter(no_sender) as reporter:
            follow(parse(recipe), gang, mine, reporter=reporter, stop_asked=lambda: next(calls) == stop_at)
    except Stopped:
        assert stop_at is not None
