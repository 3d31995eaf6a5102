"""The kinds that the emulator serves: what the operator touches, each with its type and what is special about it.

Slipway's own come from the CRD generator, so that what is simulated is what is installed. PyTorchJob and ScaledObject
preserve what is unknown: their own schemas are large, hold atomic lists and nothing else that the operator relies on.
So do policies and webhooks, of which only the effect on others counts (policies.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from slipway.api.crd import ACCELERATOR, INFERENCE_SERVICE, TRAINING_JOB, crd
from slipway.kube import kinds as operator_kinds
from slipway.kube.kinds import Resource

from . import admission, defaults, rules, shapes, validation
from .answers import Cause, Obj
from .shapes import Shape

Default = Callable[[Obj], Obj]
Admit = Callable[[Obj, Obj | None, int], Obj]  # (object, the one it replaces, a number of its own) -> object
Validate = Callable[[Obj, Obj | None], list[Cause]]


@dataclass(frozen=True, slots=True)
class Scale:
    """Where /scale reads and writes, as dotted paths."""

    spec_replicas: str
    status_replicas: str
    selector: str = ""


@dataclass(frozen=True, slots=True)
class Kind(Resource):
    """One kind. `custom`: a CRD's; else a core kind, which is decoded as Go does.

    `status`: it has a status subresource. `counts`: its generation counts changes of spec; `counts_annotations`: of
    those too. `upsert`: a PUT may create it. `versioned`: a PUT must carry a resourceVersion. `returned`: a delete
    answers the object, not a Status. `graceful`: a deleted object may go on for a while.
    """

    shape: Shape
    custom: bool
    namespaced: bool = True
    status: bool = True
    scale: Scale | None = None
    counts: bool = True
    counts_annotations: bool = False
    upsert: bool = False
    versioned: bool = False
    returned: bool = False
    graceful: bool = False
    default: Default = defaults.nothing
    admit: Admit = admission.nothing
    validate: Validate = validation.nothing

    @property
    def root(self) -> str:
        return f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"


def from_definition(definition: Obj) -> Kind:
    """A kind as its CustomResourceDefinition says. Raises cel.Unsupported for a rule that cannot be evaluated."""
    spec, version = definition["spec"], definition["spec"]["versions"][0]
    shape = shapes.custom(version["schema"]["openAPIV3Schema"])
    rules.compile_rules(shape)
    subresources = version.get("subresources", {})
    scale = subresources.get("scale")
    return Kind(
        api_version=f"{spec['group']}/{version['name']}",
        kind=spec["names"]["kind"],
        plural=spec["names"]["plural"],
        shape=shape,
        custom=True,
        namespaced=spec["scope"] == "Namespaced",
        status="status" in subresources,
        scale=Scale(*(scale.get(f"{key}Path", "")[1:] for key in ("specReplicas", "statusReplicas", "labelSelector")))
        if scale
        else None,
        versioned=True,
    )


def bare_definition(resource: Resource) -> Obj:
    """A CRD that takes anything in spec and status."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    names = {"plural": resource.plural, "singular": resource.kind.lower(), "kind": resource.kind}
    version = {
        "name": resource.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": anything, "status": anything}}},
        "subresources": {"status": {}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": resource.full},
        "spec": {
            "group": resource.group,
            "scope": "Namespaced",
            "names": names | {"listKind": f"{resource.kind}List"},
            "versions": [version],
        },
    }


def definitions() -> tuple[Obj, ...]:
    """The CRDs of the custom kinds: what a real API server is given to be compared with."""
    return (
        crd(TRAINING_JOB),
        crd(INFERENCE_SERVICE),
        crd(ACCELERATOR),
        bare_definition(operator_kinds.PYTORCH_JOB),
        bare_definition(operator_kinds.SCALED_OBJECT),
    )


def _core(resource: Resource, package: str, **more: object) -> Kind:
    shape = shapes.core(f"io.k8s.api.{package}.{resource.kind}")
    return Kind(resource.api_version, resource.kind, resource.plural, shape, custom=False, **more)  # type: ignore[arg-type]


NAMESPACE = Resource("v1", "Namespace", "namespaces")
QUOTA = Resource("v1", "ResourceQuota", "resourcequotas")
ADMISSION = (
    Resource("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies"),
    Resource(
        "admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings"
    ),
    Resource("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations"),
)


def _anything(resource: Resource) -> Kind:
    """A kind at cluster scope that takes anything."""
    shape = shapes.custom({"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    return Kind(
        resource.api_version, resource.kind, resource.plural, shape, custom=True, namespaced=False, status=False
    )


@cache
def default_kinds() -> tuple[Kind, ...]:
    """Every kind that the operator reads or writes, but TokenReviews; Namespaces; and what may stand in its way."""
    return (
        *(from_definition(each) for each in definitions()),
        _core(
            NAMESPACE, "core.v1", namespaced=False, counts=False, default=defaults.namespace, admit=admission.namespace
        ),
        _core(
            operator_kinds.POD,
            "core.v1",
            returned=True,
            graceful=True,
            default=defaults.pod,
            admit=admission.pod,
            validate=validation.pod,
        ),
        _core(
            operator_kinds.POD_TEMPLATE,
            "core.v1",
            status=False,
            counts=True,
            returned=True,
            default=defaults.pod_template,
            validate=validation.pod_template,
        ),
        _core(
            operator_kinds.SERVICE,
            "core.v1",
            counts=False,
            upsert=True,
            returned=True,
            default=defaults.service,
            admit=admission.service,
            validate=validation.service,
        ),
        _core(
            operator_kinds.CLAIM,
            "core.v1",
            counts=False,
            returned=True,
            default=defaults.claim,
            admit=admission.claim,
            validate=validation.claim,
        ),
        _core(
            operator_kinds.DEPLOYMENT,
            "apps.v1",
            counts_annotations=True,
            scale=Scale("spec.replicas", "status.replicas", "spec.selector"),
            default=defaults.deployment,
            validate=validation.deployment,
        ),
        _core(QUOTA, "core.v1", counts=False, returned=True, validate=validation.resource_quota),
        *(_anything(each) for each in ADMISSION),
        _core(operator_kinds.EVENT, "events.v1", status=False, counts=False, upsert=True, validate=validation.event),
        _core(
            operator_kinds.LEASE,
            "coordination.v1",
            status=False,
            counts=False,
            upsert=True,
            versioned=True,
            validate=validation.lease,
        ),
        _core(
            operator_kinds.ENDPOINT_SLICE,
            "discovery.v1",
            status=False,
            counts=True,
            upsert=True,
            default=defaults.endpoint_slice,
            validate=validation.endpoint_slice,
        ),
    )
