"""`slipway render --target slurm`: a TrainingJob as an sbatch script.

Decided here: one task a node, which is the launcher (or torchrun, for a command), meeting on the first node of the
allocation; USR1, which Slurm sends before the time limit, saves a checkpoint and requeues the job; a signal reaches the
tasks by scancel, since srun answers its own SIGTERM by killing them. A failed gang is started again in the same
allocation. Tasks are not ended by each other's failure (--kill-on-bad-exit=0): SIGTERM would make a peer say 143, and
hide why the first one failed; they end by themselves, and --wait bounds that.
"""

from .jobs import Job
from .shell import ATTEMPTS, FUNCTIONS, comments, exports, filled, program

BEFORE_LIMIT_SECONDS = 120  # of the time limit: for the step under way and a checkpoint
STRAGGLER_SECONDS = 600  # from the first task's end to the last's: rank 0 may export when the others are done

BODY = """\
# shellcheck disable=SC2016  # what stands in single quotes is meant as it stands
set -u

@EXPORTS@
export SLIPWAY_OUTPUT_DIR="${SLIPWAY_OUTPUT_ROOT:-$SLURM_SUBMIT_DIR/slipway-output}"/@NAME@
mkdir -p "$(dirname "$SLIPWAY_OUTPUT_DIR")"
hosts=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
export PET_NNODES="$SLURM_JOB_NUM_NODES" PET_NPROC_PER_NODE=@PER_NODE@ PET_MASTER_ADDR="${hosts%%$'\\n'*}"
max_restarts=@MAX_RESTARTS@

# One task on each node. The node's number is the task's own; the termination message goes beside the output.
task='export PET_NODE_RANK="$SLURM_NODEID" SLIPWAY_TERMINATION_LOG="$SLIPWAY_OUTPUT_DIR-$SLURM_NODEID.json"; exec "$@"'
start() {
  export PET_MASTER_PORT=$((20000 + (SLURM_JOB_ID + $1) % 12000))
  exec srun --kill-on-bad-exit=0 --wait=@STRAGGLER@ --cpus-per-task="$SLURM_CPUS_PER_TASK" \\
    bash -c "$task" task @PROGRAM@
}

@FUNCTIONS@
trap 'note USR1; scancel --signal=TERM "$SLURM_JOB_ID"' USR1   # the time limit is near: save a checkpoint
trap 'note TERM' TERM   # cancelled or preempted: Slurm has told the tasks, and requeues what it preempted

@ATTEMPTS@
if [ "$asked" = USR1 ]; then scontrol requeue "$SLURM_JOB_ID"; fi
exit "$code"
"""


def script(job: Job) -> str:
    """The sbatch script. Raises InvalidFile for what Slurm cannot carry out."""
    head = comments(job, "for Slurm: submit with sbatch, from a directory that every node mounts, with the trainer's")
    lines = [
        "#!/bin/bash",
        *head[:1],
        "# environment active (Python with slipway[train]). See docs/slurm.md.",
        *head[1:],
    ]
    return "\n".join([*lines, *_directives(job), "", _body(job)])


def _directives(job: Job) -> list[str]:
    spec = job.spec
    gpus = [f"--gpus-per-node={spec.per_node}"] if spec.accelerator == "nvidia" else []
    wanted = [
        f"--job-name={job.owner.name}",
        f"--nodes={spec.nodes}",
        "--ntasks-per-node=1",
        f"--cpus-per-task={spec.per_node}",
        *gpus,
        "--requeue",
        "--open-mode=append",
        f"--signal=B:USR1@{BEFORE_LIMIT_SECONDS}",
    ]
    return [f"#SBATCH {option}" for option in wanted]


def _body(job: Job) -> str:
    values = {
        "EXPORTS": "\n".join(exports(job)),
        "NAME": job.owner.name,
        "PER_NODE": str(job.spec.per_node),
        "MAX_RESTARTS": str(job.spec.failure_policy.max_restarts),
        "STRAGGLER": str(STRAGGLER_SECONDS),
        "FUNCTIONS": FUNCTIONS,
        "ATTEMPTS": ATTEMPTS,
        "PROGRAM": program(job),
    }
    return filled(BODY, values)
