"""What the scripts for Slurm and for this machine share: the job's variables, and how often its gang is started.

Decided here: values get into a script by shlex alone, and what only stands in a comment is printable and on one line.
The gang restarts as under the operator: exit code 0 is the end, 2 is a wrong recipe and 3 a model that is not good
enough, both never tried again, 143 was told to stop, anything else (75, a stall, too) is tried again from the last
checkpoint, `failurePolicy.maxRestarts` times.
"""

import re
import shlex
from collections.abc import Mapping

from ..plan.names import RECIPE_VARIABLE
from ..plan.training.pods import RESERVED, command
from ..plan.training.recipe import recipe_json
from .carried import ENVIRONMENT, environment, left_out
from .documents import InvalidFile
from .jobs import Job

# finish: bash's wait comes back early when a trapped signal arrives, so it waits until none came meanwhile.
FUNCTIONS = """\
asked=""   # the signal that told this script to stop
signals=0
gang=""
# shellcheck disable=SC2329  # the traps call it
note() { asked=$1 signals=$((signals + 1)); }
finish() {
  local before
  while :; do
    before=$signals code=0
    wait "$gang" || code=$?
    [ "$signals" -ne "$before" ] || break
  done
}
"""

ATTEMPTS = """\
attempt=0
while :; do
  start "$attempt" &
  gang=$!
  finish
  if [ "$code" -eq 0 ]; then exit 0; fi
  case $code in 2 | 3 | 143) break ;; esac
  if [ -n "$asked" ] || [ "$attempt" -ge "$max_restarts" ]; then break; fi
  attempt=$((attempt + 1))
  echo "slipway: exit code $code: restart $attempt of $max_restarts from the last checkpoint" >&2
done
"""


def comments(job: Job, what: str) -> list[str]:
    """The head of a script: what it is, and what of the job it leaves out. Raises InvalidFile."""
    lines = [f"TrainingJob {job.owner.namespace}/{job.owner.name} {what}"]
    if missing := left_out(job):
        lines += ["", "Not carried over:", *(f"  {line}" for line in missing)]
    return [f"# {_printable(line)}".rstrip() for line in lines]


def exports(job: Job) -> list[str]:
    """The variables of every process that are the same everywhere. Raises InvalidFile."""
    values = {**_defaults(job), **environment(job)}
    _check_references(job, values)
    if job.spec.recipe:
        values[RECIPE_VARIABLE] = recipe_json(job.spec, job.known)
    return export_lines(values)


def export_lines(values: Mapping[str, str]) -> list[str]:
    return [f"export {name}={shlex.quote(value)}" for name, value in values.items()]


def program(job: Job) -> str:
    """What starts the processes of one node."""
    return shlex.join(command(job.spec))


def filled(template: str, values: Mapping[str, str]) -> str:
    """The template with each @NAME@ replaced, in one pass: what has been put in is not looked at again."""
    return re.sub(r"@([A-Z_]+)@", lambda found: values[found[1]], template)


def _defaults(job: Job) -> dict[str, str]:
    return {"OMP_NUM_THREADS": "1"} if job.spec.accelerator == "cpu" else {}


def _check_references(job: Job, values: Mapping[str, str]) -> None:
    """The kubelet replaces $(NAME) of a variable that it knows, and $$( by $(; nothing here does."""
    names = "|".join(
        [*map(re.escape, (*values, *sorted(RESERVED.env))), *(rf"{each}\w+" for each in RESERVED.env_prefixes)]
    )
    replaced = re.compile(rf"\$\$\(|\$\(({names})\)")
    for where, said in ((ENVIRONMENT, tuple(values.values())), ("command", tuple(job.spec.command or ()))):
        if any(replaced.search(each) for each in said):
            message = f"TrainingJob {job.owner.name}: spec.{where}: only Kubernetes replaces $(NAME): write it out"
            raise InvalidFile(message)


def _printable(line: str) -> str:
    return "".join(char if char.isprintable() else " " for char in line)
