"""The Deployment controller, its ReplicaSets left out: pods of the template asked for replace those of older ones as
maxSurge and maxUnavailable allow (pkg/controller/deployment/rolling.go), and the status counts them. Pods that the API
server refuses are told in the condition ReplicaFailure, and tried again.
"""

import json
import math
from hashlib import sha256
from typing import ClassVar

from slipway.plan.observed import Obj

from ..hand import Refused
from .base import Controller, Key, controlled_by, going, set_condition

DEPLOYMENTS = "deployments.apps"
HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"


class Deployments(Controller):
    name: ClassVar[str] = "deployment-controller"
    watches: ClassVar[tuple[str, ...]] = (DEPLOYMENTS, "pods")

    def concerns(self, resource: str, body: Obj) -> Key | None:
        if resource == DEPLOYMENTS:
            return super().concerns(resource, body)
        for owner in body["metadata"].get("ownerReferences") or []:
            if owner["kind"] == "Deployment":
                return DEPLOYMENTS, body["metadata"]["namespace"], owner["name"]
        return None

    def look(self, key: Key) -> None:
        deployment = self.hand.get(*key)
        if deployment is None or going(deployment):
            return
        uid, wanted = deployment["metadata"]["uid"], template_hash(deployment)
        pods = [pod for pod in self.hand.list("pods", key[1]) if controlled_by(pod, uid) and not ended(pod)]
        new = [pod for pod in pods if pod["metadata"]["labels"].get(HASH) == wanted]
        old = [pod for pod in pods if pod not in new]
        try:
            self._bring(deployment, wanted, new, old)
        except Refused as refused:
            self._tell(deployment, wanted, failure=refused.message)
            raise
        self._tell(deployment, wanted)

    def _bring(self, deployment: Obj, wanted: str, new: list[Obj], old: list[Obj]) -> None:
        if not deployment["spec"].get("paused"):
            self._roll(deployment, wanted, new, old)
        elif spare := len(alive(new + old)) - deployment["spec"]["replicas"]:
            self._scale(deployment, wanted, new + old, -spare)

    def _roll(self, deployment: Obj, wanted: str, new: list[Obj], old: list[Obj]) -> None:
        replicas, strategy = deployment["spec"]["replicas"], deployment["spec"].get("strategy") or {}
        if strategy.get("type") == "Recreate":
            self._remove(alive(old))
            self._scale(deployment, wanted, new, 0 if old else replicas - len(alive(new)))
            return
        rolling = strategy.get("rollingUpdate") or {}
        surge = share(rolling.get("maxSurge", "25%"), replicas, math.ceil)
        unavailable = share(rolling.get("maxUnavailable", "25%"), replicas, math.floor)
        if surge == unavailable == 0:
            unavailable = 1
        room = replicas + surge - len(alive(new + old))
        self._scale(
            deployment, wanted, new, min(replicas - len(alive(new)), room) if old else replicas - len(alive(new))
        )
        if old:
            self._scale_down_old(new, old, least=replicas - unavailable)

    def _scale_down_old(self, new: list[Obj], old: list[Obj], *, least: int) -> None:
        """First what is not ready, then what is, never below `least` ready pods."""
        unready_new = len([pod for pod in alive(new) if not ready(pod)])
        spare = len(alive(new + old)) - least - unready_new
        unhealthy = [pod for pod in alive(old) if not ready(pod)][: max(0, spare)]
        self._remove(unhealthy)
        healthy = [pod for pod in alive(old) if ready(pod)]
        available = len(healthy) + len([pod for pod in alive(new) if ready(pod)])
        self._remove(healthy[: max(0, available - least)])

    def _scale(self, deployment: Obj, wanted: str, pods: list[Obj], more: int) -> None:
        for _ in range(more):
            self.hand.create(_pod(deployment, wanted, self.chance.randrange(36**5)))
        if more < 0:
            self._remove(sorted(alive(pods), key=ready)[:-more])

    def _remove(self, pods: list[Obj]) -> None:
        for pod in pods:
            self.hand.delete("pods", pod["metadata"]["namespace"], pod["metadata"]["name"])

    def _tell(self, deployment: Obj, wanted: str, failure: str = "") -> None:
        metadata, before, now = deployment["metadata"], deployment.get("status") or {}, self.world.now()
        listed = self.hand.list("pods", metadata["namespace"])
        pods = alive([pod for pod in listed if controlled_by(pod, metadata["uid"]) and not ended(pod)])
        answering, replicas = [pod for pod in pods if ready(pod)], deployment["spec"]["replicas"]
        updated = [pod for pod in pods if pod["metadata"]["labels"].get(HASH) == wanted]
        enough = "True" if len(answering) >= replicas else "False"
        conditions = set_condition(before.get("conditions") or [], "Available", enough, now, reason="MinimumReplicas")
        conditions = set_condition(conditions, "Progressing", "True", now, reason="ReplicaSetUpdated")
        if not failure:
            conditions = [each for each in conditions if each["type"] != "ReplicaFailure"]
        elif not any(each["type"] == "ReplicaFailure" for each in conditions):  # the first words stay
            failed = {"reason": "FailedCreate", "message": failure}
            conditions = set_condition(conditions, "ReplicaFailure", "True", now, **failed)
        counts = {
            "replicas": len(pods),
            "updatedReplicas": len(updated),
            "readyReplicas": len(answering),
            "availableReplicas": len(answering),
            "unavailableReplicas": max(0, replicas - len(answering)),
        }
        status = {"observedGeneration": metadata["generation"], "conditions": conditions}
        status |= {name: count for name, count in counts.items() if count}
        if status != before:
            self.hand.replace(DEPLOYMENTS, {**deployment, "status": status}, "status")
        self._revise(deployment, wanted)

    def _revise(self, deployment: Obj, wanted: str) -> None:
        """The annotation that `kubectl rollout` reads; here the template's hash stands for the number."""
        metadata = deployment["metadata"]
        if (metadata.get("annotations") or {}).get(REVISION) != wanted:
            patch = {"metadata": {"annotations": {REVISION: wanted}}}
            self.hand.merge(DEPLOYMENTS, metadata["namespace"], metadata["name"], patch)


def template_hash(deployment: Obj) -> str:
    return sha256(json.dumps(deployment["spec"]["template"], sort_keys=True).encode()).hexdigest()[:10]


def share(value: int | str, replicas: int, rounded: "type[int] | object") -> int:
    """maxSurge or maxUnavailable in pods."""
    if isinstance(value, int):
        return value
    portion = int(value.rstrip("%")) * replicas / 100
    return math.ceil(portion) if rounded is math.ceil else math.floor(portion)


def alive(pods: list[Obj]) -> list[Obj]:
    return [pod for pod in pods if not going(pod)]


def ended(pod: Obj) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def ready(pod: Obj) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _pod(deployment: Obj, wanted: str, number: int) -> Obj:
    metadata, template = deployment["metadata"], deployment["spec"]["template"]
    given = template.get("metadata") or {}
    owner = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    named = {
        **given,
        "name": f"{metadata['name']}-{wanted[:5]}-{number:05x}",
        "namespace": metadata["namespace"],
        "labels": {**(given.get("labels") or {}), HASH: wanted},
        "ownerReferences": [owner],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": named, "spec": template["spec"]}
