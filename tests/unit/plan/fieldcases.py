"""In which situation each field of the API shows what it is good for, and how a plan there is compared.

Most fields show in what is made of a new object; the others are named here with the situation that asks for them.
Another value of each comes from the simulation's walk over the CRDs (tests/sim/scenarios/leaves.py).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from slipway.api.crd import INFERENCE_SERVICE, TRAINING_JOB, Kind, object_schema
from slipway.api.reference import walk
from slipway.plan.clock import rfc3339
from slipway.plan.observed import Obj, Observed, Ref, Verdict
from slipway.plan.outcome import Plan
from slipway.plan.training import plan as plan_of_job
from tests.sim.apiserver.writes import merge_patched
from tests.sim.scenarios.leaves import ON_A_DISK, WITH, leaves

from .inference.world import SCALING, settle
from .inference.world import spec as service_spec
from .training.builders import (
    DEFAULTS,
    LIVE,
    NOW,
    RECIPE,
    claim,
    claim_child,
    conditions,
    failed,
    fresh,
    gang,
    gang_pods,
    owner,
    pod,
    running_status,
    with_gang,
)

ROUNDS = 4  # as the loop has it
ELASTIC: Obj = {"nodes": 4, "elastic": {"minNodes": 2}}
PENDING: dict[str, Any] = {"phase": "Pending", "created": NOW - 100}


# ---------------------------------------------------------------------------- what a plan does


def done(made: Plan) -> tuple[Any, ...]:
    """All that a plan does, without the words for people: a field that is only talked of is not enforced."""
    told = [(event.type, event.reason) for event in made.events]
    return made.apply, made.create, made.delete, _wordless(made.status), told, made.requeue_after, made.look_again


def _wordless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _wordless(entry) for name, entry in value.items() if name != "message"}
    return [_wordless(entry) for entry in value] if isinstance(value, list) else value


def accepts(made: Plan) -> bool:
    return not any(each["type"] == "Accepted" and each["status"] == "False" for each in made.status["conditions"])


# ---------------------------------------------------------------------------- situations of a job


def settled(observed: Observed) -> Plan:
    """The plan once what it asks has been answered: claims are there, pods run, the API server takes every pod."""
    for _ in range(ROUNDS):
        made = plan_of_job(observed, NOW, DEFAULTS)
        if not made.reads and not made.templates:
            return made
        read = {**observed.read, **{ref: _live(ref) for ref in made.reads}}
        verdicts = {**observed.verdicts, **{digest: Verdict() for digest, _ in made.templates}}
        observed = replace(observed, read=read, verdicts=verdicts)
    raise AssertionError(f"the plan keeps asking: {made.reads}")


def _live(ref: Ref) -> Obj | None:
    return {"Pod": LIVE, "PersistentVolumeClaim": claim("ReadWriteMany")}.get(ref.kind)


def new(spec: Obj) -> Plan:
    return settled(fresh(spec))


def of_gang(*pods: Any, status: Obj | None = None) -> Callable[[Obj], Plan]:
    return lambda spec: settled(with_gang(*pods, spec=spec, status=status))


def after(status: Obj) -> Callable[[Obj], Plan]:
    """The next attempt of a job whose status tells this."""
    return lambda spec: settled(fresh(spec, status=status))


def fails(**status: Any) -> Callable[[Obj], Plan]:
    return of_gang(failed(), pod("worker-0"), status=status)


def is_over(spec: Obj) -> Plan:
    told = conditions(Complete=("True", "Complete", ""))
    return settled(Observed(owner(spec, {"conditions": told, "completionTime": rfc3339(NOW - 60)})))


def finds_little_room(spec: Obj) -> Plan:
    """Two of four pods have had a node for so long that the gang would go on with them."""
    there = [pod(role, **PENDING, bound=NOW - 300) for role in ("master-0", "worker-0")]
    without: dict[str, Any] = {"scheduled": False, "unschedulable_message": "no room", "node": ""}
    waiting = [pod(role, **PENDING, **without) for role in ("worker-1", "worker-2")]
    return settled(with_gang(*there, *waiting, spec=spec))


def runs_small(spec: Obj) -> Plan:
    """Two of four nodes, for less than it takes to try all."""
    told = running_status(1, elastic={"nodes": 2, "message": "no room", "resizes": 1})
    told["conditions"][0]["lastTransitionTime"] = rfc3339(NOW - 60)
    small = gang(1, labels={"slipway.dev/nodes": "2"})
    pods = (pod("master-0", 1), pod("worker-0", 1))
    return settled(Observed(owner(spec, told), pods, (claim_child(), small)))


PACE = {"podUID": "uid-demo-0-master-0", "fromStep": 0, "fromTime": rfc3339(NOW - 1000), "stepTime": rfc3339(NOW - 10)}
STEPS = running_status(pace=PACE, progress={"step": 10, "updated": PACE["stepTime"]})  # 99 s a step
RUNS, STARTS = of_gang(*gang_pods(), status=running_status()), of_gang(*gang_pods(phase="Pending"))
FAILED_BEFORE = {"lastFailure": {"attempt": -1, "pauseSeconds": 300}}
BAD_NODE = {"failedNodes": [{"node": "bad", "failures": 2, "reason": "PodFailed"}]}


# ---------------------------------------------------------------------------- which field in which situation


@dataclass(frozen=True, slots=True)
class Case:
    """`base` is merged over an ordinary spec of the kind, and accepted. `other` is what the field becomes; None: what
    the simulation makes of it. `plan` is where that is seen."""

    base: Obj = field(default_factory=dict)
    other: Any = None
    plan: Callable[[Obj], Plan] | None = None


def rule(**given: Any) -> Obj:
    return {"failurePolicy": {"rules": [{"exitCodes": [1], "action": "Fail", **given}]}}


OWN_PATTERN: Obj = {"dataset": {"cleaning": {"scrubPatterns": [{"name": "own", "pattern": "a+"}]}}}

JOB_CASES: Mapping[str, Case] = {
    "recipe": Case({"recipe": "sft", "baseModel": {"uri": "file:///base"}}, other="lora"),
    "strategy": Case(other="fsdp"),
    "command": Case({"recipe": None, "dataset": None, "training": None, "command": ["sh"]}),
    "baseModel.uri": Case({"recipe": "sft", "baseModel": {"uri": "file:///base"}}),
    "dataset.uri": Case(other="file:///other"),
    "deepspeed.nvmePath": Case(merge_patched(ON_A_DISK, {"deepspeed": {"nvmePath": "/disk"}})),
    "podTemplate.spec": Case(other={"nodeSelector": {"disk": "fast"}}),
    "elastic.minNodes": Case(ELASTIC, other=3, plan=finds_little_room),
    "elastic.waitSeconds": Case(ELASTIC, plan=finds_little_room),
    "elastic.growAfterSeconds": Case(ELASTIC, plan=runs_small),
    "failurePolicy.maxRestarts": Case(plan=fails(restarts=3)),
    "failurePolicy.backoffSeconds": Case(plan=fails()),
    "failurePolicy.backoffLimitSeconds": Case(plan=fails(**FAILED_BEFORE)),
    "failurePolicy.excludeNodeAfter": Case(plan=after(BAD_NODE)),
    "dataset.cleaning.scrubPatterns[].name": Case(OWN_PATTERN, other="other"),
    "dataset.cleaning.scrubPatterns[].pattern": Case(OWN_PATTERN, other="b"),
    "failurePolicy.rules[].exitCodes": Case(rule(), other=[9], plan=fails()),
    "failurePolicy.rules[].reasons": Case(rule(reasons=["PodFailed"]), other=["Evicted"], plan=fails()),
    "failurePolicy.rules[].message": Case(rule(message="exited with"), other="NCCL", plan=fails()),
    "failurePolicy.rules[].action": Case(rule(), other="RestartGang", plan=fails()),
    "failurePolicy.rules[].maxRestarts": Case(
        rule(action="RestartGang", maxRestarts=2), other=1, plan=fails(restarts=1, ruleRestarts=[1])
    ),
    "stall.factor": Case(plan=of_gang(*gang_pods(), status=STEPS)),
    "stall.floorSeconds": Case({"stall": {"factor": 1}}, plan=of_gang(*gang_pods(), status=STEPS)),
    "deadlineSeconds": Case(plan=RUNS),
    "startDeadlineSeconds": Case(plan=STARTS),
    "ttlSecondsAfterFinished": Case(plan=is_over),
}
FROM_JOB: Obj = {"model": {"uri": None, "from": {"trainingJob": "stdlib"}}}
SERVICE_CASES: Mapping[str, Case] = {
    "model.from.trainingJob": Case(FROM_JOB),
    "podTemplate.spec": Case(other={"nodeSelector": {"disk": "fast"}}),
    **{f"scaling.{name}": Case({"scaling": SCALING}) for name in SCALING},
}


@dataclass(frozen=True, slots=True)
class Subject:
    """A kind with an ordinary spec and what is planned for it when it is new."""

    kind: Kind
    spec: Obj
    cases: Mapping[str, Case]
    new: Callable[[Obj], Plan]


JOB = Subject(TRAINING_JOB, RECIPE, JOB_CASES, new)
SERVICE = Subject(INFERENCE_SERVICE, service_spec(), SERVICE_CASES, settle)


# ---------------------------------------------------------------------------- whether a field has an effect


def paths(kind: Kind) -> Iterator[str]:
    """Every field of the spec below which the schema says nothing more; `[]` stands for an item of a list."""
    for row in walk(object_schema(kind)["properties"]["spec"]):
        below = row.schema.get("properties") or row.schema.get("items", {}).get("properties")
        if row.path and not below and not row.path.endswith(("[]", "{}")):
            yield row.path


def case_of(subject: Subject, path: str) -> Case:
    """With everything filled in."""
    found = subject.cases.get(path) or Case(WITH.get(tuple(path.split(".")), {}))
    others = {leaf.name: leaf.other for leaf in leaves(subject.kind)}
    base = merge_patched(subject.spec, found.base)
    return Case(base, others[path] if found.other is None else found.other, found.plan or subject.new)


def changed(spec: Obj, path: str, value: Any) -> Obj:
    name, _, rest = path.partition(".")
    if name.endswith("[]"):
        return {**spec, name[:-2]: [changed(each, rest, value) for each in spec[name[:-2]]]}
    return {**spec, name: changed(spec.get(name, {}), rest, value) if rest else value}


def has_effect(subject: Subject, path: str) -> bool:
    """Whether what is done of an accepted object changes with this field alone."""
    case = case_of(subject, path)
    assert case.plan is not None
    before, spec = case.plan(case.base), changed(case.base, path, case.other)
    assert accepts(before), f"{path} must be looked at in a spec that is accepted: {before.status}"
    assert spec != case.base, f"{path} must become something else than {case.other}"
    return done(case.plan(spec)) != done(before)
