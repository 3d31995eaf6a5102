"""`slipway status` against the real API server, through a kubeconfig like a user's."""

import pytest

from slipway.__main__ import main
from tests.controlplane.apiserver import ApiServer

from .crdmaker import Maker
from .crdtable import COMMAND_JOB, SERVICE


@pytest.fixture
def kubeconfig(crds: ApiServer, monkeypatch: pytest.MonkeyPatch) -> ApiServer:
    monkeypatch.setenv("KUBECONFIG", str(crds.kubeconfig_path))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    return crds


@pytest.mark.usefixtures("kubeconfig")
def test_status_lists_both_kinds(make: Maker, capsys: pytest.CaptureFixture[str]) -> None:
    job, service = make.create(COMMAND_JOB), make.create(SERVICE)
    ready = {
        "type": "Ready",
        "status": "False",
        "reason": "Queued",
        "message": "waits",
        "lastTransitionTime": "2026-01-02T03:04:05Z",
    }
    make.merge(job, {"status": {"conditions": [ready]}}, "/status")
    assert main(["status"]) == 0
    lines = {line.split()[2]: line.split() for line in capsys.readouterr().out.splitlines()}
    assert lines[job["metadata"]["name"]][3:] == ["False", "Queued", "-", "waits"]
    assert lines[service["metadata"]["name"]][1] == "InferenceService"


@pytest.mark.usefixtures("kubeconfig")
def test_status_of_a_namespace_without_resources(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--namespace", "kube-system"]) == 0
    assert capsys.readouterr().out == "No TrainingJob and no InferenceService.\n"
