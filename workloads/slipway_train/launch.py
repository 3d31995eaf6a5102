"""`python3 -m slipway_train.launch`: torchrun in this process, with an honest account of how the ranks ended.

torchrun itself turns every failure into exit code 1. Decided here: the pod's exit code and termination message carry
the real one of the rank that failed first, and the last lines that it wrote to stderr. SIGTERM is passed on and waited
for, so that a checkpoint is saved. Nothing is restarted here: the operator restarts the whole gang.
"""

import json
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from . import termination
from .config import Environment, read_recipe
from .errors import EXIT_FAILED, EXIT_RECIPE_WRONG, EXIT_REQUIREMENT_NOT_MET, EXIT_STOPPED, RecipeError
from .termination import Failure, failure_document

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig

STDERR_LINES = 30
RENDEZVOUS_SECONDS = 600  # pods of one gang may start this far apart: one may have to pull the image
STOP_SECONDS = 25  # for ranks to save and leave: well inside the pod's grace period of 60 s, so that we still write why
_WORKER = ("-m", "slipway_train.worker")


def main() -> int:
    signal.signal(signal.SIGTERM, _stop_before_start)  # a container's first process ignores what it does not handle
    environment = Environment.read(os.environ)
    try:
        read_recipe(os.environ)
    except RecipeError as error:
        sys.stderr.write(f"{error}\n")
        return _end(environment, EXIT_RECIPE_WRONG, [Failure(_first_rank(os.environ), EXIT_RECIPE_WRONG, str(error))])
    with tempfile.TemporaryDirectory(prefix="slipway-") as scratch:
        return _launch(environment, Path(scratch))


def exit_code(failures: list[Failure]) -> int:
    """2 or 3 where any rank says so: the recipe is wrong, the model not good enough. Else the first failure's, 128 + n
    for signal n."""
    codes = [failure.exit_code for failure in failures]
    for code in (EXIT_RECIPE_WRONG, EXIT_REQUIREMENT_NOT_MET):
        if code in codes:
            return code
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


def _launch(environment: Environment, scratch: Path) -> int:
    # imported late: torch takes seconds, and a wrong recipe or an early SIGTERM need not wait for it
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import elastic_launch

    result_file = scratch / "result.json"
    os.environ["SLIPWAY_RESULT_FILE"] = str(result_file)
    config, command, arguments = _elastic_config(scratch / "logs")
    try:
        elastic_launch(config=config, entrypoint=command)(*arguments)
    except ChildFailedError as error:
        failures = _failures(error, scratch)
        measured = json.loads(result_file.read_text()) if result_file.exists() else {}
        return _end(environment, exit_code(failures), failures, measured)
    except SignalException as stopped:
        words = _last_words(scratch, 0) or "no rank said that it saved a checkpoint"
        failure = Failure(_first_rank(os.environ), EXIT_STOPPED, f"{stopped.sigval.name} to the pod: {words}")
        return _end(environment, EXIT_STOPPED, [failure])
    except Exception as error:
        failure = Failure(_first_rank(os.environ), EXIT_FAILED, f"the gang did not form: {error}")
        sys.stderr.write(f"{failure.message}\n")
        return _end(environment, EXIT_FAILED, [failure])
    if result_file.exists():
        termination.write(environment.termination_log, result_file.read_bytes())
    return 0


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


def _end(
    environment: Environment, code: int, failures: list[Failure], measured: Mapping[str, Any] = MappingProxyType({})
) -> int:
    termination.write(environment.termination_log, failure_document(failures, measured))
    return code


def _stop_before_start(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(EXIT_STOPPED)


if __name__ == "__main__":
    sys.exit(main())
