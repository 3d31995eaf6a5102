"""Scripts at work: how often the gang starts, what a signal does. Slurm and the launcher are stand-ins.

The launcher's stand-in is called python3. It writes down how it was started and does what the next line of its plan
says: exit with a number, or wait to be told to stop, and then exit with another.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakeslurm import programs
from tests.fakeslurm.__main__ import STATE

from .scriptbed import JOB, changed, script_of

PATIENCE_SECONDS = 60

LAUNCHER = """\
#!/usr/bin/env bash
node=${SLURM_NODEID:-0}
meet="${PET_MASTER_ADDR-} ${PET_MASTER_PORT-}"
echo "${SLURM_RESTART_COUNT:-0} $PET_NODE_RANK $PET_NNODES $PET_NPROC_PER_NODE $meet \\
$SLIPWAY_OUTPUT_DIR $SLIPWAY_TERMINATION_LOG $*" >>"$STUB/starts-$node"
act=$(sed -n "$(wc -l <"$STUB/starts-$node")p" "$STUB/plan")
case $act in
  wait-*)
    sleep 60 >/dev/null 2>&1 &
    trap 'kill $!; exit "${act#wait-}"' TERM
    echo ready >"$STUB/ready"
    wait $!
    ;;
esac
exit "$act"
"""


@dataclass
class Site:
    """A directory to submit from. `nodes` tasks start for each attempt."""

    root: Path
    target: str
    ready: int  # the pipe that tasks write to when they wait, open at both ends so that no writer meets a closed one

    @property
    def nodes(self) -> int:
        return 2 if self.target == "slurm" else 1

    def start(self, *plan: str, job: str = JOB) -> subprocess.Popen[bytes]:
        (self.root / "stub" / "plan").write_text("\n".join(plan) + "\n")
        script = self.root / "job.sh"
        script.write_text(script_of(self.target, job))
        program = ["sbatch", str(script)] if self.target == "slurm" else ["bash", str(script)]
        path = f"{self.root / 'bin'}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "STUB": str(self.root / "stub"), STATE: str(self.root / "state")}
        return subprocess.Popen(program, env=environment, cwd=self.root)

    def run(self, *plan: str, job: str = JOB) -> int:
        return self.start(*plan, job=job).wait(PATIENCE_SECONDS)

    def until_ready(self) -> None:
        """Until every task waits. Two may have written before the first is read."""
        seen = 0
        while seen < self.nodes:
            seen += os.read(self.ready, 4096).count(b"\n")

    def starts(self, node: int = 0) -> list[str]:
        return (self.root / "stub" / f"starts-{node}").read_text().splitlines()

    def signal_script(self, process: subprocess.Popen[bytes], number: signal.Signals) -> None:
        batch = self.root / "state" / "batch"
        os.kill(int(batch.read_text()) if batch.exists() else process.pid, number)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Callable[[str], Site]]:
    for name in ("bin", "stub", "state"):
        (tmp_path / name).mkdir()
    os.mkfifo(tmp_path / "stub" / "ready")
    ready = os.open(tmp_path / "stub" / "ready", os.O_RDWR)

    def make(target: str) -> Site:
        programs(tmp_path / "bin")
        (tmp_path / "bin" / "python3").write_text(LAUNCHER)
        (tmp_path / "bin" / "python3").chmod(0o755)
        return Site(tmp_path, target, ready)

    yield make
    os.close(ready)


TARGETS = pytest.mark.parametrize("target", ["slurm", "torchrun"])


def test_slurm_starts_one_launcher_on_each_node_that_meets_the_others_on_the_first(
    site: Callable[[str], Site],
) -> None:
    slurm = site("slurm")
    assert slurm.run("0", job=changed(JOB, perNode=4)) == 0
    output = f"{slurm.root}/slipway-output/demo"
    port = 20000 + 4711 % 12000
    for node in (0, 1):
        assert slurm.starts(node) == [
            f"0 {node} 2 4 localhost {port} {output} {output}-{node}.json -m slipway_train.launch"
        ]


def test_here_one_launcher_starts_all(site: Callable[[str], Site]) -> None:
    here = site("torchrun")
    assert here.run("0", job=changed(JOB, perNode=4)) == 0
    output = f"{here.root}/slipway-output/demo"
    assert here.starts() == [f"0  1 8   {output} {output}-0.json -m slipway_train.launch"]


@TARGETS
@pytest.mark.parametrize(
    ("plan", "code", "starts"),
    [
        (("0",), 0, 1),
        (("1", "0"), 0, 2),
        (("137", "1", "0"), 0, 3),
        (("75", "0"), 0, 2),
        (("1", "1", "1", "7", "0"), 7, 4),
        (("2", "0"), 2, 1),
        (("3", "0"), 3, 1),
        (("143", "0"), 143, 1),
    ],
    ids=[
        "done",
        "failed once",
        "killed",
        "stalled",
        "failed too often",
        "wrong recipe",
        "not good enough",
        "told to stop",
    ],
)
def test_the_gang_restarts_within_its_budget(
    target: str, plan: tuple[str, ...], code: int, starts: int, site: Callable[[str], Site]
) -> None:
    """failurePolicy.maxRestarts is 3."""
    where = site(target)
    assert where.run(*plan) == code
    assert len(where.starts()) == starts


def test_each_attempt_meets_at_another_port(site: Callable[[str], Site]) -> None:
    """The one before may still be in TIME_WAIT, or held by a straggler."""
    slurm = site("slurm")
    assert slurm.run("1", "1", "0") == 0
    assert [line.split()[5] for line in slurm.starts()] == ["24711", "24712", "24713"]


@TARGETS
def test_no_restarts_where_none_are_allowed(target: str, site: Callable[[str], Site]) -> None:
    where = site(target)
    assert where.run("1", "0", job=changed(JOB, failurePolicy={"maxRestarts": 0})) == 1


def test_before_the_time_limit_a_checkpoint_is_saved_and_the_job_requeued(site: Callable[[str], Site]) -> None:
    slurm = site("slurm")
    process = slurm.start("wait-143", "0")
    slurm.until_ready()
    slurm.signal_script(process, signal.SIGUSR1)
    assert process.wait(PATIENCE_SECONDS) == 0
    assert [line.split()[0] for line in slurm.starts()] == ["0", "1"], "SLURM_RESTART_COUNT"
    assert len(slurm.starts(1)) == 2


def test_a_job_that_ends_just_then_is_done(site: Callable[[str], Site]) -> None:
    slurm = site("slurm")
    process = slurm.start("wait-0", "1")
    slurm.until_ready()
    slurm.signal_script(process, signal.SIGUSR1)
    assert process.wait(PATIENCE_SECONDS) == 0
    assert len(slurm.starts()) == 1


def test_a_cancelled_job_waits_for_its_tasks_and_is_not_requeued(site: Callable[[str], Site]) -> None:
    """Slurm tells the tasks too; here it is the other way round: the script first, which must not kill them."""
    slurm = site("slurm")
    process = slurm.start("wait-143", "0")
    slurm.until_ready()
    slurm.signal_script(process, signal.SIGTERM)
    for pid in (slurm.root / "state" / "tasks").read_text().split():
        os.kill(int(pid), signal.SIGTERM)
    assert process.wait(PATIENCE_SECONDS) == 143
    assert len(slurm.starts()) == 1


def test_here_a_signal_reaches_the_launcher_and_is_waited_for(site: Callable[[str], Site]) -> None:
    here = site("torchrun")
    process = here.start("wait-143", "0")
    here.until_ready()
    here.signal_script(process, signal.SIGTERM)
    assert process.wait(PATIENCE_SECONDS) == 143
    assert len(here.starts()) == 1
