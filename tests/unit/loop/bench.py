"""A Reconciler on the fake API server, with a planner of the test's and a clock that stands still."""

from slipway.kube.client import KubeClient
from slipway.kube.kinds import PYTORCH_JOB, SERVICE, TRAINING_JOB
from slipway.plan.observed import Obj, Observed
from slipway.plan.outcome import Defaults, Plan
from slipway.reconcile.apply import Applier
from slipway.reconcile.events import Recorder
from slipway.reconcile.gate import Gate
from slipway.reconcile.index import Index
from slipway.reconcile.keys import Key
from slipway.reconcile.loop import Effects, Reconciler
from slipway.reconcile.once import Once
from slipway.reconcile.queue import Again
from slipway.reconcile.status import StatusWriter
from slipway.reconcile.trial import Trial
from slipway.telemetry.metrics import Metrics

from .build import (
    DEFAULTS,
    GANG_PATH,
    JOB,
    JOB_PATH,
    SERVICE_PATH,
    Planner,
    open_gate,
)
from .fakeapi import FakeApi


class Bench:
    def __init__(self, client: KubeClient, fake: FakeApi, *, remaining: float = 10.0) -> None:
        self.fake, self.index, self.metrics, self.now = fake, Index(), Metrics(), 0.0
        self.wall = 1_000_000.0
        self.seen: list[Observed] = []
        self.gone: list[Key] = []
        self.statuses: list[tuple[Key, Obj]] = []
        self.planner: Planner = lambda observed, now, defaults: Plan(status={"attempt": 0})
        gate = open_gate() if remaining else Gate(lambda: remaining, rate=1.0, burst=1, metrics=self.metrics)
        self.effects = effects = Effects(
            client=client,
            applier=Applier(client, self.index, gate, self.metrics, clock=self.clock),
            once=Once(client, self.index, gate, clock=self.clock),
            status=StatusWriter(client, gate, Recorder(client, gate, instance="pod"), clock=self.clock),
            trial=Trial(client, clock=self.clock),
        )
        self.reconciler = Reconciler(
            self.index,
            {"TrainingJob": self.plan},
            DEFAULTS,
            effects,
            self.metrics,
            reported=lambda key, uid: None,
            on_status=lambda key, status: self.statuses.append((key, status)),
            on_gone=self.gone.append,
            wall=lambda: self.wall,
            clock=self.clock,
            chance=lambda: 0.0,
        )

    def clock(self) -> float:
        return self.now

    def plan(self, observed: Observed, now: float, defaults: Defaults) -> Plan:
        assert (now, defaults) == (self.wall, DEFAULTS)
        self.seen.append(observed)
        return self.planner(observed, now, defaults)

    def always(self, **plan: object) -> None:
        made = Plan(**{"status": {"attempt": 0}, **plan})  # type: ignore[arg-type]
        self.planner = lambda observed, now, defaults: made

    def told(self, path: str = JOB_PATH) -> None:
        """The watch tells of an object."""
        resource = {JOB_PATH: TRAINING_JOB, SERVICE_PATH: SERVICE, GANG_PATH: PYTORCH_JOB}[path]
        self.index.record(resource, "MODIFIED", self.fake.objects[path])

    async def visit(self) -> Again:
        return await self.reconciler.visit(JOB)
