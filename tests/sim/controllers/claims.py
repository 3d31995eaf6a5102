"""PVC protection: a claim that is being deleted goes when no pod uses it any more."""

from typing import ClassVar

from slipway.plan.observed import Obj

from .base import Controller, Key, going

CLAIMS = "persistentvolumeclaims"
FINALIZER = "kubernetes.io/pvc-protection"


class Claims(Controller):
    name: ClassVar[str] = "pvc-protection-controller"
    watches: ClassVar[tuple[str, ...]] = (CLAIMS, "pods")

    def concerns(self, resource: str, body: Obj) -> Key | None:
        if resource == CLAIMS:
            return super().concerns(resource, body) if going(body) else None
        return CLAIMS, body["metadata"]["namespace"], ""

    def look(self, key: Key) -> None:
        for claim in self.hand.list(CLAIMS, key[1]):
            finalizers = claim["metadata"].get("finalizers") or []
            if going(claim) and FINALIZER in finalizers and not self._used(claim):
                left = [name for name in finalizers if name != FINALIZER]
                patch = {"metadata": {"finalizers": left, "uid": claim["metadata"]["uid"]}}
                self.hand.merge(CLAIMS, key[1], claim["metadata"]["name"], patch)

    def _used(self, claim: Obj) -> bool:
        name = claim["metadata"]["name"]
        return any(
            (volume.get("persistentVolumeClaim") or {}).get("claimName") == name
            for pod in self.hand.list("pods", claim["metadata"]["namespace"])
            if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
            for volume in pod["spec"].get("volumes") or []
        )
