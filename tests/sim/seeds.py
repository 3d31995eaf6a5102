"""Seed -> script: which scenario, timing and faults. The same seed is the same script until a scenario is added; then
a failure is repeated by its script, which is printed with it."""

import random
from collections.abc import Callable

from slipway.kube.kinds import LEASE

from .faults import Answer, Crash, Fault, Kill, Late, Meddling, Overlook, Partition, Silence, Slow, Storm, WallJump
from .meddling import ACTS
from .scenarios import SCENARIOS
from .script import Script

HORIZON_SECONDS = 60.0  # faults begin within this time
WRITES = 40
REQUESTS = 120
WATCHED = ("", "trainingjobs.slipway.dev", "inferenceservices.slipway.dev", "pods", "pytorchjobs.kubeflow.org",
           "deployments.apps", "persistentvolumeclaims", "services", "scaledobjects.keda.sh",
           "accelerators.slipway.dev")  # fmt: skip
MEDDLED = ("pods", "pytorchjobs.kubeflow.org", "deployments.apps", "services", "persistentvolumeclaims",
           "scaledobjects.keda.sh", "trainingjobs.slipway.dev", "inferenceservices.slipway.dev")  # fmt: skip
KINDS = (
    "pods",
    "pytorchjobs",
    "deployments",
    "services",
    "persistentvolumeclaims",
    "scaledobjects",
    "events",
    "status",
    "leases",
)
LEAVES = sorted(name for name in SCENARIOS if name.startswith("leaf "))
OTHERS = sorted(name for name in SCENARIOS if not name.startswith("leaf "))
OWNER_ACTS = ("delete", "recreate", "annotate")
STATUSES = (0, 409, 429, 500, 503)

Chance = random.Random
Draw = Callable[[Chance], Fault]


def script(seed: int) -> Script:
    chance = random.Random(f"script {seed}")
    operators = 2 if chance.random() < 0.25 else 1
    draws = DRAWS + (TWO if operators == 2 else ())
    faults = tuple(chance.choice(draws)(chance) for _ in range(chance.choice((0, 1, 1, 2, 3, 5, 8))))
    scenario = chance.choice(LEAVES if chance.random() < 0.3 else OTHERS)
    late = SCENARIOS[scenario].absent
    if late and chance.random() < 0.3:
        faults += (Overlook(late[0]),)
    timing = chance.choice(("calm", "busy", "busy", "hostile", "hostile", "disorder"))
    restart, addressed = chance.random() < 0.25, chance.random() < 0.25
    if operators == 2 and chance.random() < 0.25:
        faults += (Meddling(_when(chance), "clear", LEASE.full),)
    return Script(
        scenario=scenario,
        seed=seed,
        timing=timing,
        faults=faults,
        operators=operators,
        restart=restart,
        addressed=addressed,
    )


def _when(chance: Chance) -> float:
    return round(chance.uniform(0.0, HORIZON_SECONDS), 1)


def crash(chance: Chance) -> Fault:
    late = round(chance.uniform(0.1, 40.0), 1) if chance.random() < 0.3 else None
    return Crash(chance.randrange(WRITES), chance.random() < 0.5, round(chance.uniform(0.0, 30.0), 1), late)


def kill(chance: Chance) -> Fault:
    return Kill(_when(chance), round(chance.uniform(0.0, 60.0), 1))


def answer(chance: Chance) -> Fault:
    return Answer(chance.randrange(REQUESTS), chance.choice(STATUSES), chance.random() < 0.5)


def late(chance: Chance) -> Fault:
    return Late(chance.randrange(REQUESTS), round(chance.uniform(1.0, 60.0), 1))


def storm(chance: Chance) -> Fault:
    when, seconds, status = _when(chance), round(chance.uniform(1.0, 60.0), 1), chance.choice(STATUSES)
    kind = chance.choice(KINDS) if chance.random() < 0.3 else ""
    return Storm(when, 3 * seconds if kind else seconds, status, chance.choice((20, 60, 100)), kind)


def slow(chance: Chance) -> Fault:
    return Slow(_when(chance), round(chance.uniform(1.0, 60.0), 1), chance.choice((1.0, 4.0, 15.0)))


def silence(chance: Chance) -> Fault:
    seconds = round(
        chance.choice((chance.uniform(0.1, 5.0), chance.uniform(5.0, 40.0), chance.uniform(60.0, 100.0))), 1
    )
    return Silence(chance.choice(WATCHED), _when(chance), seconds, chance.random() < 0.6)


def meddling(chance: Chance) -> Fault:
    resource = chance.choice(MEDDLED)
    act = chance.choice(_acts(resource))
    if chance.random() < 0.5:
        return Meddling(
            round(chance.uniform(0.0, 1.0), 3), act, resource, chance.randrange(4), chance.randrange(WRITES)
        )
    return Meddling(_when(chance), act, resource, chance.randrange(4))


def _acts(resource: str) -> list[str]:
    """What a user can do to these that means something: what comes after an unlabelled pod is the user's own doing."""
    if resource.endswith("slipway.dev"):
        return list(OWNER_ACTS)
    if resource == "pods":
        return ["delete", "annotate"]
    dependents = resource in ("deployments.apps", "pytorchjobs.kubeflow.org")
    return sorted(set(ACTS) - {"recreate", "clear"} - (set() if dependents else {"orphaning delete"}))


def jump(chance: Chance) -> Fault:
    return WallJump(chance.randrange(2), _when(chance), chance.choice((-86400.0, -40.0, -5.0, 5.0, 40.0, 86400.0)))


def partition(chance: Chance) -> Fault:
    return Partition(chance.randrange(2), _when(chance), round(chance.uniform(2.0, 60.0), 1), chance.random() < 0.5)


DRAWS: tuple[Draw, ...] = (
    crash,
    crash,
    crash,
    kill,
    answer,
    answer,
    late,
    storm,
    slow,
    silence,
    silence,
    meddling,
    jump,
)
TWO: tuple[Draw, ...] = (partition, partition, partition)
