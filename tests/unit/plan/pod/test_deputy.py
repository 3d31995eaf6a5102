"""What a podTemplate tries to get from the operator that its author does not have: each attempt with its refusal.

The operator makes pods in everybody's namespaces with rights of its own. So whatever depends on who makes a pod, or
reaches beyond the pod, is refused here, or named as something that the namespace's own users can do as well.
"""

from typing import Any

import pytest

from slipway.plan.inference.pods import RESERVED as INFERENCE
from slipway.plan.pod.policy import Reserved, violations
from slipway.plan.pod.template import merged, pod_security, restricted
from slipway.plan.training.pods import RESERVED as TRAINING

MAIN = "spec.podTemplate.spec.containers[0]"
SPEC = "spec.podTemplate.spec"
META = "spec.podTemplate.metadata"


def spec(**fields: Any) -> Any:
    return {"spec": fields}


def main(**fields: Any) -> Any:
    return spec(containers=[{"name": "main", **fields}])


def context(**fields: Any) -> Any:
    return main(securityContext=fields)


def volume(**source: Any) -> Any:
    return spec(volumes=[{"name": "v", **source}])


def projected(**source: Any) -> Any:
    return volume(projected={"sources": [{"configMap": {"name": "fine"}}, source]})


def label(name: str) -> Any:
    return {"metadata": {"labels": {name: "x"}}}


def annotation(name: str) -> Any:
    return {"metadata": {"annotations": {name: "x"}}}


ATTEMPTS = {
    # another's rights
    "a service account": (spec(serviceAccountName="cluster-admin"), f"{SPEC}.serviceAccountName"),
    "its old name": (spec(serviceAccount="cluster-admin"), f"{SPEC}.serviceAccount"),
    "its token": (spec(automountServiceAccountToken=True), f"{SPEC}.automountServiceAccountToken"),
    "a token for another audience": (
        projected(serviceAccountToken={"audience": "vault", "path": "t"}),
        f"{SPEC}.volumes[0].projected.sources[1].serviceAccountToken",
    ),
    "a token for our own audience": (
        projected(serviceAccountToken={"audience": "slipway.dev/progress", "path": "t"}),
        f"{SPEC}.volumes[0].projected.sources[1].serviceAccountToken",
    ),
    "a certificate for the pod": (
        projected(podCertificate={"signerName": "kubernetes.io/kube-apiserver-client"}),
        f"{SPEC}.volumes[0].projected.sources[1].podCertificate",
    ),
    # the node
    "the host's files": (volume(hostPath={"path": "/"}), f"{SPEC}.volumes[0].hostPath"),
    "a local disk": (volume(local={"path": "/dev/sda"}), f"{SPEC}.volumes[0].local"),
    "another's image as a volume": (volume(image={"reference": "private"}), f"{SPEC}.volumes[0].image"),
    "a network share": (volume(nfs={"server": "10.0.0.1", "path": "/"}), f"{SPEC}.volumes[0].nfs"),
    "the host's network": (spec(hostNetwork=True), f"{SPEC}.hostNetwork"),
    "the host's processes": (spec(hostPID=True), f"{SPEC}.hostPID"),
    "the host's memory": (spec(hostIPC=True), f"{SPEC}.hostIPC"),
    "the host's ports": (main(ports=[{"hostPort": 22, "containerPort": 2}]), f"{MAIN}.ports[0].hostPort"),
    "the host's users": (spec(hostUsers=True), f"{SPEC}.hostUsers"),
    "a node past the scheduler": (spec(nodeName="control-plane"), f"{SPEC}.nodeName"),
    # the kernel
    "privileged": (context(privileged=True), f"{MAIN}.securityContext.privileged"),
    "escalation": (context(allowPrivilegeEscalation=True), f"{MAIN}.securityContext.allowPrivilegeEscalation"),
    "a capability": (context(capabilities={"add": ["SYS_ADMIN"]}), f"{MAIN}.securityContext.capabilities.add"),
    "an unmasked /proc": (context(procMount="Unmasked"), f"{MAIN}.securityContext.procMount"),
    "SELinux": (context(seLinuxOptions={"level": "s0"}), f"{MAIN}.securityContext.seLinuxOptions"),
    "no seccomp": (context(seccompProfile={"type": "Unconfined"}), f"{MAIN}.securityContext.seccompProfile.type"),
    "no AppArmor": (context(appArmorProfile={"type": "Unconfined"}), f"{MAIN}.securityContext.appArmorProfile.type"),
    "root": (context(runAsUser=0), f"{MAIN}.securityContext.runAsUser"),
    "root by the pod": (spec(securityContext={"runAsUser": 0}), f"{SPEC}.securityContext.runAsUser"),
    "perhaps root": (context(runAsNonRoot=False), f"{MAIN}.securityContext.runAsNonRoot"),
    "a sysctl": (spec(securityContext={"sysctls": [{"name": "x", "value": "1"}]}), f"{SPEC}.securityContext.sysctls"),
    "in an init container": (
        spec(initContainers=[{"name": "i", "securityContext": {"privileged": True}}]),
        f"{SPEC}.initContainers[0].securityContext.privileged",
    ),
    "an ephemeral container": (spec(ephemeralContainers=[{"name": "e"}]), f"{SPEC}.ephemeralContainers"),
    "a probe of the node's network": (
        main(livenessProbe={"httpGet": {"host": "169.254.169.254", "port": 80}}),
        f"{MAIN}.livenessProbe.httpGet.host",
    ),
    "a hook into the node's network": (
        spec(containers=[{"name": "side", "lifecycle": {"preStop": {"httpGet": {"host": "127.0.0.1", "port": 80}}}}]),
        f"{MAIN}.lifecycle.preStop.httpGet.host",
    ),
    # other tenants
    "above everybody": (spec(priorityClassName="system-cluster-critical"), f"{SPEC}.priorityClassName"),
    "above everybody on a node": (spec(priorityClassName="system-node-critical"), f"{SPEC}.priorityClassName"),
    "a priority by number": (spec(priority=2_000_000_000), f"{SPEC}.priority"),
    "every node's taint": (spec(tolerations=[{"operator": "Exists"}]), f"{SPEC}.tolerations[0]"),
    "the control plane's taint": (
        spec(tolerations=[{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}]),
        f"{SPEC}.tolerations[0]",
    ),
    "a field nobody has heard of": (spec(hostEverything=True), f"{SPEC}.hostEverything"),
    "a container's field nobody has heard of": (main(hostEverything=True), f"{MAIN}.hostEverything"),
    # what steers others
    "Slipway's label": (label("slipway.dev/training-job"), f"{META}.labels[slipway.dev/training-job]"),
    "whose it is": (label("app.kubernetes.io/managed-by"), f"{META}.labels[app.kubernetes.io/managed-by]"),
    "the backend's label": (label("training.kubeflow.org/job-name"), f"{META}.labels[training.kubeflow.org/job-name]"),
    "Kueue's queue": (label("kueue.x-k8s.io/queue-name"), f"{META}.labels[kueue.x-k8s.io/queue-name]"),
    "a pod group": (label("scheduling.k8s.io/pod-group"), f"{META}.labels[scheduling.k8s.io/pod-group]"),
    "a sidecar by label": (label("sidecar.istio.io/inject"), f"{META}.labels[sidecar.istio.io/inject]"),
    "a sidecar": (annotation("sidecar.istio.io/inject"), f"{META}.annotations[sidecar.istio.io/inject]"),
    "a proxy's set-up": (annotation("proxy.istio.io/config"), f"{META}.annotations[proxy.istio.io/config]"),
    "traffic past the mesh": (
        annotation("traffic.sidecar.istio.io/excludeInboundPorts"),
        f"{META}.annotations[traffic.sidecar.istio.io/excludeInboundPorts]",
    ),
    "Vault's secrets": (
        annotation("vault.hashicorp.com/agent-inject"),
        f"{META}.annotations[vault.hashicorp.com/agent-inject]",
    ),
    "AWS's role": (annotation("eks.amazonaws.com/role-arn"), f"{META}.annotations[eks.amazonaws.com/role-arn]"),
    "Azure's identity": (label("azure.workload.identity/use"), f"{META}.labels[azure.workload.identity/use]"),
    "KEDA": (annotation("autoscaling.keda.sh/paused"), f"{META}.annotations[autoscaling.keda.sh/paused]"),
    "another network": (annotation("k8s.v1.cni.cncf.io/networks"), f"{META}.annotations[k8s.v1.cni.cncf.io/networks]"),
    "a device of the runtime's": (annotation("cdi.k8s.io/all"), f"{META}.annotations[cdi.k8s.io/all]"),
    "the runtime's switches": (
        annotation("io.kubernetes.cri-o.Devices"),
        f"{META}.annotations[io.kubernetes.cri-o.Devices]",
    ),
    "AppArmor's old annotation": (
        annotation("container.apparmor.security.beta.kubernetes.io/main"),
        f"{META}.annotations[container.apparmor.security.beta.kubernetes.io/main]",
    ),
    "metadata beyond labels": ({"metadata": {"finalizers": ["x/y"]}}, f"{META}.finalizers"),
    "an owner of one's choice": ({"metadata": {"ownerReferences": []}}, f"{META}.ownerReferences"),
}


@pytest.mark.parametrize("reserved", [TRAINING, INFERENCE], ids=["training", "inference"])
@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_an_attempt_is_refused_by_its_field(attempt: str, reserved: Reserved) -> None:
    template, path = ATTEMPTS[attempt]
    found = violations(template, reserved)
    assert path in [violation.path for violation in found]
    assert all(violation.message for violation in found)


ALLOWED = {
    "a Secret of the namespace": volume(secret={"secretName": "any"}),
    "a Secret in a variable": main(envFrom=[{"secretRef": {"name": "any"}}]),
    "a registry's password": spec(imagePullSecrets=[{"name": "any"}]),
    "a claim of the namespace": volume(persistentVolumeClaim={"claimName": "any"}),
    "a driver's volume": volume(csi={"driver": "secrets-store.csi.k8s.io"}),
    "no sidecar": {"metadata": {"annotations": {"sidecar.istio.io/inject": "false"}}},
    "no sidecar by label": {"metadata": {"labels": {"linkerd.io/inject": "disabled"}}},
    "how long on a node that is gone": spec(
        tolerations=[{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "tolerationSeconds": 5}]
    ),
    "what the pods are": label("app.kubernetes.io/part-of"),
    "a taint by its key": spec(tolerations=[{"key": "team", "operator": "Exists"}]),
    "a taint by its value": spec(tolerations=[{"key": "team", "operator": "Equal", "value": "ml"}]),
    "no taint's key, but an effect": spec(tolerations=[{"key": "dedicated", "effect": "NoSchedule"}]),
    "a runtime class": spec(runtimeClassName="gvisor"),
    "users of one's own": spec(hostUsers=False),
    "a probe of the pod itself": spec(
        containers=[{"name": "side", "livenessProbe": {"httpGet": {"path": "/", "port": 80}}}]
    ),
    "an own label": label("team.example.com/cost-centre"),
    "a bare label": label("team"),
    "where metrics are": annotation("prometheus.io/port"),
    "an own annotation": annotation("team.example.com/owner"),
}


@pytest.mark.parametrize("what", ALLOWED)
def test_what_the_namespaces_users_can_do_themselves_is_let_through(what: str) -> None:
    assert violations(ALLOWED[what], TRAINING) == []


def test_the_pod_has_no_account_and_the_restricted_context_whatever_is_said() -> None:
    rendered = {
        "spec": {
            "automountServiceAccountToken": False,
            "securityContext": pod_security(),
            "containers": [{"name": "pytorch"}],
        }
    }
    user = spec(automountServiceAccountToken=False, containers=[{"name": "side"}, {"name": "main"}], hostPID=False)
    pod = merged(rendered, user, main="pytorch")["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"] == pod_security()
    assert [container["securityContext"] for container in pod["containers"]] == [restricted()] * 2


def test_a_priority_is_the_jobs_own_field_and_a_services_podtemplates() -> None:
    batch = spec(priorityClassName="batch")
    (refused,) = violations(batch, TRAINING)
    assert (refused.path, refused.message) == (f"{SPEC}.priorityClassName", "use spec.scheduling.priorityClass")
    assert violations(batch, INFERENCE) == []
