"""A rank dies: the whole gang starts again as the next attempt, from the last checkpoint, and the job completes."""

import re
import time
from collections.abc import Callable

import pytest

from .faults import curve, held, recovered
from .killing import at_work, kill_operator
from .kube import Kube, Obj, condition, is_true
from .resources import JOBS, PYTORCHJOBS, command_job, tiny_job

pytestmark = [pytest.mark.level(1), pytest.mark.feature("restart")]


def checkpointed(job: Obj) -> bool:
    return bool(job.get("status", {}).get("progress", {}).get("lastCheckpointStep", 0) >= 4)


@pytest.mark.usefixtures("mended")
def test_a_lost_worker_restarts_the_gang_from_its_checkpoint(
    kube: Kube, namespace: str, tell: Callable[[str], None]
) -> None:
    """The operator dies between the end of one gang and the making of the next."""
    kube.apply(namespace, tiny_job("gang", steps=100_000))
    saved = kube.until(namespace, JOBS, "gang", checkpointed, seconds=240)["status"]["progress"]
    with held(kube, namespace, "gang-0-master-0"):
        began = time.monotonic()
        kube.kubectl("-n", namespace, "delete", "pod", "gang-0-worker-0", "--force", "--grace-period=0")
        failed = kube.until(namespace, JOBS, "gang", lambda job: bool(job["status"]["attempt"] == 1), seconds=60)
        kube.gone(namespace, PYTORCHJOBS, "gang-0", seconds=60)
        kill_operator(kube)
        at_work(kube, namespace)
        assert kube.items(namespace, PYTORCHJOBS) == [], "no gang beside a pod of the one before"
        reached, _ = curve(kube, namespace, failed)[-1]  # by now rank 0 writes no more
    kube.until(namespace, PYTORCHJOBS, "gang-1", lambda obj: "uid" in obj["metadata"], seconds=120)
    recovery = recovered(kube, namespace, "gang-1-master-0", began=began, reached=reached)
    tell(f"pod lost, operator killed before the next gang: {recovery}")
    again = kube.until(namespace, JOBS, "gang", is_true("Running"), seconds=180)["status"]["progress"]
    job = kube.until(namespace, JOBS, "gang", lambda job: bool(job["status"]["progress"] != again), seconds=180)
    assert job["status"]["attempt"] == 1
    assert [each["metadata"]["name"] for each in kube.items(namespace, PYTORCHJOBS)] == ["gang-1"]
    log = kube.kubectl("-n", namespace, "logs", "gang-1-master-0", "-c", "pytorch")
    resumed = re.search(r"event=resume step=(\d+)", log)
    assert resumed is not None, log
    assert int(resumed[1]) >= saved["lastCheckpointStep"]


def test_a_claim_goes_with_its_job_when_asked(kube: Kube, namespace: str) -> None:
    kube.apply(namespace, command_job("brief", "true", output={"size": "1Gi", "whenDeleted": "Delete"}))
    kube.until(namespace, JOBS, "brief", is_true("Complete"), seconds=120)
    kube.kubectl("-n", namespace, "delete", JOBS, "brief")
    kube.gone(namespace, "persistentvolumeclaim", "brief-output", seconds=60)


def test_a_program_that_always_fails_uses_up_its_restarts(kube: Kube, namespace: str) -> None:
    program = ["python3", "-c", "raise SystemExit(7)"]
    kube.apply(namespace, command_job("doomed", *program, failurePolicy={"maxRestarts": 1}))
    job = kube.until(namespace, JOBS, "doomed", is_true("Failed"), seconds=180)
    assert job["status"]["attempt"] == 1
    assert "doomed-1-master-0" in condition(job, "Failed")["message"]
    assert condition(job, "Ready")["status"] == "False"
