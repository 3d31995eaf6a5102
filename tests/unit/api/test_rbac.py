"""The table of permissions, and the roles that are made of it."""

import itertools
import re
from typing import Any

import pytest
import yaml

from slipway.api.rbac import COMPONENTS, PERMISSIONS, ROLES, Component, Permission, permissions, rbac_files
from slipway.kube import kinds

SECRETIVE = {"secrets", "serviceaccounts/token", "pods/exec", "pods/attach", "pods/portforward", "nodes/proxy"}
POWERFUL = {"escalate", "bind", "impersonate", "deletecollection"}

each_permission = pytest.mark.parametrize(
    "permission", PERMISSIONS, ids=lambda each: f"{each.component} {'-'.join(each.resources)} {each.verbs[0]}"
)


@each_permission
def test_permission_has_a_reason(permission: Permission) -> None:
    assert len(permission.why.split()) >= 2
    assert "\n" not in permission.why


@each_permission
def test_permission_is_no_wildcard_and_opens_no_secret(permission: Permission) -> None:
    assert "*" not in {permission.group, *permission.resources, *permission.verbs, *permission.names}
    assert not SECRETIVE & set(permission.resources)
    assert not POWERFUL & set(permission.verbs)
    assert permission.resources
    assert permission.verbs


def test_no_permission_is_given_twice() -> None:
    single = [
        (each.component, each.group, resource, verb)
        for each in PERMISSIONS
        for resource in each.resources
        for verb in each.verbs
    ]
    assert sorted(single) == sorted(set(single))


def test_claims_are_never_deleted() -> None:
    verbs = {verb for each in PERMISSIONS if "persistentvolumeclaims" in each.resources for verb in each.verbs}
    assert verbs == {"get", "list", "watch", "create", "patch"}


def test_every_kind_that_the_operator_handles_has_a_permission() -> None:
    allowed = {
        (each.group, resource) for each in PERMISSIONS if each.component == "operator" for resource in each.resources
    }
    assert {(kind.group, kind.plural) for kind in kinds.TABLE.values()} - allowed == set()


def test_what_the_operator_watches_it_may_watch_everywhere() -> None:
    watched = {
        (each.group, resource)
        for each in permissions("operator", "cluster")
        if {"list", "watch"} <= set(each.verbs)
        for resource in each.resources
    }
    assert {(kind.group, kind.plural) for kind in kinds.WATCHED} <= watched


def test_the_gateway_only_reads() -> None:
    assert {verb for each in PERMISSIONS if each.component == "gateway" for verb in each.verbs} == {"list", "watch"}


def test_in_the_own_namespace_only_creating_a_lease_goes_without_a_name() -> None:
    unnamed = [each for each in PERMISSIONS if each.scope == "namespace" and not each.names]
    assert [(each.resources, each.verbs) for each in unnamed] == [(("leases",), ("create",))]


def installed(component: Component) -> list[dict[str, Any]]:
    """The documents of a component's file, after what Helm would do to it."""
    text = rbac_files()[f"rbac-{component}.yaml"]
    text = text.replace('{{- include "slipway.labels" . | nindent 4 }}', "app.kubernetes.io/name: slipway")
    text = text.replace("{{- if .Values.gateway.enabled }}", "").replace("{{- end }}", "")
    text = text.replace('{{ include "slipway.clusterName" . }}', "full")
    text = text.replace('{{ include "slipway.fullname" . }}', "full").replace("{{ .Release.Namespace }}", "own")
    assert "{{" not in text
    return [document for document in yaml.safe_load_all(text) if document]


@pytest.mark.parametrize("component", COMPONENTS)
def test_roles_hold_the_table(component: Component) -> None:
    roles = {each["kind"]: each for each in installed(component) if each["kind"].endswith("Role")}
    for scope, kind in ROLES:
        wanted = [with_names(each.as_rule()) for each in permissions(component, scope)]
        assert roles.get(kind, {}).get("rules", []) == wanted


def with_names(rule: dict[str, list[str]]) -> dict[str, list[str]]:
    names = [name.replace('{{ include "slipway.fullname" . }}', "full") for name in rule.get("resourceNames", [])]
    return rule | ({"resourceNames": names} if names else {})


@pytest.mark.parametrize("component", COMPONENTS)
def test_bindings_give_each_role_to_the_components_account(component: Component) -> None:
    documents = installed(component)
    bindings = {each["roleRef"]["kind"]: each for each in documents if each["kind"].endswith("Binding")}
    assert set(bindings) == {each["kind"] for each in documents if each["kind"].endswith("Role")}
    for binding in bindings.values():
        assert binding["roleRef"]["name"] == f"full-{component}"
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": f"full-{component}", "namespace": "own"}]


def test_only_what_is_namespaced_has_a_namespace() -> None:
    for component in COMPONENTS:
        for each in installed(component):
            assert each["metadata"].get("namespace") == (None if each["kind"].startswith("Cluster") else "own")
            assert each["metadata"]["labels"] == {"app.kubernetes.io/name": "slipway"}


def test_every_rule_is_preceded_by_its_reason() -> None:
    lines = "".join(rbac_files().values()).splitlines()
    reasons = [before.removeprefix("  # ") for before, line in itertools.pairwise(lines) if "apiGroups" in line]
    assert reasons == [each.why for each in PERMISSIONS]


def test_files_are_named_for_the_chart() -> None:
    assert list(rbac_files()) == ["rbac-operator.yaml", "rbac-gateway.yaml"]
    assert all(re.match("# Generated by `slipway rbac", text) for text in rbac_files().values())
