"""What Slipway may do in a cluster: one table, from which the chart's roles are generated.

What is decided here: every permission stands once, with the reason for it. There is no wildcard, and nothing reads a
Secret. What is only needed in the release's own namespace is a Role there.
"""

from dataclasses import dataclass
from typing import Literal

import yaml

from .common import GROUP
from .inferenceservice import PLURAL as INFERENCE_SERVICES
from .trainingjob import PLURAL as TRAINING_JOBS

REGENERATE = "slipway rbac --output charts/slipway/templates"

Component = Literal["operator", "gateway"]
Scope = Literal["cluster", "namespace"]
COMPONENTS: tuple[Component, ...] = ("operator", "gateway")

WATCH = ("get", "list", "watch")
FULLNAME = '{{ include "slipway.fullname" . }}'
NAMESPACE = "{{ .Release.Namespace }}"
LABELS = '{{- include "slipway.labels" . | nindent 4 }}'
RBAC_GROUP = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True)
class Permission:
    """`component` may do `verbs` on `resources` of `group` ("" is core/v1), only on `names` where any are given."""

    component: Component
    scope: Scope
    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    why: str
    names: tuple[str, ...] = ()

    def as_rule(self) -> dict[str, list[str]]:
        rule = {"apiGroups": [self.group], "resources": list(self.resources), "verbs": list(self.verbs)}
        return rule | ({"resourceNames": list(self.names)} if self.names else {})


PERMISSIONS: tuple[Permission, ...] = (
    Permission("operator", "cluster", GROUP, (TRAINING_JOBS, INFERENCE_SERVICES), WATCH, "what users ask for"),
    Permission(
        "operator",
        "cluster",
        GROUP,
        (f"{TRAINING_JOBS}/status", f"{INFERENCE_SERVICES}/status"),
        ("patch",),
        "the answer to it",
    ),
    Permission(
        "operator",
        "cluster",
        GROUP,
        (f"{TRAINING_JOBS}/finalizers", f"{INFERENCE_SERVICES}/finalizers"),
        ("update",),
        "owner references that block deletion, where OwnerReferencesPermissionEnforcement is on (OpenShift)",
    ),
    Permission(
        "operator",
        "cluster",
        "",
        ("pods",),
        (*WATCH, "delete"),
        "how the gang and the replicas fare; what is left of an ended attempt is deleted, by uid",
    ),
    Permission(
        "operator",
        "cluster",
        "kubeflow.org",
        ("pytorchjobs",),
        (*WATCH, "create", "delete"),
        "the gang of one attempt: created once, deleted before the next",
    ),
    Permission(
        "operator",
        "cluster",
        "apps",
        ("deployments",),
        (*WATCH, "create", "patch", "delete"),
        "the engine's replicas (server-side apply is a patch that may create)",
    ),
    Permission(
        "operator",
        "cluster",
        "",
        ("services",),
        (*WATCH, "create", "patch", "delete"),
        "the address of the engine's replicas",
    ),
    Permission(
        "operator",
        "cluster",
        "",
        ("persistentvolumeclaims",),
        (*WATCH, "create", "patch"),
        "checkpoints and models; never deleted by Slipway itself, only by the garbage collector with its owner",
    ),
    Permission(
        "operator",
        "cluster",
        "keda.sh",
        ("scaledobjects",),
        (*WATCH, "create", "patch", "delete"),
        "replicas that follow the requests",
    ),
    Permission(
        "operator",
        "cluster",
        "",
        ("podtemplates",),
        ("create",),
        "a dry run that asks the API server whether a user's podTemplate is valid; none is ever stored",
    ),
    Permission(
        "operator", "cluster", "events.k8s.io", ("events",), ("create", "patch"), "what happened, for kubectl describe"
    ),
    Permission(
        "operator",
        "cluster",
        "apiextensions.k8s.io",
        ("customresourcedefinitions",),
        WATCH,
        "kopf notices kinds that come later (PyTorchJob, ScaledObject) by their CRDs",
    ),
    Permission(
        "operator",
        "cluster",
        "authentication.k8s.io",
        ("tokenreviews",),
        ("create",),
        "which pod it is that reports progress",
    ),
    Permission(
        "operator",
        "namespace",
        "coordination.k8s.io",
        ("leases",),
        ("create",),
        "leader election; a request to create cannot be limited to a name",
    ),
    Permission(
        "operator",
        "namespace",
        "coordination.k8s.io",
        ("leases",),
        ("get", "update"),
        "leader election",
        names=(FULLNAME,),
    ),
    Permission(
        "operator",
        "namespace",
        "discovery.k8s.io",
        ("endpointslices",),
        ("create", "patch"),
        "the leader's address, behind the Service that training pods report to (a server-side apply that creates is"
        " checked with the name, so even create is limited to it)",
        names=(f"{FULLNAME}-leader",),
    ),
    Permission("gateway", "cluster", GROUP, (INFERENCE_SERVICES,), WATCH, "which models there are"),
    Permission("gateway", "cluster", "discovery.k8s.io", ("endpointslices",), WATCH, "which replicas are ready"),
)


def rbac_files() -> dict[str, str]:
    """File name to Helm template, for charts/slipway/templates. The same table gives the same bytes."""
    return {f"rbac-{component}.yaml": _file(component) for component in COMPONENTS}


def permissions(component: Component, scope: Scope) -> tuple[Permission, ...]:
    return tuple(each for each in PERMISSIONS if (each.component, each.scope) == (component, scope))


def _file(component: Component) -> str:
    documents = [f"# Generated by `{REGENERATE}` from operator/slipway/api/rbac.py: do not edit."]
    for scope, role in (("cluster", "ClusterRole"), ("namespace", "Role")):
        granted = permissions(component, scope)  # type: ignore[arg-type]
        if granted:
            documents += [_role(component, role, granted), _binding(component, role)]
    return "\n---\n".join(documents) + "\n"


def _role(component: Component, kind: str, granted: tuple[Permission, ...]) -> str:
    rules = "\n".join(f"  # {each.why}\n{_indented([each.as_rule()])}" for each in granted)
    return f"{_head(component, kind)}\nrules:\n{rules}"


def _binding(component: Component, role: str) -> str:
    body = {
        "roleRef": {"apiGroup": RBAC_GROUP, "kind": role, "name": _name(component)},
        "subjects": [{"kind": "ServiceAccount", "name": _name(component), "namespace": NAMESPACE}],
    }
    return f"{_head(component, f'{role}Binding')}\n{_dump(body)}"


def _head(component: Component, kind: str) -> str:
    namespace = "" if kind.startswith("Cluster") else f'\n  namespace: "{NAMESPACE}"'
    return (
        f"apiVersion: {RBAC_GROUP}/v1\nkind: {kind}\nmetadata:\n"
        f"  name: '{_name(component)}'{namespace}\n  labels:\n    {LABELS}"
    )


def _name(component: Component) -> str:
    return f"{FULLNAME}-{component}"


def _dump(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, width=1000, default_flow_style=None).rstrip()


def _indented(value: object) -> str:
    return "\n".join(f"  {line}" for line in _dump(value).splitlines())
