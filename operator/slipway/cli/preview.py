"""What the operator would do for a resource in a file, without a cluster: `slipway plan` and `slipway render`.

The same pure plan runs that the operator runs, visit after visit, each seeing what the former ones made, until nothing
new is made: a claim first, then the gang that mounts it. Nothing starts here: no pod, no replica. Where the plan asks
to read an object, the other documents of the file answer; what is not there is taken as absent, and the summary says
so. A pod template is taken as accepted, since only an API server can say. Rules in CEL are the API server's too: what
is checked here are fields, types and bounds.
"""

import importlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ..api import inferenceservice, trainingjob
from ..api.common import API_VERSION, JsonSchema
from ..api.plainyaml import PlainDumper
from ..plan.capacity.devices import Catalog, catalog
from ..plan.observed import Child, Obj, Observed, Owner, Ref, Verdict
from ..plan.outcome import Defaults, Plan
from ..reconcile.observe import is_suspended
from .documents import ACCELERATOR, MODELS, PLANNED, InvalidFile, of_kinds
from .schema import pattern_message, schema_of, violations, without_nulls

PlanFunction = Callable[[Observed, float, Defaults], Plan]
RefFunction = Callable[[Obj], Ref]

DEFAULT_NAMESPACE = "default"
NO_UID = "00000000-0000-0000-0000-000000000000"
# A plan that asks or makes more than this without an end is a defect, and must not hang the terminal.
ROUNDS_MAX = 8
VISITS_MAX = 8

# What a plan needs to know of an installation, for a preview that has none.
DEFAULTS = Defaults(
    trainer_image="slipway-trainer",
    engine_sidecar_image="slipway-engine",
    vllm_images=(("cpu", "slipway-vllm-cpu"), ("nvidia", "vllm/vllm-openai")),
    sglang_images=(("cpu", ""), ("nvidia", "lmsysorg/sglang")),
    progress_url="http://slipway-leader.slipway-system:8090/v1/progress",
    gateway_url="http://slipway-gateway.slipway-system:8000/v1",
    prometheus_url="http://prometheus.monitoring:9090",
)


UNCHECKED = (
    "Not checked here: the API server's own rules on values and on fields together (CEL). "
    "`kubectl apply --dry-run=server -f FILE` checks them.\n"
)


@dataclass(frozen=True, slots=True)
class Preview:
    """A resource, the objects that would be applied and created, in order, and the plan once they are there.

    `absent` is what that plan wanted to read and neither the file nor the visits before had.
    """

    kind: str
    owner: Owner
    made: tuple[Obj, ...]
    plan: Plan
    absent: tuple[Ref, ...]


@dataclass(frozen=True, slots=True)
class Operator:
    """The operator's own functions: the plan of each kind, and where an object stands."""

    plans: Mapping[str, PlanFunction]
    ref_of: RefFunction


def operator() -> Operator:
    """Imported only now: `slipway crds` needs none of it."""
    plans = {
        trainingjob.KIND: importlib.import_module("slipway.plan.training").plan,
        inferenceservice.KIND: importlib.import_module("slipway.plan.inference").plan,
    }
    return Operator(plans, importlib.import_module("slipway.kube.kinds").ref_of)


def preview(present: list[Obj], using: Operator, now: float | None = None) -> list[Preview]:
    """Plans of all of Slipway's resources among `present`. `now`: seconds since the epoch. Raises InvalidFile."""
    stored = [_checked(body) if _is_ours(body) else body for body in present]  # first: one's plan may read another
    moment = time.time() if now is None else now
    return [_previewed(body, stored, using, moment) for body in of_kinds(stored, *PLANNED)]


def accelerators(present: Iterable[Obj]) -> Catalog:
    """The classes of GPUs that can be named: the built-in ones, and the Accelerators among `present` over them. Raises
    InvalidFile."""
    found = (body for body in present if (body["apiVersion"], body["kind"]) == ACCELERATOR)
    return catalog({body["metadata"]["name"]: _checked(body)["spec"] for body in found})


def _is_ours(body: Obj) -> bool:
    return body["apiVersion"] == API_VERSION and body["kind"] in MODELS


def _previewed(body: Obj, documents: list[Obj], using: Operator, now: float) -> Preview:
    """Visit after visit, until one makes nothing that a former one has not made."""
    plan, kind = using.plans[body["kind"]], body["kind"]
    known = accelerators(documents)
    observed, made = Observed(owner=owner_of(body), accelerators=known), dict[Ref, Obj]()
    for _ in range(VISITS_MAX):
        outcome, absent = _visit(observed, [*documents, *made.values()], plan, now)
        fresh = {using.ref_of(obj): obj for obj in (*outcome.apply, *outcome.create)}
        done = fresh.keys() <= made.keys()
        made |= fresh
        if done:
            return Preview(kind, observed.owner, tuple(made.values()), outcome, absent)
        owner = replace(observed.owner, status=outcome.status)
        children = tuple(_child(ref, obj, owner, now) for ref, obj in made.items())
        observed = Observed(owner=owner, children=children, accelerators=known)
    raise RuntimeError(f"the plan of {body['metadata']['name']} still makes more after {VISITS_MAX} visits")


def _visit(observed: Observed, present: list[Obj], plan: PlanFunction, now: float) -> tuple[Plan, tuple[Ref, ...]]:
    """Plan, answer what it asks, and plan again until it asks nothing new. Returns the plan and what was absent."""
    for _ in range(ROUNDS_MAX):
        outcome = plan(observed, now, DEFAULTS)
        reads = {ref: _find(ref, present) for ref in outcome.reads if ref not in observed.read}
        verdicts = {digest: Verdict() for digest, _ in outcome.templates if digest not in observed.verdicts}
        if not reads and not verdicts:
            return outcome, tuple(ref for ref, found in observed.read.items() if found is None)
        observed = replace(observed, read={**observed.read, **reads}, verdicts={**observed.verdicts, **verdicts})
    raise RuntimeError(f"the plan of {observed.owner.name} still asks for more after {ROUNDS_MAX} rounds")


def _child(ref: Ref, obj: Obj, owner: Owner, now: float) -> Child:
    """An object just made: nobody has written its status yet."""
    return Child(
        ref=ref,
        uid=f"{NO_UID[:-1]}1",
        resource_version="1",
        generation=1,
        labels=obj["metadata"].get("labels", {}),
        owner_uid=owner.uid,
        deleting=False,
        created=now,
        status={},
        suspended=is_suspended(obj),
    )


def owner_of(body: Obj) -> Owner:
    """The resource as the operator would see it just after its creation. Raises InvalidFile."""
    metadata, checked = body["metadata"], _checked(body)
    return Owner(
        namespace=metadata.get("namespace", DEFAULT_NAMESPACE),
        name=metadata["name"],
        uid=metadata.get("uid", NO_UID),
        generation=metadata.get("generation", 1),
        resource_version=metadata.get("resourceVersion", "1"),
        deleting=False,
        spec=checked["spec"],
        status=checked.get("status", {}),
    )


def _checked(body: Obj) -> Obj:
    """The body as the API server would store it. Raises InvalidFile with all that it would refuse."""
    schema = schema_of(body["kind"])
    stored: Obj = without_nulls(body, schema)
    found = {each.path: each.message for each in violations(stored, schema)}
    try:
        MODELS[body["kind"]].read(stored)
    except ValidationError as error:
        found = {_path(each["loc"]): _message(each, schema) for each in error.errors()} | found
    if found:
        problems = "; ".join(f"{path}: {message}" for path, message in found.items())
        raise InvalidFile(f"{body['kind']} {body['metadata']['name']}: {problems}")
    return stored


def _message(error: ErrorDetails, schema: JsonSchema) -> str:
    """pydantic's, but for a regular expression, of which it would show nothing else."""
    if error["type"] != "string_pattern_mismatch":
        return error["msg"]
    return pattern_message(schema, error["loc"], error["ctx"]["pattern"]) or error["msg"]


def _path(location: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".")


def _find(ref: Ref, documents: list[Obj]) -> Obj | None:
    for body in documents:
        metadata = body["metadata"]
        where = (
            body.get("apiVersion"),
            body.get("kind"),
            metadata.get("namespace", DEFAULT_NAMESPACE),
            metadata["name"],
        )
        if where == (ref.api_version, ref.kind, ref.namespace, ref.name):
            return body
    return None


def refusals(previews: Iterable[Preview]) -> list[str]:
    """A sentence for each resource that the operator would not accept."""
    found = ((each, condition) for each in previews for condition in each.plan.status.get("conditions", []))
    return [
        f"{each.kind} {each.owner.namespace}/{each.owner.name} would not be accepted: {condition['reason']}"
        for each, condition in found
        if (condition["type"], condition["status"]) == ("Accepted", "False")
    ]


def rendered(previews: Iterable[Preview]) -> str:
    """The objects that would be applied and created, as YAML documents."""
    objects = [obj for each in previews for obj in each.made]
    if not objects:
        return "# Nothing would be made: `slipway plan` says why.\n"
    return yaml.dump_all(objects, Dumper=PlainDumper, sort_keys=False, width=120, explicit_start=True)


def summary(previews: Iterable[Preview]) -> str:
    """What would be made, and what status would then say, for a person."""
    return "\n".join([*(_summary_of(each) for each in previews), UNCHECKED])


def _summary_of(each: Preview) -> str:
    plan = each.plan
    lines = [f"{each.kind} {each.owner.namespace}/{each.owner.name}"]
    lines += [f"  would make    {obj['kind']} {obj['metadata']['name']}" for obj in each.made]
    lines += [f"  would delete  {delete.ref.kind} {delete.ref.name}" for delete in plan.delete]
    lines += [
        f"  looked for    {ref.kind} {ref.namespace}/{ref.name}, which the file does not have" for ref in each.absent
    ]
    lines += ["  then status would say:"] if plan.status.get("conditions") else []
    lines += [_condition(condition) for condition in plan.status.get("conditions", [])]
    if plan.requeue_after is not None:
        lines.append(f"  would look again after {plan.requeue_after:g} s")
    if plan.look_again:
        lines.append("  would look again after some seconds, and then ever more seldom")
    return "\n".join(lines) + "\n"


def _condition(condition: Mapping[str, Any]) -> str:
    text = f"    {condition['type']:<12}  {condition['status']:<7}  {condition['reason']}"
    return f"{text}: {condition['message']}" if condition.get("message") else text
