"""A user's hand in what is Slipway's: the acts that the fault Meddling names."""

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING

from slipway.api.common import GROUP
from slipway.kube.kinds import ENDPOINT_SLICE, LEASE, OWNERS
from slipway.plan.labels import MANAGED_BY, SELECTOR
from slipway.plan.observed import Obj

from .acts import NAMESPACE
from .faults import Meddling
from .hand import Hand, Refused

if TYPE_CHECKING:
    from .world import World

RECREATE_SECONDS = 0.3
OWNER_KINDS = frozenset(resource.full for resource in OWNERS)
OPERATOR_KINDS = frozenset({LEASE.full, ENDPOINT_SLICE.full})
OPERATOR_NAMESPACE = "slipway"

Do = Callable[["World", Hand, str, Obj], None]


def meddle(world: "World", fault: Meddling) -> None:
    """Do it, to an object that is there; nothing when there is none (any more)."""
    hand = Hand(world.api, "meddler")
    selector = "" if fault.resource in OWNER_KINDS | OPERATOR_KINDS else SELECTOR
    namespace = OPERATOR_NAMESPACE if fault.resource in OPERATOR_KINDS else NAMESPACE
    found = hand.list(fault.resource, namespace, selector)
    if not found:
        return
    body = sorted(found, key=lambda one: str(one["metadata"]["name"]))[fault.choice % len(found)]
    try:
        ACTS[fault.act](world, hand, fault.resource, body)
    except Refused as refused:  # the user may not, or came too late
        if refused.status not in (403, 404, 409, 422):
            raise


def delete(world: "World", hand: Hand, resource: str, body: Obj) -> None:
    metadata = body["metadata"]
    hand.delete(resource, metadata["namespace"], metadata["name"], propagationPolicy="Background")


def orphaning_delete(world: "World", hand: Hand, resource: str, body: Obj) -> None:
    hand.delete(resource, NAMESPACE, body["metadata"]["name"], propagationPolicy="Orphan")


def disown(world: "World", hand: Hand, resource: str, body: Obj) -> None:
    hand.merge(resource, NAMESPACE, body["metadata"]["name"], {"metadata": {"ownerReferences": None}})


def unlabel(world: "World", hand: Hand, resource: str, body: Obj) -> None:
    hand.merge(resource, NAMESPACE, body["metadata"]["name"], {"metadata": {"labels": {MANAGED_BY: None}}})


def keep(world: "World", hand: Hand, resource: str, body: Obj) -> None:
    """Take it out of Slipway's hands: without its owner it does not go with it, without its label it is nobody's."""
    gone = {"ownerReferences": None, "labels": {MANAGED_BY: None}}
    hand.merge(resource, NAMESPACE, body["metadata"]["name"], {"metadata": gone})


def mislabel(world: "World", hand: Hand, resource: str, body: Obj) -> None:
    """Every label of Slipway's but the one by which it is watched."""
    ours = [name for name in body["metadata"].get("labels") or {} if name.startswith(GROUP)]
    patch = {"metadata": {"labels": dict.fromkeys(ours)}}
    hand.merge(resource, NAMESPACE, body["metadata"]["name"], patch)


def annotate(world: "World", hand: Hand, resource: str, body: Obj) -> None:
    patch = {"metadata": {"annotations": {"team.example/note": f"{world.time():.0f}"}}}
    hand.merge(resource, NAMESPACE, body["metadata"]["name"], patch)


def spoil(world: "World", hand: Hand, resource: str, body: Obj) -> None:
    """Change what Slipway has set."""
    if (patch := SPOILED.get(resource)) is not None:
        hand.merge(resource, body["metadata"]["namespace"], body["metadata"]["name"], patch)


def clear(world: "World", hand: Hand, resource: str, body: Obj) -> None:
    """The Lease: nobody holds it, by what it says."""
    hand.merge(resource, OPERATOR_NAMESPACE, body["metadata"]["name"], {"spec": {"holderIdentity": ""}})


def recreate(world: "World", hand: Hand, resource: str, body: Obj) -> None:
    """Delete, and a moment later create the same again."""
    delete(world, hand, resource, body)
    metadata = {"name": body["metadata"]["name"], "namespace": NAMESPACE}
    again = {**copy.deepcopy({k: body[k] for k in ("apiVersion", "kind", "spec")}), "metadata": metadata}
    world.loop.call_later(RECREATE_SECONDS, _create, hand, again)


def _create(hand: Hand, body: Obj) -> None:
    try:
        hand.create(body)
    except Refused as refused:
        if refused.status != 409:
            raise


SPOILED: dict[str, Obj] = {
    "deployments.apps": {"spec": {"replicas": 5, "paused": True, "revisionHistoryLimit": 7}},
    "services": {"spec": {"selector": {"team.example/other": "x"}}},
    "scaledobjects.keda.sh": {"spec": {"maxReplicaCount": 77, "minReplicaCount": 0}},
    "pytorchjobs.kubeflow.org": {"metadata": {"annotations": {"team.example/edited": "yes"}}},
    "persistentvolumeclaims": {"metadata": {"labels": {"team.example/edited": "yes"}}},
    ENDPOINT_SLICE.full: {"endpoints": [{"addresses": ["10.9.9.9"]}]},
}

ACTS: dict[str, Do] = {
    "delete": delete,
    "orphaning delete": orphaning_delete,
    "disown": disown,
    "unlabel": unlabel,
    "keep": keep,
    "mislabel": mislabel,
    "annotate": annotate,
    "spoil": spoil,
    "recreate": recreate,
    "clear": clear,
}
