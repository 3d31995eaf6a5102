"""Kueue, as far as a PyTorchJob with its label sees it: what is suspended is let run after a while, when no pod of an
earlier admission is left. Who takes a place away again is a user's step, or nobody."""

from typing import ClassVar

from slipway.plan.observed import Obj
from slipway.plan.training.queue import QUEUE

from .base import Controller, Key, going
from .training import JOB_NAME, JOBS


class Kueue(Controller):
    name: ClassVar[str] = "kueue"
    watches: ClassVar[tuple[str, ...]] = (JOBS, "pods")

    def concerns(self, resource: str, body: Obj) -> Key | None:
        if resource == JOBS:
            return super().concerns(resource, body)
        job = (body["metadata"].get("labels") or {}).get(JOB_NAME)
        return (JOBS, body["metadata"]["namespace"], job) if job else None

    def delay(self) -> float:
        return 1.0 + super().delay()

    def look(self, key: Key) -> None:
        job = self.hand.get(*key)
        if job is None or going(job) or QUEUE not in (job["metadata"].get("labels") or {}):
            return
        suspended = (job["spec"].get("runPolicy") or {}).get("suspend")
        if suspended and not self.hand.list("pods", key[1], f"{JOB_NAME}={key[2]}"):
            self.hand.merge(JOBS, key[1], key[2], {"spec": {"runPolicy": {"suspend": False}}})
