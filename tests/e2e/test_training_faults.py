"""A gang is drained from its node, suspended, hangs, finds its newest checkpoint damaged: the curve is the undisturbed
one, step by step and bit by bit, and what it cost is told.

A killed rank and a dead operator are in test_gang_restart.py and test_operator_killed.py.
"""

import json
import time
from collections.abc import Callable

import pytest

from .faults import RESUMED, Recovery, curve, damage_newest_checkpoint, drained, held, recovered, stop_ranks
from .kube import Kube, Obj, condition, is_false, is_true
from .resources import JOBS, says, tiny_job

pytestmark = [pytest.mark.level(2), pytest.mark.feature("faults")]

STEPS = 600  # some ten seconds: more than pass between the sight of a checkpoint and a fault
EVERY = 150
Tell = Callable[[str], None]
Curve = list[tuple[int, float]]


def job(name: str, **spec: object) -> Obj:
    made = tiny_job(name, steps=STEPS)
    made["spec"] |= {"checkpoint": {"everySteps": EVERY}, **spec}
    return made


def saved(step: int) -> str:
    return rf"event=checkpoint step={step} "


@pytest.fixture(scope="module")
def undisturbed(kube: Kube, shared_namespace: str) -> Curve:
    kube.apply(shared_namespace, job("undisturbed"))
    done = kube.until(shared_namespace, JOBS, "undisturbed", is_true("Complete"), seconds=300)
    found = curve(kube, shared_namespace, done)
    assert [step for step, _ in found] == list(range(1, STEPS + 1))
    return found


def test_drained_and_suspended_it_loses_nothing(kube: Kube, namespace: str, undisturbed: Curve, tell: Tell) -> None:
    """Neither takes from a budget, of which there is none: SIGTERM saves, and the next attempt goes on from there."""
    rule = {"reasons": ["Evicted"], "action": "RestartGangFree"}
    policy = {"maxRestarts": 0, "backoffSeconds": 0, "rules": [rule]}
    kube.apply(namespace, job("moved", failurePolicy=policy))
    kube.logged(namespace, "moved-0-master-0", saved(EVERY), seconds=180)
    for fault, strike in (("drained", drains), ("suspended", suspends)):
        recovery = strike(kube, namespace)
        tell(f"node {fault}: {recovery}" if fault == "drained" else f"{fault}, from its end: {recovery}")
        assert recovery.steps_lost == 0
    done = kube.until(namespace, JOBS, "moved", is_true("Complete"), seconds=180)
    assert done["status"]["attempt"] == 2
    assert done["status"]["lastFailure"]["reason"] == "Evicted"
    assert done["status"].get("restarts", 0) == 0
    assert done["status"]["ruleRestarts"] == [1]
    assert curve(kube, namespace, done) == undisturbed


def drains(kube: Kube, namespace: str) -> Recovery:
    """The next gang waits for a node that takes pods, and says so."""
    began = time.monotonic()
    with drained(kube, namespace, "moved"):
        waiting = kube.until(namespace, JOBS, "moved", says("Ready", "Unschedulable", "unschedulable"), seconds=120)
        reached, _ = curve(kube, namespace, waiting)[-1]
    return recovered(kube, namespace, "moved-1-master-0", began=began, reached=reached)


def suspends(kube: Kube, namespace: str) -> Recovery:
    suspend(kube, namespace, "moved", wanted=True)
    stopped = kube.until(namespace, JOBS, "moved", is_false("Running", "Suspended"), seconds=120)
    assert kube.items(namespace, "pods") == []
    reached, _ = curve(kube, namespace, stopped)[-1]
    began = time.monotonic()
    suspend(kube, namespace, "moved", wanted=False)
    return recovered(kube, namespace, "moved-2-master-0", began=began, reached=reached)


def suspend(kube: Kube, namespace: str, name: str, *, wanted: bool) -> None:
    patch = json.dumps({"spec": {"suspend": wanted}})
    kube.kubectl("-n", namespace, "patch", JOBS, name, "--type=merge", "-p", patch)


def test_a_hang_is_explained_and_a_damaged_checkpoint_passed_over(
    kube: Kube, namespace: str, undisturbed: Curve, tell: Tell
) -> None:
    """Rank 1 stands still; between the two gangs bytes of the newest checkpoint change."""
    policy = {"maxRestarts": 1, "backoffSeconds": 0}
    kube.apply(namespace, job("hung", failurePolicy=policy, stall={"factor": 10, "floorSeconds": 10}))
    kube.logged(namespace, "hung-0-master-0", saved(2 * EVERY), seconds=180)
    with held(kube, namespace, "hung-0-master-0"):
        began = time.monotonic()
        stop_ranks(kube, namespace, "hung-0-worker-0")
        failed = kube.until(namespace, JOBS, "hung", stalled, seconds=120)
        reached, _ = curve(kube, namespace, failed)[-1]
        damaged = damage_newest_checkpoint(kube, namespace, failed)
    says_where_it_stood(failed)

    recovery = recovered(kube, namespace, "hung-1-master-0", began=began, reached=reached)
    tell(f"rank hangs, newest checkpoint damaged: {recovery}")
    kube.logged(namespace, "hung-1-master-0", rf"event=checkpoint_damaged step={damaged} ", seconds=30)
    resumed = kube.logged(namespace, "hung-1-master-0", RESUMED, seconds=30)
    assert int(resumed[1]) == damaged - EVERY
    done = kube.until(namespace, JOBS, "hung", is_true("Complete"), seconds=180)
    assert done["status"]["restarts"] == 1
    assert curve(kube, namespace, done) == undisturbed


def stalled(seen: Obj) -> bool:
    return bool(seen["status"].get("lastFailure", {}).get("reason") == "Stalled")


def says_where_it_stood(failed: Obj) -> None:
    """The gang's rank 0 waited for the other within a step; its status has the stack."""
    assert failed["status"]["lastFailure"]["exitCode"] == 75
    message = condition(failed, "Restarting")["message"]
    assert "stalled: step" in message
    assert '"stack": ' in message
    assert "advance (loop.py:" in message
