"""`python3 -m slipway_train.launch`: torchrun in this process, with an honest account of how the ranks ended.

torchrun itself turns every failure into exit code 1. Decided here: the pod's exit code and termination message carry
the real one of the rank that failed first, and the last lines that it wrote to stderr. SIGTERM is passed on and waited
for, so that a checkpoint is saved. Nothing is restarted here: the operator restarts the whole gang, in new pods, so
what the ranks left in memory goes to the output first.
"""

import json
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from . import logs, termination
from .config import MEMORY_VARIABLE, RESULT_VARIABLE, STACKS_VARIABLE, Environment, Recipe, read_recipe
from .errors import (
    EXIT_FAILED,
    EXIT_RECIPE_WRONG,
    EXIT_REQUIREMENT_NOT_MET,
    EXIT_STALLED,
    EXIT_STOPPED,
    RecipeError,
)
from .logs import event, log
from .stacks import Stacks, brief
from .termination import Failure, failure_document

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig

STDERR_LINES = 30
RENDEZVOUS_SECONDS = 600  # pods of one gang may start this far apart: one may have to pull the image
STOP_SECONDS = 25  # for ranks to save and leave: well inside the pod's grace period of 60 s, so that we still write why
_WORKER = ("-m", "slipway_train.worker")
_RESULT = "result.json"


def main() -> int:
    signal.signal(signal.SIGTERM, _stop_before_start)  # a container's first process ignores what it does not handle
    environment = Environment.read(os.environ)
    try:
        recipe = read_recipe(os.environ)
    except RecipeError as error:
        sys.stderr.write(f"{error}\n")
        return _end(environment, EXIT_RECIPE_WRONG, [Failure(_first_rank(os.environ), EXIT_RECIPE_WRONG, str(error))])
    with tempfile.TemporaryDirectory(prefix="slipway-") as scratch:
        return _launch(environment, recipe, Path(scratch))


def exit_code(failures: list[Failure]) -> int:
    """The pod's: 2 or 3 where any rank says that the recipe is wrong or the model not good enough, 75 where any has
    stalled, else the first failure's.

    A signal n becomes 128 + n. A stalled rank's peers may be the first to fail, by the connections that it closes.
    """
    codes = [failure.exit_code for failure in failures]
    for telling in (EXIT_RECIPE_WRONG, EXIT_REQUIREMENT_NOT_MET, EXIT_STALLED):
        if telling in codes:
            return telling
    first = codes[0] if codes else EXIT_FAILED
    return 128 - first if first < 0 else first


def available_cpus(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Whole CPUs that this container may use, at least 1: its cgroup's quota (v2, then v1), else the affinity mask."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            quota, period = "max", "1"
    if quota.isdigit():
        return max(1, int(quota) // int(period))
    return len(os.sched_getaffinity(0))


def _launch(environment: Environment, recipe: Recipe, scratch: Path) -> int:
    from .memorytier import memory_directory  # torch takes seconds: a wrong recipe need not wait for it

    logs.configure(_first_rank(os.environ))
    stacks = Stacks(scratch / "stacks")
    os.environ[RESULT_VARIABLE], os.environ[STACKS_VARIABLE] = str(scratch / _RESULT), str(scratch / "stacks")
    with memory_directory() if recipe.checkpoint.memory_every else nullcontext() as memory:
        if memory:
            os.environ[MEMORY_VARIABLE] = str(memory)
        code, failures = _run_ranks(scratch)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the end is near anyway, and what follows is worth the wait
        if not failures:
            return _succeed(environment, scratch)
        if memory and environment.output_dir:
            failures = [_with_rescue(failures[0], environment.output_dir, memory, recipe), *failures[1:]]
        return _end(environment, code, failures, stacks.texts(), _measured(scratch))


def _run_ranks(scratch: Path) -> tuple[int, list[Failure]]:
    """Until they have ended: the pod's exit code, and what went wrong, the first first; nothing on success."""
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import elastic_launch

    config, command, arguments = _elastic_config(scratch / "logs")
    try:
        elastic_launch(config=config, entrypoint=command)(*arguments)
    except ChildFailedError as error:
        failures = _failures(error, scratch)
        return exit_code(failures), failures
    except SignalException as stopped:
        words = _last_words(scratch, 0) or "no rank said that it saved a checkpoint"
        failure = Failure(_first_rank(os.environ), EXIT_STOPPED, f"{stopped.sigval.name} to the pod: {words}")
        return EXIT_STOPPED, [failure]
    except Exception as error:
        failure = Failure(_first_rank(os.environ), EXIT_FAILED, f"the gang did not form: {error}")
        sys.stderr.write(f"{failure.message}\n")
        return EXIT_FAILED, [failure]
    return 0, []


def _with_rescue(failure: Failure, output_dir: Path, memory: Path, recipe: Recipe) -> Failure:
    """What the ranks left in memory goes to the output; the failure's message says so at its end."""
    from .memorytier import rescue
    from .output import CHECKPOINTS

    try:
        words = str(rescue(memory, output_dir / CHECKPOINTS, keep=recipe.checkpoint.keep))
    except OSError as error:
        words = f"what was in memory could not be saved to the output: {error}"
        log.warning(event("memory_checkpoint_lost", error=error))
    return replace(failure, message=f"{failure.message}\n{words}" if words else failure.message)


def _elastic_config(log_dir: Path) -> tuple["LaunchConfig", str, list[str]]:
    """torchrun's own reading of its flags and `PET_*` variables."""
    from torch.distributed.run import config_from_args, parse_args

    os.environ.setdefault("TORCHELASTIC_LOG_LINE_PREFIX_TEMPLATE", "[rank ${rank}] ")
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(STOP_SECONDS))
    os.environ.setdefault("PET_RDZV_CONF", f"timeout={RENDEZVOUS_SECONDS}")
    flags = ["--max-restarts=0", "--tee=2", f"--log-dir={log_dir}", "--no-python", sys.executable, *_WORKER]
    arguments = parse_args(flags)
    if arguments.master_port is None:
        arguments.master_port = 29500
    processes = int(arguments.nproc_per_node) if arguments.nproc_per_node.isdigit() else 1
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, available_cpus() // processes)))
    config, command, rest = config_from_args(arguments)
    return config, command, rest


def _failures(error: "ChildFailedError", scratch: Path) -> list[Failure]:
    """Of this pod's ranks, the first to fail first."""
    in_order = sorted(error.failures.items(), key=lambda item: (item[1].timestamp, item[0]))
    return [
        Failure(rank, failure.exitcode, _last_words(scratch, failure.local_rank) or str(failure.message))
        for rank, failure in in_order
    ]


def _last_words(scratch: Path, local_rank: int) -> str:
    """The last lines that a rank wrote to stderr."""
    lines: list[str] = []
    for path in scratch.glob(f"logs/*/attempt_*/{local_rank}/stderr.log"):
        lines += path.read_text(errors="replace").splitlines()[-STDERR_LINES:]
    return "\n".join(lines)


def _first_rank(variables: Mapping[str, str]) -> int:
    """The lowest rank of this pod, for a failure that comes before ranks are given out."""
    processes = variables.get("PET_NPROC_PER_NODE", "1")
    return int(variables.get("PET_NODE_RANK", "0")) * (int(processes) if processes.isdigit() else 1)


def _succeed(environment: Environment, scratch: Path) -> int:
    result = scratch / _RESULT
    if result.exists():
        termination.write(environment.termination_log, result.read_bytes())
    return 0


def _measured(scratch: Path) -> Mapping[str, Any]:
    """The evaluation of a model that is not good enough."""
    result = scratch / _RESULT
    return json.loads(result.read_text()) if result.exists() else {}


def _end(
    environment: Environment,
    code: int,
    failures: list[Failure],
    stacks: Mapping[int, str] = MappingProxyType({}),
    measured: Mapping[str, Any] = MappingProxyType({}),
) -> int:
    for rank, text in stacks.items():
        sys.stdout.write(f"event=stack rank={rank}\n{text}\n")
    lines = {rank: brief(text) for rank, text in stacks.items()}
    termination.write(environment.termination_log, failure_document(failures, lines, measured=measured))
    return code


def _stop_before_start(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(EXIT_STOPPED)


if __name__ == "__main__":
    sys.exit(main())
