"""What a user's podTemplate may not say, and why: one small check each, in the order in which complaints are shown.

Two rules stand behind the checks. A pod must pass the restricted Pod Security Standard whether or not the namespace
enforces it. And a podTemplate must not let its author do through the operator what the author may not do alone (another
service account, another node's files), nor change what Slipway relies on (its variables, volumes, ports, labels).
Fields of the pod's spec are an allow list: a field that is not known here is refused, not passed on unseen.
A value of another type than core/v1's is told by types.py; the other checks here pass it over.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..labels import ATTEMPT, COMPONENT, MANAGED_BY
from ..names import MAIN_CONTAINER
from .containers import container_violations
from .mergekeys import repeats
from .policytypes import Container, Reserved, Violation, entries, mapping, text
from .types import mistyped

__all__ = ["Reserved", "Violation", "violations"]

ROOT = "spec.podTemplate"

SPEC_FIELDS = frozenset(
    {
        "affinity",
        "containers",
        "dnsConfig",
        "dnsPolicy",
        "enableServiceLinks",
        "hostAliases",
        "imagePullSecrets",
        "initContainers",
        "nodeSelector",
        "preemptionPolicy",
        "priorityClassName",
        "resourceClaims",
        "resources",
        "runtimeClassName",
        "schedulerName",
        "securityContext",
        "terminationGracePeriodSeconds",
        "tolerations",
        "topologySpreadConstraints",
        "volumes",
    }
)
REFUSED_FIELDS = {
    "hostNetwork": "the host's network is out of bounds: leave it out",
    "hostPID": "the host's processes are out of bounds: leave it out",
    "hostIPC": "the host's memory is out of bounds: leave it out",
    "nodeName": "it bypasses the scheduler: use nodeSelector or affinity",
    "serviceAccountName": "pods run without a service account's rights: leave it out",
    "serviceAccount": "pods run without a service account's rights: leave it out",
    "automountServiceAccountToken": "pods run without a service account's rights: leave it out",
    "restartPolicy": "Slipway restarts pods itself: leave it out",
    "hostUsers": "the host's users are out of bounds: leave it out",
    "ephemeralContainers": "they cannot be part of a template: use kubectl debug",
}
VOLUME_TYPES = frozenset(
    {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
)
LABELS = frozenset({MANAGED_BY, COMPONENT, ATTEMPT})
# Domains whose labels and annotations steer Slipway, its backend, or a controller that acts with rights of its own:
# queues and schedulers, meshes that inject containers, clouds that hand out identities, networks, container runtimes.
STEERING = (
    "slipway.dev",
    "kubeflow.org",
    "kubernetes.io",
    "k8s.io",
    "x-k8s.io",
    "keda.sh",
    "istio.io",
    "linkerd.io",
    "cilium.io",
    "projectcalico.org",
    "cncf.io",
    "hashicorp.com",
    "dapr.io",
    "amazonaws.com",
    "gke.io",
    "azure.com",
    "azure.workload.identity",
    "volcano.sh",
    "cri-o",
    "containerd",
    "openshift.io",
    "nvidia.com",
)
# Of those domains, what only describes.
DESCRIPTIVE = ("app.kubernetes.io/", "kubectl.kubernetes.io/", "cluster-autoscaler.kubernetes.io/safe-to-evict")
PRIORITY_PREFIX = "system-"  # Kubernetes' own classes: they preempt everybody
CONTROL_PLANE = "node-role.kubernetes.io/"
DECLINES = ("/inject", frozenset({"false", "disabled"}))  # no sidecar, please: one that never ends keeps a job going
PROJECTED = frozenset({"configMap", "downwardAPI", "secret", "clusterTrustBundle"})
SECURITY_CONTEXT = f"{ROOT}.spec.securityContext"


@dataclass(frozen=True, slots=True)
class _Template:
    metadata: Mapping[str, Any]
    spec: Mapping[str, Any]
    reserved: Reserved


def violations(user: Mapping[str, Any], reserved: Reserved) -> list[Violation]:
    """What Slipway refuses in the user's podTemplate (`{"metadata": ..., "spec": ...}`), in a fixed order."""
    template = _Template(mapping(user.get("metadata")), mapping(user.get("spec")), reserved)
    return [violation for check in CHECKS for violation in check(template)]


def _metadata_fields(template: _Template) -> Iterator[Violation]:
    for name in template.metadata:
        if name not in ("labels", "annotations"):
            yield Violation(f"{ROOT}.metadata.{name}", "only labels and annotations can be added: leave it out")


def _types(template: _Template) -> Iterator[Violation]:
    yield from mistyped(template.spec, f"{ROOT}.spec")


def _own_labels(template: _Template) -> Iterator[Violation]:
    for name, value in mapping(template.metadata.get("labels")).items():
        if name in LABELS or _steers(name, value):
            yield Violation(f"{ROOT}.metadata.labels[{name}]", "this label steers others than your pods: leave it out")


def _own_annotations(template: _Template) -> Iterator[Violation]:
    for name, value in mapping(template.metadata.get("annotations")).items():
        if _steers(name, value):
            said = "this annotation steers others than your pods: leave it out"
            yield Violation(f"{ROOT}.metadata.annotations[{name}]", said)


def _steers(name: object, value: object) -> bool:
    """Whether a label or annotation is of a domain that steers others, or of one below it."""
    whole = str(name)
    domain, slash, _ = whole.rpartition("/")
    if not slash and not whole.startswith("io."):  # container runtimes write io.kubernetes.cri-o.Devices
        return False
    if whole.startswith(DESCRIPTIVE) or (whole.endswith(DECLINES[0]) and value in DECLINES[1]):
        return False
    if not slash:
        return any(f".{steering}." in f".{whole}." for steering in STEERING)
    return any(f".{domain}".endswith(f".{steering}") for steering in STEERING)


def _refused_fields(template: _Template) -> Iterator[Violation]:
    for name, why in REFUSED_FIELDS.items():
        if template.spec.get(name) not in (None, False):
            yield Violation(f"{ROOT}.spec.{name}", why)


def _unknown_fields(template: _Template) -> Iterator[Violation]:
    for name in template.spec:
        if name not in SPEC_FIELDS and name not in REFUSED_FIELDS:
            yield Violation(f"{ROOT}.spec.{name}", "Slipway does not support this field: leave it out")


def _reserved_fields(template: _Template) -> Iterator[Violation]:
    for name, instead in template.reserved.spec_fields:
        if template.spec.get(name) is not None:
            yield Violation(f"{ROOT}.spec.{name}", instead)


def _pod_runs_as_root(template: _Template) -> Iterator[Violation]:
    context = mapping(template.spec.get("securityContext"))
    if context.get("runAsNonRoot") is False:
        yield Violation(f"{SECURITY_CONTEXT}.runAsNonRoot", "pods do not run as root: leave it out")
    if context.get("runAsUser") == 0:
        yield Violation(f"{SECURITY_CONTEXT}.runAsUser", "pods do not run as root: name another user")


def _pod_kernel(template: _Template) -> Iterator[Violation]:
    context = mapping(template.spec.get("securityContext"))
    for name in ("sysctls", "seLinuxOptions", "windowsOptions"):
        if context.get(name):
            yield Violation(f"{SECURITY_CONTEXT}.{name}", "it weakens the pod's isolation: leave it out")
    for name in ("seccompProfile", "appArmorProfile"):
        if mapping(context.get(name)).get("type") == "Unconfined":
            yield Violation(f"{SECURITY_CONTEXT}.{name}.type", "Unconfined is refused: use RuntimeDefault")


def _volume_types(template: _Template) -> Iterator[Violation]:
    for index, volume in entries(template.spec.get("volumes")):
        for kind, source in volume.items():
            if kind != "name" and kind not in VOLUME_TYPES and source is not None:
                known = ", ".join(sorted(VOLUME_TYPES))
                yield Violation(f"{ROOT}.spec.volumes[{index}].{kind}", f"this kind of volume is refused: use {known}")


def _volume_names(template: _Template) -> Iterator[Violation]:
    for index, volume in entries(template.spec.get("volumes")):
        if text(volume.get("name")) in template.reserved.volumes:
            yield Violation(f"{ROOT}.spec.volumes[{index}].name", f"{volume['name']} is Slipway's: choose another name")


def _projections(template: _Template) -> Iterator[Violation]:
    """No token and no certificate: whoever makes the pod vouches for it, and that would be the operator."""
    for index, volume in entries(template.spec.get("volumes")):
        for number, source in entries(mapping(volume.get("projected")).get("sources")):
            for kind in source:
                if kind not in PROJECTED and source[kind] is not None:
                    path = f"{ROOT}.spec.volumes[{index}].projected.sources[{number}].{kind}"
                    yield Violation(path, "pods run without a service account's rights: leave it out")


def _priority(template: _Template) -> Iterator[Violation]:
    if text(template.spec.get("priorityClassName")).startswith(PRIORITY_PREFIX):
        said = "it would preempt other tenants and the cluster's own pods: name another class"
        yield Violation(f"{ROOT}.spec.priorityClassName", said)


def _tolerations(template: _Template) -> Iterator[Violation]:
    for index, toleration in entries(template.spec.get("tolerations")):
        key = text(toleration.get("key"))
        if not key or key.startswith(CONTROL_PLANE):
            said = "it opens nodes that are not for workloads: name the key of a taint that is meant for you"
            yield Violation(f"{ROOT}.spec.tolerations[{index}]", said)


def _unnamed_containers(template: _Template) -> Iterator[Violation]:
    for container in _containers(template):
        if container.body.get("name") in (None, ""):
            yield Violation(f"{container.path}.name", f"a container needs a name; the main one is {MAIN_CONTAINER}")


def _own_containers(template: _Template) -> Iterator[Violation]:
    own = template.reserved
    for container in _containers(template):
        if container.name == own.container and own.container != MAIN_CONTAINER:
            yield Violation(f"{container.path}.name", f"the main container is called {MAIN_CONTAINER} here")
        if container.name in own.containers or (container.init and container.name == MAIN_CONTAINER):
            yield Violation(f"{container.path}.name", f"{container.name} is Slipway's: choose another name")


def _repeats(template: _Template) -> Iterator[Violation]:
    yield from repeats(template.spec, f"{ROOT}.spec")


def _each_container(template: _Template) -> Iterator[Violation]:
    for container in _containers(template):
        yield from container_violations(container, template.reserved)


CHECKS: tuple[Callable[[_Template], Iterator[Violation]], ...] = (
    _metadata_fields,
    _types,
    _own_labels,
    _own_annotations,
    _refused_fields,
    _unknown_fields,
    _reserved_fields,
    _pod_runs_as_root,
    _pod_kernel,
    _volume_types,
    _volume_names,
    _projections,
    _priority,
    _tolerations,
    _unnamed_containers,
    _own_containers,
    _repeats,
    _each_container,
)


def _containers(template: _Template) -> Iterator[Container]:
    for kind in ("initContainers", "containers"):
        for index, body in entries(template.spec.get(kind)):
            yield Container(f"{ROOT}.spec.{kind}[{index}]", body, init=kind == "initContainers")
