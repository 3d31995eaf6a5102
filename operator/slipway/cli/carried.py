"""What of a TrainingJob a shell script can carry out, where there is no cluster.

Decided here: every field that the file sets is carried over, told in a comment, or refused; none is dropped in
silence. A field that no table below names is refused: whoever adds one to the API decides what becomes of it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..api.common import Model
from ..api.trainingjob import KIND
from ..plan.names import MAIN_CONTAINER
from ..plan.observed import Obj
from ..plan.pod import policy
from ..plan.pod.policytypes import entries, mapping, text
from ..plan.training.inputs import PVC_SCHEME, inputs
from ..plan.training.pods import RESERVED
from .documents import InvalidFile
from .jobs import Job

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

CARRIED = ("recipe", "command", "accelerator", "nodes", "perNode", "failurePolicy.maxRestarts")
OF_A_RECIPE = (
    *("strategy", "ddp", "fsdp", "deepspeed", "parallel", "activationCheckpointing", "precision"),
    *("model", "baseModel", "adapter", "dataset", "training", "checkpoint", "desync", "evaluation"),
)
# The trainer's watchdog is in the script's processes too. Of a command that reports its steps nobody listens here.
BY_THE_WATCHDOG = ("stall.factor", "stall.floorSeconds")
NOTED: Mapping[str, str] = {
    "image": "processes run in the environment that is active here",
    "acceleratorClass": "processes run on the GPUs that are here",
    "output": "checkpoints and the model go to $SLIPWAY_OUTPUT_DIR, and stay",
}
ENVIRONMENT = "podTemplate.spec.containers[main].env"
NO_PODS = "there are no pods"
NO_RECIPE = "belongs to a recipe: leave it out with command"
NO_OPERATOR = "only an operator carries this out: leave it out"


def left_out(job: Job) -> list[str]:
    """A line for each field that the script does not carry out. Raises InvalidFile where that would be another job."""
    _check(job)
    lines = [f"metadata.{kind}: {NO_PODS}" for kind in ("labels", "annotations") if job.metadata.get(kind)]
    lines += [f"spec.{path}: {_note(job, path)}" for path in _said(job.spec) if path not in _carried(job)]
    return [*lines, *(f"spec.{path}: {NO_PODS}" for path in _pod_fields(_template(job)))]


def _carried(job: Job) -> tuple[str, ...]:
    return (*CARRIED, *OF_A_RECIPE, *BY_THE_WATCHDOG) if job.spec.recipe else CARRIED


def environment(job: Job) -> dict[str, str]:
    """Variables that the podTemplate gives the main container, as far as they are plain values. Raises InvalidFile."""
    found = [entry for container in _main(_template(job)) for _, entry in entries(container.get("env"))]
    plain = {text(entry.get("name")): entry.get("value", "") for entry in found if "valueFrom" not in entry}
    for name, value in plain.items():
        if not VARIABLE.fullmatch(name) or not isinstance(value, str):
            raise InvalidFile(_of(job, f"{ENVIRONMENT}: a shell cannot export {name!r} as {value!r}"))
    return plain


def _check(job: Job) -> None:
    """What is wrong for pods is wrong here too; and claims are Kubernetes'."""
    if found := policy.violations(_template(job), RESERVED):
        raise InvalidFile(f"{KIND} {job.owner.name}: {found[0].path}: {found[0].message}")
    for each in inputs(job.spec):
        if each.uri.startswith(PVC_SCHEME):
            field = each.field.removeprefix("spec.")
            raise InvalidFile(_of(job, f"{field}: a claim is Kubernetes': give file:///path that every node has"))


def _of(job: Job, complaint: str) -> str:
    return f"{KIND} {job.owner.name}: spec.{complaint}"


def _said(model: Model, path: str = "") -> Iterator[str]:
    """Dotted paths of the fields that the file sets, in the API's spelling; podTemplate is told apart."""
    for field in sorted(model.model_fields_set):
        name, value = type(model).model_fields[field].alias or field, getattr(model, field)
        if value is None or name == "podTemplate":
            continue
        if isinstance(value, Model) and f"{path}{name}" not in (*OF_A_RECIPE, *NOTED):
            yield from _said(value, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def _note(job: Job, path: str) -> str:
    if path not in NOTED:
        raise InvalidFile(_of(job, f"{path}: {NO_RECIPE if path in OF_A_RECIPE else NO_OPERATOR}"))
    return NOTED[path]


def _template(job: Job) -> Obj:
    return job.spec.pod_template.model_dump() if job.spec.pod_template else {}


def _main(template: Obj) -> Iterator[Mapping[str, Any]]:
    for _, container in entries(mapping(template.get("spec")).get("containers")):
        if container.get("name") == MAIN_CONTAINER:
            yield container


def _pod_fields(template: Obj) -> Iterator[str]:
    """Paths under podTemplate that are not carried over: all but the main container's plain variables."""
    spec = mapping(template.get("spec"))
    yield from (f"podTemplate.metadata.{name}" for name in mapping(template.get("metadata")))
    yield from (f"podTemplate.spec.{name}" for name in spec if not _is_list(spec, "containers", name))
    for index, container in entries(spec.get("containers")):
        if container.get("name") != MAIN_CONTAINER:
            yield f"podTemplate.spec.containers[{index}]"
            continue
        fields = (field for field in container if field != "name" and not _is_list(container, "env", field))
        yield from (f"podTemplate.spec.containers[main].{field}" for field in fields)
        yield from (f"{ENVIRONMENT}[{n}].valueFrom" for n, each in entries(container.get("env")) if "valueFrom" in each)


def _is_list(body: Mapping[str, Any], wanted: str, field: str) -> bool:
    """Whether `field` is the wanted one, and a list, which is then looked into."""
    return field == wanted and isinstance(body[field], list)
