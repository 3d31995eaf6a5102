"""The stand-in's programs. What they take is what the real ones document, as far as Slipway's script uses it: an option
that is not in their tables is an error, so the script cannot grow one that Slurm does not have.

What is true to Slurm here, because the script rests on it: the batch script runs once, on one node; srun starts one
task a node with SLURM_NODEID, answers its own SIGTERM by killing them, and returns the highest exit code; scancel
--signal reaches the tasks and not the batch script; a requeued job runs the same script again with
SLURM_RESTART_COUNT. Unlike Slurm's, sbatch waits for the end of the job, and every node is this machine.
"""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

JOB_ID = "4711"
STATE = "FAKE_SLURM_STATE"  # a directory

SBATCH = {
    "--job-name": r"[\w.-]+",
    "--nodes": r"[0-9]+",
    "--ntasks-per-node": r"1",
    "--cpus-per-task": r"[0-9]+",
    "--gpus-per-node": r"[0-9]+",
    "--requeue": r"",
    "--open-mode": r"append|truncate",
    "--signal": r"(B:)?[A-Z0-9]+(@[0-9]+)?",
}
SRUN = {"--kill-on-bad-exit": r"[01]", "--wait": r"[0-9]+", "--cpus-per-task": r"[0-9]+"}


def main() -> int:
    program, *arguments = sys.argv[1:]
    return {"sbatch": sbatch, "srun": srun, "scancel": scancel, "scontrol": scontrol}[program](arguments)


def state() -> Path:
    return Path(os.environ[STATE])


def options(arguments: list[str], table: dict[str, str]) -> dict[str, str]:
    """Raises SystemExit for what the real program would not take."""
    found = {}
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name not in table or not re.fullmatch(table[name], value):
            raise SystemExit(f"fake Slurm: unrecognized option {argument!r}")
        found[name] = value
    return found


def sbatch(arguments: list[str]) -> int:
    (script,) = map(Path, arguments)
    asked = options(directives(script.read_text()), SBATCH)
    restarts = 0
    while True:
        code = batch(script, asked, restarts)
        if not (state() / "requeue").exists():
            return code
        (state() / "requeue").unlink()
        restarts += 1


def directives(script: str) -> list[str]:
    """The #SBATCH lines before the first command, as Slurm reads them."""
    found = []
    for line in script.splitlines():
        if line.startswith("#SBATCH "):
            found += line.removeprefix("#SBATCH ").split()
        elif line and not line.startswith("#"):
            break
    return found


def batch(script: Path, asked: dict[str, str], restarts: int) -> int:
    environment = {
        **os.environ,
        "SLURM_JOB_ID": JOB_ID,
        "SLURM_JOB_NODELIST": f"fake[0-{int(asked['--nodes']) - 1}]",
        "SLURM_JOB_NUM_NODES": asked["--nodes"],
        "SLURM_CPUS_PER_TASK": asked["--cpus-per-task"],
        "SLURM_SUBMIT_DIR": str(Path.cwd()),
    }
    if restarts:
        environment["SLURM_RESTART_COUNT"] = str(restarts)
    with Path(f"slurm-{JOB_ID}.out").open("ab") as log:
        process = subprocess.Popen(["/bin/bash", str(script)], env=environment, stdout=log, stderr=log)
        (state() / "batch").write_text(str(process.pid))
        return process.wait()


def srun(arguments: list[str]) -> int:
    first = next(at for at, each in enumerate(arguments) if not each.startswith("--"))
    options(arguments[:first], SRUN)
    nodes = int(os.environ["SLURM_JOB_NUM_NODES"])
    tasks = [task(node, nodes, arguments[first:]) for node in range(nodes)]
    (state() / "tasks").write_text(" ".join(str(each.pid) for each in tasks))

    def kill(_signal: int, _frame: FrameType | None) -> None:
        for each in tasks:
            each.kill()

    signal.signal(signal.SIGTERM, kill)
    codes = [each.wait() for each in tasks]
    (state() / "tasks").unlink()
    return max(128 - code if code < 0 else code for code in codes)


def task(node: int, nodes: int, command: list[str]) -> subprocess.Popen[bytes]:
    own = {"SLURM_PROCID": str(node), "SLURM_NODEID": str(node), "SLURM_LOCALID": "0", "SLURM_NTASKS": str(nodes)}
    return subprocess.Popen(command, env={**os.environ, **own})


def scancel(arguments: list[str]) -> int:
    """To the tasks of a step that runs; none is no error."""
    wanted, job = arguments
    assert (wanted, job) == ("--signal=TERM", JOB_ID)
    tasks = state() / "tasks"
    for pid in tasks.read_text().split() if tasks.exists() else ():
        os.kill(int(pid), signal.SIGTERM)
    return 0


def scontrol(arguments: list[str]) -> int:
    if arguments == ["requeue", JOB_ID]:
        (state() / "requeue").touch()
        return 0
    assert arguments == ["show", "hostnames", os.environ["SLURM_JOB_NODELIST"]]
    sys.stdout.write("localhost\n" * int(os.environ["SLURM_JOB_NUM_NODES"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
