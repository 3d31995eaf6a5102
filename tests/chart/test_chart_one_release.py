"""One release per cluster: what helm finds there through `lookup`, from an API server that has just that."""

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from .conftest import CHART, helm, template

GROUP = "rbac.authorization.k8s.io"
Install = Callable[..., subprocess.CompletedProcess[str]]


def bindings(release: str, namespace: str) -> list[dict[str, Any]]:
    """What a release of the chart leaves in a cluster."""
    rendered = template(release=release, namespace=namespace)
    return [each for each in rendered if each["kind"] == "ClusterRoleBinding"]


def answers(items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By path: as much of the API as helm asks for."""
    kind = {"name": "clusterrolebindings", "kind": "ClusterRoleBinding", "namespaced": False, "verbs": ["list"]}
    versions = [{"groupVersion": f"{GROUP}/v1", "version": "v1"}]
    return {
        "/version": {"major": "1", "minor": "34", "gitVersion": "v1.34.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": []},
        "/apis": {"kind": "APIGroupList", "groups": [{"name": GROUP, "versions": versions}]},
        f"/apis/{GROUP}/v1": {"kind": "APIResourceList", "groupVersion": f"{GROUP}/v1", "resources": [kind]},
        f"/apis/{GROUP}/v1/clusterrolebindings": {
            "apiVersion": f"{GROUP}/v1", "kind": "ClusterRoleBindingList", "metadata": {}, "items": items,
        },
    }  # fmt: skip


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Install]:
    """What `helm install --dry-run=server` says of release slipway in slipway-system, in a cluster with `items`."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("{apiVersion: v1, kind: Config}")  # not the cluster of whoever runs the tests
    cluster: dict[str, dict[str, Any]] = {}

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = cluster.get(self.path.partition("?")[0])
            self.send_response(200 if found else 404)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(found or {"kind": "Status", "status": "Failure", "code": 404}).encode())

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def run(*items: dict[str, Any]) -> subprocess.CompletedProcess[str]:
            cluster.update(answers(list(items)))
            return helm(
                "template", "slipway", str(CHART), "--namespace", "slipway-system", "--dry-run=server",
                f"--kube-apiserver=http://127.0.0.1:{server.server_port}", f"--kubeconfig={kubeconfig}",
            )  # fmt: skip

        yield run
        server.shutdown()


@pytest.mark.parametrize(
    ("release", "namespace"), [("other", "slipway-system"), ("slipway", "elsewhere")], ids=["name", "namespace"]
)
def test_a_second_release_is_refused_and_told_of_the_first(install: Install, release: str, namespace: str) -> None:
    answer = install(*bindings(release, namespace))
    assert answer.returncode != 0
    assert f"as release {release} in namespace {namespace}" in answer.stderr
    assert f"helm uninstall {release} -n {namespace}" in answer.stderr


def test_a_release_is_no_stranger_to_itself(install: Install) -> None:
    others = {"metadata": {"name": "system:node"}, "roleRef": {}}
    answer = install(others, *bindings("slipway", "slipway-system"))
    assert answer.returncode == 0, answer.stderr
    assert "kind: Deployment" in answer.stdout


def test_the_first_release_is_taken(install: Install) -> None:
    assert install().returncode == 0
