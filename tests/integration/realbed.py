"""The product itself against a real API server: its own CRDs, its own planners, the roles of its chart.

The API server has what a cluster's has and the loop's own bed lacks: service accounts that pods need, the check of
owner references, watches that end soon, and an audit log, which knows every request that anyone made.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from slipway.api.rbac import FULLNAME, Component, Scope, permissions
from slipway.plan.observed import Obj
from tests.controlplane.apiserver import ApiServer

from .loopbed import PYTORCH_JOBS, SCALED_OBJECTS, Bed, establish, eventually

CHART = Path(__file__).parents[2] / "charts" / "slipway-crds" / "templates"
OPERATOR = ("-m", "slipway", "run")
POLICY = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"]}
JOB = {"command": ["python3", "train.py"]}


def flags(directory: Path) -> tuple[str, ...]:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "audit-policy.json").write_text(json.dumps(POLICY | {"rules": [{"level": "Metadata"}]}))
    return (
        f"--audit-policy-file={directory / 'audit-policy.json'}",
        f"--audit-log-path={directory / 'audit.log'}",
        "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
        "--min-request-timeout=5",  # a watch ends after 5 to 10 s
    )


def install(server: ApiServer) -> None:
    """The product's CRDs, and the backend's and KEDA's in outline."""
    server.kubectl("apply", "--server-side", "-f", str(CHART))
    server.kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", str(CHART))
    establish(server, PYTORCH_JOBS, SCALED_OBJECTS)


def namespace(server: ApiServer, name: str, directory: Path) -> Bed:
    """A namespace with the account that pods need, which a controller would make."""
    status, answer = server.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    assert status == 201, answer
    bed = Bed(server, name, directory)
    bed.create("serviceaccounts", {"metadata": {"name": "default"}})
    return bed


def account(bed: Bed, component: Component) -> tuple[str, Path]:
    """(user name, kubeconfig) of a service account in `bed` with the chart's permissions and nothing else."""
    name = f"{component}-{bed.namespace}"
    bed.create("serviceaccounts", {"metadata": {"name": name}})
    subject = {"kind": "ServiceAccount", "name": name, "namespace": bed.namespace}
    for kind, scope, root in (("ClusterRole", "cluster", ""), ("Role", "namespace", f"/namespaces/{bed.namespace}")):
        base = f"/apis/rbac.authorization.k8s.io/v1{root}/{kind.lower()}"
        granted = [_named(each.as_rule()) for each in permissions(component, cast(Scope, scope))]
        role = {"metadata": {"name": name}, "rules": granted}
        binding = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
            "subjects": [subject],
        }
        for url, body in ((f"{base}s", role), (f"{base}bindings", binding)):
            status, answer = bed.api.request("POST", url, body)
            assert status == 201, answer
    path = bed.directory / f"{name}.kubeconfig"
    path.write_text(bed.api.kubeconfig_path.read_text().replace(bed.api.token, token(bed, name)))
    return f"system:serviceaccount:{bed.namespace}:{name}", path


def token(bed: Bed, name: str, **spec: Any) -> str:
    return str(bed.create(f"serviceaccounts/{name}/token", {"spec": spec})["status"]["token"])


def _named(rule: Obj) -> Obj:
    names = [name.replace(FULLNAME, "slipway") for name in rule.get("resourceNames", [])]
    return {**rule, "resourceNames": names} if names else rule


@dataclass(frozen=True, slots=True)
class Call:
    """One request as the audit log has it. `resource` has its subresource; `created`: it made the object."""

    verb: str
    group: str
    resource: str
    namespace: str
    name: str
    allowed: bool
    created: bool
    query: str


def calls(directory: Path, user: str) -> Iterator[Call]:
    """What `user` has asked of the API server so far, as it answered."""
    for line in (directory / "audit.log").read_text().splitlines():
        event = json.loads(line)
        target = event.get("objectRef")
        if event["user"]["username"] != user or target is None:
            continue
        resource = target["resource"] + (f"/{target['subresource']}" if target.get("subresource") else "")
        code = event.get("responseStatus", {}).get("code", 0)
        yield Call(
            event["verb"],
            target.get("apiGroup", ""),
            resource,
            target.get("namespace", ""),
            target.get("name", ""),
            code != 403,
            code == 201,
            event["requestURI"].partition("?")[2],
        )


def condition(bed: Bed, plural: str, name: str, kind: str) -> tuple[str, str, str]:
    """(status, reason, message) of a condition; empty while there is none."""
    listed = ((bed.find(plural, name) or {}).get("status") or {}).get("conditions") or []
    found: Obj = next((each for each in listed if each["type"] == kind), {})
    return found.get("status", ""), found.get("reason", ""), found.get("message", "")


def says(bed: Bed, plural: str, name: str, kind: str, reason: str, words: str = "", seconds: float = 60.0) -> str:
    """Wait until the condition gives this reason, with these words in it; returns the message."""

    def look() -> list[str]:
        found = condition(bed, plural, name, kind)
        return list(found) if found[1] == reason and words in found[2] else []

    what = f"{plural} {name} says {kind} {reason} ({words})"
    try:
        return eventually(look, what, seconds)[2]
    except AssertionError as late:
        raise AssertionError(f"{late}; it says {condition(bed, plural, name, kind)}") from None
