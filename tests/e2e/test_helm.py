"""The charts on a live cluster: helm test passes, an upgrade keeps what runs, an uninstall loses no user data.

Runs last: it takes the operator away and brings it back.
"""

import pytest

from .install import SYSTEM, install, upgrade
from .kube import Kube, is_true
from .resources import JOBS, SERVICES, command_job, service, simulated_service, trained

pytestmark = [pytest.mark.level(1), pytest.mark.feature("helm"), pytest.mark.runs_last]


def test_helm_test_passes(kube: Kube) -> None:
    assert "Phase:          Succeeded" in kube.helm("test", "slipway", "-n", SYSTEM, "--timeout=90s")


def test_an_upgrade_leaves_what_runs_alone(kube: Kube, shared_namespace: str) -> None:
    trained(kube, shared_namespace)
    program = ["python3", "-c", "import time; time.sleep(3600)"]
    kube.apply(
        shared_namespace,
        command_job("long", *program),
        simulated_service("lasting", {"from": {"trainingJob": "tiny"}}),
    )
    kube.until(shared_namespace, JOBS, "long", is_true("Running"), seconds=120)
    kube.until(shared_namespace, SERVICES, "lasting", is_true("Ready"), seconds=120)
    before = pods(kube, shared_namespace)
    upgrade(kube, operator__logLevel="debug", gateway__drainSeconds="30")
    assert pods(kube, shared_namespace) == before
    assert is_true("Ready")(kube.get(shared_namespace, SERVICES, "lasting") or {})
    upgrade(kube)
    kube.kubectl("-n", shared_namespace, "delete", JOBS, "long")
    kube.kubectl("-n", shared_namespace, "delete", SERVICES, "lasting")


def pods(kube: Kube, namespace: str) -> list[tuple[str, int]]:
    """Uid and restarts of the pods of the job and of the service."""
    ours = ("slipway.dev/training-job=long", "slipway.dev/inference-service=lasting")
    found = [pod for selector in ours for pod in kube.items(namespace, "pods", selector)]
    assert len(found) == 2
    return [
        (pod["metadata"]["uid"], sum(each["restartCount"] for each in pod["status"]["containerStatuses"]))
        for pod in found
    ]


def test_uninstall_and_install_again_lose_nothing(kube: Kube, namespace: str) -> None:
    kube.apply(namespace, command_job("kept", "true"), service("kept", {"uri": "pvc://kept-output/model"}))
    kube.until(namespace, SERVICES, "kept", lambda seen: "status" in seen, seconds=30)
    before = kube.until(namespace, JOBS, "kept", is_true("Complete"), seconds=120)
    kube.helm("uninstall", "slipway", "-n", SYSTEM, "--wait")
    kube.helm("uninstall", "slipway-crds", "-n", SYSTEM, "--wait")
    left, served = (kube.get(namespace, kind, "kept") for kind in (JOBS, SERVICES))
    assert left is not None
    assert left["status"] == before["status"]
    assert served is not None
    assert kube.get(namespace, "persistentvolumeclaim", "kept-output") is not None
    install(kube)
    after = kube.until(namespace, JOBS, "kept", is_true("Complete"), seconds=60)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    again = kube.get(namespace, SERVICES, "kept")
    assert again is not None
    assert again["metadata"]["uid"] == served["metadata"]["uid"]
