"""The roles of the chart on a real API server, which enforces RBAC here: what each account may do, and what not."""

import json
from pathlib import Path

import pytest

from slipway.api.rbac import COMPONENTS, PERMISSIONS, Permission
from tests.controlplane.apiserver import ApiServer

TEMPLATES = Path(__file__).parents[2] / "charts" / "slipway" / "templates"
OWN, OTHER = "slipway-system", "team"


@pytest.fixture(scope="module")
def installed(kube_api: ApiServer) -> ApiServer:
    """The API server with the committed roles, as Helm would render them for the release `slipway` in OWN."""
    for namespace in (OWN, OTHER):
        kube_api.kubectl("create", "namespace", namespace)
    for component in COMPONENTS:
        text = (TEMPLATES / f"rbac-{component}.yaml").read_text()
        text = text.replace('{{- include "slipway.labels" . | nindent 4 }}', "app.kubernetes.io/name: slipway")
        text = text.replace("{{- if .Values.gateway.enabled }}", "").replace("{{- end }}", "")
        text = text.replace('{{ include "slipway.clusterName" . }}', "slipway")
        text = text.replace('{{ include "slipway.fullname" . }}', "slipway").replace("{{ .Release.Namespace }}", OWN)
        kube_api.kubectl("apply", "-f", "-", stdin=text)
    return kube_api


def may(server: ApiServer, component: str, attributes: dict[str, str]) -> bool:
    """What a SubjectAccessReview says of the component's service account."""
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": f"system:serviceaccount:{OWN}:slipway-{component}", "resourceAttributes": attributes},
    }
    status, answer = server.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
    assert status == 201, answer
    return bool(answer["status"]["allowed"])


def asked(permission: Permission) -> list[dict[str, str]]:
    namespace = OWN if permission.scope == "namespace" else OTHER
    names = [name.replace('{{ include "slipway.fullname" . }}', "slipway") for name in permission.names] or [""]
    return [
        {
            "namespace": namespace,
            "group": permission.group,
            "resource": resource.partition("/")[0],
            "subresource": resource.partition("/")[2],
            "verb": verb,
            "name": name,
        }
        for resource in permission.resources
        for verb in permission.verbs
        for name in names
    ]


@pytest.mark.parametrize(
    "permission", PERMISSIONS, ids=lambda each: f"{each.component} {each.resources[0]} {each.verbs}"
)
def test_what_the_table_says_is_allowed(installed: ApiServer, permission: Permission) -> None:
    refused = [each for each in asked(permission) if not may(installed, permission.component, each)]
    assert refused == []


FORBIDDEN = (
    ("operator", "", "secrets", "get", OTHER, ""),
    ("operator", "", "secrets", "list", OWN, ""),
    ("operator", "", "pods", "deletecollection", OTHER, ""),
    ("operator", "", "pods", "patch", OTHER, ""),
    ("operator", "apps", "deployments", "delete", OTHER, ""),
    ("operator", "", "services", "delete", OTHER, ""),
    ("operator", "apiextensions.k8s.io", "customresourcedefinitions", "get", "", ""),
    ("operator", "", "configmaps", "get", OTHER, ""),
    ("operator", "", "persistentvolumeclaims", "delete", OTHER, ""),
    ("operator", "kubeflow.org", "pytorchjobs", "patch", OTHER, ""),
    ("operator", "slipway.dev", "trainingjobs", "patch", OTHER, ""),
    ("operator", "slipway.dev", "inferenceservices", "delete", OTHER, ""),
    ("operator", "slipway.dev", "trainingjobs", "deletecollection", OTHER, ""),
    ("operator", "coordination.k8s.io", "leases", "create", OTHER, ""),
    ("operator", "coordination.k8s.io", "leases", "update", OWN, "another"),
    ("operator", "discovery.k8s.io", "endpointslices", "patch", OWN, "another"),
    ("operator", "discovery.k8s.io", "endpointslices", "create", OWN, "another"),
    ("operator", "discovery.k8s.io", "endpointslices", "get", OWN, "another"),
    ("operator", "discovery.k8s.io", "endpointslices", "patch", OTHER, "slipway-leader"),
    ("operator", "apiextensions.k8s.io", "customresourcedefinitions", "patch", "", ""),
    ("operator", "rbac.authorization.k8s.io", "clusterroles", "get", "", ""),
    ("gateway", "", "pods", "list", OTHER, ""),
    ("gateway", "", "secrets", "get", OWN, ""),
    ("gateway", "slipway.dev", "inferenceservices", "patch", OTHER, ""),
    ("gateway", "slipway.dev", "trainingjobs", "get", OTHER, ""),
)


@pytest.mark.parametrize("case", FORBIDDEN, ids=lambda case: f"{case[0]} {case[3]} {case[2]}")
def test_what_the_table_does_not_say_is_refused(installed: ApiServer, case: tuple[str, ...]) -> None:
    component, group, resource, verb, namespace, name = case
    attributes = {"namespace": namespace, "group": group, "resource": resource, "verb": verb, "name": name}
    assert not may(installed, component, attributes)


def test_a_server_side_apply_that_creates_is_checked_with_the_name(installed: ApiServer) -> None:
    """So that the leader's EndpointSlice needs no permission to create others."""

    def applied(name: str) -> bool:
        body = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": name, "namespace": OWN},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.1.2.3"]}],
            "ports": [{"name": "progress", "port": 8090}],
        }
        user = f"--as=system:serviceaccount:{OWN}:slipway-operator"
        return installed.run("apply", "--server-side", user, "-f", "-", stdin=json.dumps(body)).returncode == 0

    assert applied("slipway-leader")
    assert not applied("another")
