"""A script's verdict: what its run violated, compared with the undisturbed run of the same scenario where the scenario
promises the same end, and with a bound on what may be written.
"""

import json
from functools import cache

from slipway.plan.observed import Obj

from .acts import JOBS
from .faults import Crash, Fault, Kill, Late, Meddling, Partition, Slow, Storm, WallJump
from .scenarios import SCENARIOS
from .script import Script
from .world import Outcome, Violation, run

SKEW_SECONDS = 9.0
REQUESTS_EACH = 2  # for each write that would be many
HARMLESS = frozenset({"annotate"})
TRAINING = frozenset({"pods", "pytorchjobs.kubeflow.org", "persistentvolumeclaims", JOBS})
REPAIRED = frozenset({"deployments.apps", "services", "scaledobjects.keda.sh"})


def judge(script: Script) -> Outcome:
    """Run it; the outcome's violations are the verdict."""
    outcome = run(script)
    if script.without:
        return outcome
    base = undisturbed(SCENARIOS[script.scenario].like or script.scenario)
    if not outcome.violations and comparable(script):
        different = outcome.end.differences(base.end)
        outcome.violations += [Violation("same end", line) for line in different[:3]]
    most = bound(script, undisturbed(script.scenario))
    for count, limit, what in ((outcome.writes, most, "writes"), (outcome.requests, REQUESTS_EACH * most, "requests")):
        if count > limit:
            outcome.violations.append(Violation("bounded", f"{count} {what}, where {limit} would be many"))
    return outcome


@cache
def undisturbed(scenario: str) -> Outcome:
    return run(Script(scenario))


def comparable(script: Script) -> bool:
    """Whether the end must be that of the undisturbed run.

    A user who meddles with what is repaired changes nothing in the end; one who deletes a gang's pod costs an attempt.
    What arrives late, after the spec was refused, stays: a refused spec changes nothing.
    """
    if not SCENARIOS[script.scenario].strict or (_ends_refused(script.scenario) and any(map(_is_late, script.faults))):
        return False
    if any(isinstance(fault, WallJump) and fault.seconds > SKEW_SECONDS for fault in script.faults):
        return False  # docs/LIMITS.md: why a gang failed is then told without its pods' words
    meddlings = [fault for fault in script.faults if isinstance(fault, Meddling) and fault.act not in HARMLESS]
    if meddlings and any("=False" in text for text in SCENARIOS[script.scenario].settled):
        return False  # what is deleted under a spec that is refused is not made again
    return all(m.resource in REPAIRED and m.act != "orphaning delete" for m in meddlings)


def _ends_refused(scenario: str) -> bool:
    return any("Accepted=False" in text for text in SCENARIOS[scenario].settled)


def _is_late(fault: Fault) -> bool:
    return isinstance(fault, Late) or (isinstance(fault, Crash) and fault.late_seconds is not None)


def bound(script: Script, base: Outcome) -> int:
    """Writes that are plenty: those of the undisturbed run for each life of an operator, and some for each fault."""
    lives = script.operators + sum(isinstance(fault, Crash | Kill) for fault in script.faults)
    each = 25 if script.timing == "calm" else 40
    long = sum(isinstance(fault, Storm | Slow | Partition) for fault in script.faults)
    meddled = sum(isinstance(fault, Meddling) for fault in script.faults)
    return base.writes * (lives + 1 + meddled) + each * (len(script.faults) + 1) + 50 * long


def expectations(scenario: str, outcome: Outcome) -> list[str]:
    """What `Scenario.settled` says that the end does not."""
    return [text for text in SCENARIOS[scenario].settled if not _met(text, outcome)]


def _met(text: str, outcome: Outcome) -> bool:
    where, _, said = text.partition(" ")
    kind, _, name = where.partition("/")
    resource = {"TrainingJob": "trainingjobs.slipway.dev", "InferenceService": "inferenceservices.slipway.dev"}[kind]
    body: Obj = json.loads(outcome.end.objects.get(f"{resource}/{name}", "{}"))
    condition, _, wanted = said.partition("=")
    status, _, reason = wanted.partition(":")
    found: Obj = next((c for c in (body.get("status") or {}).get("conditions") or [] if c["type"] == condition), {})
    return found.get("status") == status and (not reason or found.get("reason") == reason)
