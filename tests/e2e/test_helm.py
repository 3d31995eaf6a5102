"""The charts on a live cluster: helm test passes, an upgrade keeps what runs, an uninstall loses no user data.

Runs last: it takes the operator away and brings it back.
"""

import pytest

from .install import SYSTEM, install, upgrade
from .kube import Kube, is_true
from .resources import JOBS, SERVICES, command_job, service

pytestmark = [pytest.mark.level(1), pytest.mark.feature("helm"), pytest.mark.runs_last]


def test_helm_test_passes(kube: Kube) -> None:
    assert "Phase:          Succeeded" in kube.helm("test", "slipway", "-n", SYSTEM, "--timeout=90s")


def test_an_upgrade_leaves_what_runs_alone(kube: Kube, namespace: str) -> None:
    program = ["python3", "-c", "import time; time.sleep(3600)"]
    kube.apply(namespace, command_job("long", *program))
    kube.until(namespace, JOBS, "long", is_true("Running"), seconds=120)
    before = kube.get(namespace, "pod", "long-0-master-0")
    upgrade(kube, operator__logLevel="debug", gateway__drainSeconds="30")
    after = kube.get(namespace, "pod", "long-0-master-0")
    assert before is not None
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0
    upgrade(kube)


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
