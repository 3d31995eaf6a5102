"""Scheduler and kubelet: a pod finds a node, starts, becomes ready, ends as its fate says (fates.py), and goes when it
is deleted, after its containers have ended. Rank 0 of a gang reports its progress to the leader meanwhile.
"""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from slipway.plan.labels import OWNER_UID, TRAINING_JOB
from slipway.plan.observed import Obj

from ..fates import DEFAULT, Fate
from .base import Controller, Key, going
from .podstatus import again, ended, pulling, running, unmounted, unscheduled, waiting

if TYPE_CHECKING:
    from ..world import World

REPORT_SECONDS = 7.0
FLAPS = 8


@dataclass(slots=True)
class Life:
    """Of one pod, by uid: the step that comes next, and when."""

    fate: Fate
    step: str = "schedule"
    due: float = 0.0
    began: str = ""
    reports: int = 0
    wedges: int = 0


class Kubelet(Controller):
    name: ClassVar[str] = "kubelet"
    watches: ClassVar[tuple[str, ...]] = ("pods",)

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._lives: dict[str, Life] = {}
        self._met: dict[Fate, int] = {}

    @property
    def busy(self) -> bool:
        """A pod that only runs does not count."""
        return any(life.step != "stay" for life in self._lives.values())

    def look(self, key: Key) -> None:
        pod = self.hand.get(*key)
        if pod is None:
            return
        life = self._life(pod)
        if going(pod) and life.step not in ("die", "gone"):
            usual = self.chance.uniform(*self.world.timing.grace)
            grace = usual if life.fate.grace_seconds is None else life.fate.grace_seconds
            life.step, life.due = "die", self._now() + grace
        if self._now() >= life.due - 1e-9 and life.step != "stay":
            getattr(self, f"_{life.step}")(pod, life)
        if life.step not in ("stay", "gone"):
            self.soon(key, max(0.0, life.due - self._now()))

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _life(self, pod: Obj) -> Life:
        uid = pod["metadata"]["uid"]
        if uid not in self._lives:
            self._lives[uid] = Life(self._fate(pod["metadata"]["name"]), due=self._now())
        return self._lives[uid]

    def _fate(self, name: str) -> Fate:
        for fate in (*self.world.fates, *DEFAULT):
            if fate.meets(name) and (fate.times is None or self._met.get(fate, 0) < fate.times):
                self._met[fate] = self._met.get(fate, 0) + 1
                return fate
        raise AssertionError("the last rule meets every pod")

    # ------------------------------------------------------------------ steps

    def _schedule(self, pod: Obj, life: Life) -> None:
        if life.fate.trouble == "unschedulable":
            self._write(pod, unscheduled(self.world.now()))
            life.step = "stay"
            return
        self.world.bind(pod["metadata"]["namespace"], pod["metadata"]["name"])
        life.step, life.due = "start", self._now() + life.fate.start_seconds * self.chance.uniform(0.5, 1.5)

    def _start(self, pod: Obj, life: Life) -> None:
        now = life.began = self.world.now()
        serves = TRAINING_JOB not in pod["metadata"]["labels"]
        if life.fate.trouble == "pull":
            self._write(pod, pulling(pod, now, "ErrImagePull", "no such image"))
            life.step, life.due = "flap", self._now() + 10.0
        elif life.fate.trouble == "unmounted":
            self._write(pod, unmounted(pod, now))
            life.step = "stay"
        elif life.fate.trouble == "crash":
            self._write(pod, waiting(pod, now, "CrashLoopBackOff", life.fate.exit_code, life.fate.message))
            life.step = "stay"
        elif serves:
            self._write(pod, running(pod, now, ready=False))
            life.step, life.due = "answer", self._now() + life.fate.start_seconds
        else:
            self._write(pod, running(pod, now, ready=True))
            self._end_in(life)

    def _answer(self, pod: Obj, life: Life) -> None:
        """The engine has generated its first token, or never will."""
        if life.wedges:
            self._write(pod, again(pod, life.began, life.began, life.wedges, ready=True))
        elif life.fate.trouble != "unready":
            self._write(pod, running(pod, life.began, ready=True))
        self._end_in(life)

    def _wedge(self, pod: Obj, life: Life) -> None:
        """The engine stands still: it has been ended, and starts again."""
        before, life.began = life.began, self.world.now()
        life.wedges += 1
        self._write(pod, again(pod, before, life.began, life.wedges, ready=False))
        life.step, life.due = "answer", self._now() + life.fate.start_seconds

    def _end_in(self, life: Life) -> None:
        if life.fate.run_seconds is None or (life.fate.trouble == "wedged" and life.wedges >= life.fate.wedges):
            life.step = "stay"
        elif life.fate.trouble == "wedged":
            life.step, life.due = "wedge", self._now() + life.fate.run_seconds
        else:
            life.step, life.due = "report", self._now() + min(REPORT_SECONDS, life.fate.run_seconds)

    def _report(self, pod: Obj, life: Life) -> None:
        """While it runs: how far it is. The last report comes just before the end."""
        life.reports += 1
        self.world.report(pod, life.reports)
        if life.reports == life.fate.reports:
            life.step = "stay"
            return
        left = (life.fate.run_seconds or 0.0) - life.reports * REPORT_SECONDS
        life.step, life.due = ("report" if left > 0 else "end"), self._now() + min(REPORT_SECONDS, max(left, 0.0))

    def _end(self, pod: Obj, life: Life) -> None:
        fate = life.fate
        reason = "Evicted" if fate.trouble == "evicted" else ""
        self._write(pod, ended(pod, life.began, self.world.now(), fate.exit_code, fate.message, reason))
        life.step = "stay"

    def _flap(self, pod: Obj, life: Life) -> None:
        """The kubelet says one thing when a pull fails and another while it waits, for ever (here: for a while)."""
        life.reports += 1
        if life.reports > FLAPS:
            life.step = "stay"
            return
        pause = life.reports % 2
        reason, said = (
            ("ImagePullBackOff", 'Back-off pulling image "x"') if pause else ("ErrImagePull", "no such image")
        )
        self._write(pod, pulling(pod, life.began, reason, said))
        life.due = self._now() + 10.0

    def _die(self, pod: Obj, life: Life) -> None:
        """The containers have ended. Some kubelets tell that before the pod is gone."""
        metadata = pod["metadata"]
        if life.began and self.chance.random() < 0.5:
            self._write(pod, ended(pod, life.began, self.world.now(), 143, "", ""))
        preconditions = {"uid": metadata["uid"]}
        life.step = "gone"
        self.hand.delete(
            "pods", metadata["namespace"], metadata["name"], gracePeriodSeconds=0, preconditions=preconditions
        )
        del self._lives[metadata["uid"]]

    def _write(self, pod: Obj, status: Obj) -> None:
        self.hand.merge("pods", pod["metadata"]["namespace"], pod["metadata"]["name"], {"status": status}, "status")


def reporter(pod: Obj) -> tuple[str, str] | None:
    """(job, its uid) of a rank 0; None of any other pod."""
    labels = pod["metadata"]["labels"]
    rank_0 = pod["metadata"]["name"].endswith("-master-0") and TRAINING_JOB in labels
    return (labels[TRAINING_JOB], labels[OWNER_UID]) if rank_0 else None
