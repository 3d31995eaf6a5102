"""KEDA 2.21 and the autoscaler that it makes: replicas of an InferenceService follow the load that the scenario says.

It marks a ScaledObject with its finalizer and its label, tells Ready, and writes the scale subresource of the target,
never below minReplicaCount or above maxReplicaCount, and to zero only after cooldownPeriod without load.
"""

import asyncio
import math
from typing import TYPE_CHECKING, ClassVar

from slipway.kube.kinds import INFERENCE_SERVICE
from slipway.plan.observed import Obj

from .base import Controller, Key, going, set_condition

if TYPE_CHECKING:
    from ..world import World

SCALED_OBJECTS = "scaledobjects.keda.sh"
FINALIZER = "finalizer.keda.sh"
LABEL = "scaledobject.keda.sh/name"


class Keda(Controller):
    name: ClassVar[str] = "keda-operator"
    watches: ClassVar[tuple[str, ...]] = (SCALED_OBJECTS,)

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._active: dict[str, float] = {}  # by uid: when there was load last
        self._settled: set[str] = set()

    @property
    def busy(self) -> bool:
        return bool({key[2] for key in self._due} - self._settled)

    def look(self, key: Key) -> None:
        scaled = self.hand.get(*key)
        if scaled is None:
            self._settled.add(key[2])
            return
        if going(scaled):
            self._let_go(scaled)
        elif self._mark(scaled) and self._tell(scaled):
            self._scale(scaled)
            self.soon(key, scaled["spec"]["pollingInterval"])

    def _let_go(self, scaled: Obj) -> None:
        metadata = scaled["metadata"]
        left = [name for name in metadata.get("finalizers") or [] if name != FINALIZER]
        patch = {"metadata": {"finalizers": left, "resourceVersion": metadata["resourceVersion"]}}
        self.hand.merge(SCALED_OBJECTS, metadata["namespace"], metadata["name"], patch)

    def _mark(self, scaled: Obj) -> bool:
        """Whether it bears our marks already; if not it does now, and will be looked at again."""
        metadata = scaled["metadata"]
        finalizers, labels = metadata.get("finalizers") or [], metadata.get("labels") or {}
        if FINALIZER in finalizers and labels.get(LABEL) == metadata["name"]:
            return True
        marks = {"finalizers": [*{*finalizers, FINALIZER}], "labels": {LABEL: metadata["name"]}}
        self.hand.merge(SCALED_OBJECTS, metadata["namespace"], metadata["name"], {"metadata": marks})
        return False

    def _tell(self, scaled: Obj) -> bool:
        status = scaled.get("status") or {}
        told = {c["type"]: c["status"] for c in status.get("conditions") or []}
        if told.get("Ready") == "True":
            return True
        said = {"reason": "ScaledObjectReady", "message": "ScaledObject is defined correctly and is ready for scaling"}
        conditions = set_condition(list(status.get("conditions") or []), "Ready", "True", self.world.now(), **said)
        self.hand.replace(SCALED_OBJECTS, {**scaled, "status": {**status, "conditions": conditions}}, "status")
        return False

    def _scale(self, scaled: Obj) -> None:
        metadata, spec = scaled["metadata"], scaled["spec"]
        service = self.hand.get(INFERENCE_SERVICE.full, metadata["namespace"], spec["scaleTargetRef"]["name"])
        if service is None:
            return
        now, load = asyncio.get_running_loop().time(), self.world.load(metadata["namespace"], metadata["name"])
        if load:
            self._active[metadata["uid"]] = now
        wanted = self._wanted(spec, load, idle=now - self._active.setdefault(metadata["uid"], now))
        current = service["spec"]["replicas"]
        if load or wanted == current:
            self._settled.add(metadata["name"])
        else:
            self._settled.discard(metadata["name"])
        if wanted is not None and wanted != current:
            body = {"spec": {"replicas": wanted}}
            self.hand.merge(INFERENCE_SERVICE.full, metadata["namespace"], metadata["name"], body, "scale")

    def _wanted(self, spec: Obj, load: int, *, idle: float) -> int | None:
        """Replicas, None while an idle service is still to be kept as it is."""
        least, most = spec["minReplicaCount"], spec["maxReplicaCount"]
        if load:
            share = int(spec["triggers"][0]["metadata"]["threshold"])
            return int(max(least, 1, min(most, math.ceil(load / share))))
        if least > 0:
            return int(least)
        return 0 if idle >= spec["cooldownPeriod"] else None
