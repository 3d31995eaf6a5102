"""The order of decisions for an InferenceService: accept, find the model, try the pod template, apply, tell.

What cannot be decided yet asks for reads or a dry run, and is planned again in the same visit with the answers. What is
refused, or has no model, leaves the children that run already as they are: a mistake never takes a good service down.
A model that is served already stays one when its job or claim is deleted (source.py): the spec is followed on.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ...api.inferenceservice import InferenceServiceSpec
from ..conditions import ACCEPTED, READY, SCALING, Condition, Finding, find, unknown
from ..names import MAIN_CONTAINER
from ..observed import Obj, Observed, Ref
from ..outcome import Defaults, Delete, Plan
from ..pod import mounting
from ..pod import template as podtemplate
from ..volumes import ClaimPath
from . import acceptance, pods, source, starting
from .children import claims, deployment_ref, own, scaled_object_ref, service_ref
from .deployment import deployment
from .problems import no_progress, placed, pod_problem, pods_refused
from .replicas import Replicas, count, serving
from .scaledobject import scaled_object
from .scaling import scaling_condition
from .served import Served, recorded
from .service import service
from .source import Found, Missing
from .status import View, events, status

# Stands in for a model that is not there yet, so that a bad pod template is told of before the model has been trained.
ANY_MODEL = Served(ClaimPath("model", ""), ("ReadWriteMany",))


def plan(observed: Observed, now: float, defaults: Defaults) -> Plan:
    """What to do for the InferenceService `observed.owner`. `now`: seconds since the epoch."""
    if observed.owner.deleting:  # children go with it, through their owner references
        return Plan(status=observed.owner.status)
    spec = acceptance.parse(observed.owner)
    if isinstance(spec, Finding):
        return _Visit(observed, now, defaults).refused(spec)
    visit = _Visit(observed, now, defaults, desired=spec.replicas)
    if refusal := acceptance.refusal(spec, defaults, observed.accelerators):
        return visit.refused(refusal)
    found = source.resolve(spec, observed)
    if isinstance(found, Missing):
        return _without_model(visit, spec, found)
    if refusal := acceptance.adapter_arguments(spec, found.served):
        return visit.refused(refusal)
    return _with_model(visit, spec, found)


@dataclass(frozen=True, slots=True)
class _Visit:
    """The inputs of one call, and how its outcome is told."""

    observed: Observed
    now: float
    defaults: Defaults
    desired: int | None = None

    def asks(self, trial: tuple[str, Obj], reads: tuple[Ref, ...] = ()) -> Plan | None:
        """The plan that asks for what is not answered yet, all at once since the loop limits the rounds; else None."""
        templates = () if trial[0] in self.observed.verdicts else (trial,)
        if not reads and not templates:
            return None
        return Plan(status=self.observed.owner.status, reads=reads, templates=templates)

    def rejected(self, trial: tuple[str, Obj], spec: InferenceServiceSpec, template: Obj) -> Plan | None:
        """The plan that tells of the API server's complaint about a template; None when it accepts it."""
        user = spec.pod_template.model_dump() if spec.pod_template else {}
        finding = podtemplate.rejection(
            self.observed.verdicts[trial[0]], user=user, template=template, main=MAIN_CONTAINER
        )
        finding = podtemplate.steady(finding, find(self.observed.owner.status, ACCEPTED))
        return self.refused(finding, look_again=finding.reason == podtemplate.REFUSED) if finding else None

    def refused(self, finding: Finding, *, look_again: bool = False) -> Plan:
        view = View(count(self.observed.pods, None), refused=finding, desired=self.desired)
        return self.tells(view, Plan(status={}, look_again=look_again))

    def tells(self, view: View, plan: Plan) -> Plan:
        """`plan` with the status and the events of `view`."""
        owner = self.observed.owner
        ours = own(self.observed, deployment_ref(owner))
        view = replace(view, additions=ours.additions if ours else ())
        told = status(owner, view, gateway_url=self.defaults.gateway_url, now=self.now)
        return replace(plan, status=told, events=events(owner, view))


def _without_model(visit: _Visit, spec: InferenceServiceSpec, missing: Missing) -> Plan:
    owner = visit.observed.owner
    if missing.reads:
        return Plan(status=owner.status, reads=missing.reads)
    template = pods.template(spec, owner, ANY_MODEL, visit.defaults, visit.observed.accelerators)
    trial = podtemplate.shape_trial(owner.namespace, template)  # the job may well use the quota until it has trained
    if asks := visit.asks(trial):
        return asks
    if rejected := visit.rejected(trial, spec, template):
        return rejected
    child = own(visit.observed, scaled_object_ref(owner))
    waiting = unknown(SCALING, "WaitingForModel", "scaling begins when there is a model to serve")
    scaling = waiting if spec.scaling and child is None else _scaling(visit, spec)
    view = View(count(visit.observed.pods, None), missing=missing.finding, desired=visit.desired, scaling=scaling)
    return visit.tells(view, Plan(status={}, delete=_deletions(visit, spec), look_again=not missing.watched))


def _with_model(visit: _Visit, spec: InferenceServiceSpec, found: Found) -> Plan:
    owner = visit.observed.owner
    template = pods.template(spec, owner, found.served, visit.defaults, visit.observed.accelerators)
    trial = _trial(visit, spec)(owner.namespace, template)
    names = claims(visit.observed, _refs(visit.observed, spec))
    if asks := visit.asks(trial, names.reads):
        return asks
    if rejected := visit.rejected(trial, spec, template):
        return rejected
    if names.conflict:
        return visit.refused(names.conflict, look_again=True)
    revision = trial[0]
    return _applied(visit, spec, found, revision, pods.with_revision(template, revision))


def _trial(visit: _Visit, spec: InferenceServiceSpec) -> Callable[[str, Obj], tuple[str, Obj]]:
    """Pods are tried as pods before there is a Deployment to make them. After that their own use of a quota would speak
    against them, and the Deployment tells of the pods that it cannot make; so it is where none is wanted at all.
    """
    wanted = spec.replicas > 0 or spec.scaling is not None
    there = own(visit.observed, deployment_ref(visit.observed.owner)) is not None
    return podtemplate.trial if wanted and not there else podtemplate.shape_trial


def _applied(visit: _Visit, spec: InferenceServiceSpec, found: Found, revision: str, template: Obj) -> Plan:
    observed = visit.observed
    replicas = count(observed.pods, revision)
    objects = (
        _deployment(visit, spec, found, replicas, template),
        service(observed.owner),
        *_autoscaler(visit, spec, found),
    )
    view = View(
        replicas,
        missing=found.claim_lost,
        source_lost=found.source_lost,
        served=_served(observed, found),
        trouble=_trouble(visit, replicas, found.served),
        revision=revision,
        desired=spec.replicas,
        starting=starting.told(replicas.current, spec.startup_seconds),
        scaling=_scaling(visit, spec),
    )
    refused = any(ref in observed.refused for ref in _refs(observed, spec))
    look_again = refused or found.claim_lost is not None
    told = Plan(
        status={},
        apply=objects,
        delete=_deletions(visit, spec),
        requeue_after=mounting.left_seconds(observed.pods, visit.now),
        look_again=look_again,
    )
    return visit.tells(view, told)


def _deployment(visit: _Visit, spec: InferenceServiceSpec, found: Found, replicas: Replicas, template: Obj) -> Obj:
    """Without the claim no new pod can start, so that none that runs may make way for one, not even on a claim that
    only one pod can mount."""
    owner = visit.observed.owner
    if found.claim_lost:
        return deployment(owner, template, spec, access="many", serving=True)
    kept = serving(replicas, owner.status.get("answeredRevision", ""))
    return deployment(owner, template, spec, access=found.served.narrowest.access, serving=kept)


def _served(observed: Observed, found: Found) -> Served | None:
    """What the status is to say is served: nothing new while the API server refuses the Deployment."""
    before = recorded(observed.owner.status)
    return before if deployment_ref(observed.owner) in observed.refused else found.served


def _autoscaler(visit: _Visit, spec: InferenceServiceSpec, found: Found) -> list[Obj]:
    """A service that may go to zero first answers once: an engine can take longer to start than it may be idle, and
    would be taken away before its first token, again and again. Nor does it go there without its claim: it could not
    come back."""
    owner, scaling = visit.observed.owner, spec.scaling
    if scaling is None:
        return []
    awake = spec.replicas > 0 and bool(found.claim_lost or not owner.status.get("answeredRevision"))
    least = max(1, scaling.min_replicas) if awake else scaling.min_replicas
    return [scaled_object(owner, scaling, least=least, prometheus_url=visit.defaults.prometheus_url)]


def _refs(observed: Observed, spec: InferenceServiceSpec) -> tuple[Ref, ...]:
    refs = (deployment_ref(observed.owner), service_ref(observed.owner))
    return (*refs, scaled_object_ref(observed.owner)) if spec.scaling else refs


def _trouble(visit: _Visit, replicas: Replicas, served: Served) -> Finding | None:
    """Why replicas do not answer, the most telling first; of the revision asked for before any older one."""
    observed = visit.observed
    ours = own(observed, deployment_ref(observed.owner))
    refusal = (
        _refused_child(observed, deployment_ref(observed.owner))
        or _refused_child(observed, service_ref(observed.owner))
        or pods_refused(ours)
    )
    return (
        podtemplate.steady(refusal, find(observed.owner.status, READY))
        or placed(pod_problem(replicas.current), served)
        or mounting.not_mounted(replicas.current, visit.now)
        or pod_problem(replicas.older)
        or no_progress(ours)
    )


def _refused_child(observed: Observed, ref: Ref) -> Finding | None:
    answer = observed.refused.get(ref)
    if answer is None:
        return None
    return Finding(f"{ref.kind}Refused", f"the API server refuses {ref.kind} {ref.name!r}: {answer}")


def _scaling(visit: _Visit, spec: InferenceServiceSpec) -> Condition:
    ref = scaled_object_ref(visit.observed.owner)
    return scaling_condition(spec.scaling, own(visit.observed, ref), visit.observed.refused.get(ref))


def _deletions(visit: _Visit, spec: InferenceServiceSpec) -> tuple[Delete, ...]:
    """A ScaledObject that is no longer asked for; its HorizontalPodAutoscaler goes with it."""
    child = own(visit.observed, scaled_object_ref(visit.observed.owner))
    return (Delete(child.ref, child.uid),) if child and not spec.scaling and not child.deleting else ()
