"""`slipway render --target torchrun`: a TrainingJob as a script that runs it on this machine, at once.

Decided here: the job's processes all start here, however many nodes it asks for, so that each has the share of the
batch that it would have had; they meet at a port that the system chooses, so two jobs do not meet each other.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from .jobs import Job
from .shell import ATTEMPTS, FUNCTIONS, comments, export_lines, exports, filled, program

SHELL = "bash"

BODY = """\
# shellcheck disable=SC2016  # what stands in single quotes is meant as it stands
set -u

@EXPORTS@
export SLIPWAY_OUTPUT_DIR="${SLIPWAY_OUTPUT_ROOT:-$PWD/slipway-output}"/@NAME@
export SLIPWAY_TERMINATION_LOG="$SLIPWAY_OUTPUT_DIR-0.json"
mkdir -p "$(dirname "$SLIPWAY_OUTPUT_DIR")"
max_restarts=@MAX_RESTARTS@

start() {
  exec @PROGRAM@
}

@FUNCTIONS@
trap 'note TERM; [ -z "$gang" ] || kill -TERM "$gang"' TERM INT   # save a checkpoint and stop

@ATTEMPTS@
exit "$code"
"""


def script(job: Job) -> str:
    """The script. Raises InvalidFile for what cannot be carried out without an operator."""
    head = comments(job, "on this machine, with the trainer's environment active. See docs/slurm.md.")
    if job.spec.nodes > 1:
        head += [f"# spec.nodes: the processes of {job.spec.nodes} nodes all start here"]
    values = {
        "EXPORTS": "\n".join([*exports(job), *export_lines(_meeting(job))]),
        "NAME": job.owner.name,
        "MAX_RESTARTS": str(job.spec.failure_policy.max_restarts),
        "PROGRAM": program(job),
        "FUNCTIONS": FUNCTIONS,
        "ATTEMPTS": ATTEMPTS,
    }
    return "\n".join(["#!/usr/bin/env bash", *head, "", filled(BODY, values)])


def run(text: str, environment: Mapping[str, str]) -> NoReturn:
    """Becomes the script: does not come back. Its python3 and torchrun are those beside this interpreter."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', os.defpath)}"
    os.execvpe(SHELL, [SHELL, "-c", text], {**environment, "PATH": path})  # noqa: S606


def _meeting(job: Job) -> dict[str, str]:
    processes = job.spec.nodes * job.spec.per_node
    return {
        "PET_NNODES": "1",
        "PET_NPROC_PER_NODE": str(processes),
        "PET_RDZV_BACKEND": "c10d",
        "PET_RDZV_ENDPOINT": "localhost:0",
        "PET_RDZV_ID": job.owner.name,
    }
