"""The composition root: builds every part, runs kopf and the loop in one event loop, and ends them in the right order.

Any task that ends by itself ends the process with an error: an operator that half works looks healthy and is not. On
SIGTERM the queue takes no more, running visits finish, the lease is released so that a standby goes on at once, and
kopf stops last, because kopf cancels every task of the loop when it goes.
"""

import asyncio
import logging
import random
import signal
import sys
import time
import uuid
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import kopf
import uvloop

from . import handlers, listings
from .kube import connect
from .kube.client import KubeClient
from .kube.kinds import ACCELERATOR, OPTIONAL, WATCHED, Resource
from .kube.leader_slice import leader_slice
from .kube.lease import Elector
from .plan.observed import Obj
from .reconcile import progress_server, resync
from .reconcile.address import LeaderAddress
from .reconcile.apply import Applier
from .reconcile.events import Recorder
from .reconcile.gate import Gate
from .reconcile.index import Index
from .reconcile.jobmetrics import JobMetrics
from .reconcile.keys import Key
from .reconcile.loop import Effects, Planner, Reconciler
from .reconcile.once import Once
from .reconcile.progress import ProgressStore
from .reconcile.queue import Again, KeyedQueue
from .reconcile.status import StatusWriter
from .reconcile.synced import Synced
from .reconcile.tokens import Tokens
from .reconcile.trial import Trial
from .settings import Settings, SettingsError, from_environment
from .telemetry import health, tracing
from .telemetry import logging as structured
from .telemetry.metrics import Metrics
from .telemetry.port import serve

DRAIN_SECONDS = 8.0  # below the renew deadline, and below a pod's grace period with what follows
EXIT_FAILURE, EXIT_SETTINGS = 1, 2
# The API server takes JSON ten thousand levels deep, and kopf reads whole lists at once: one such object, of anybody's,
# would otherwise end the operator for all. reconcile/observe.py cuts it short right after.
RECURSION_LIMIT = 25_000

log = logging.getLogger(__name__)

Planners = Mapping[str, Planner]


@dataclass(frozen=True, slots=True)
class Clocks:
    """Time and chance, the inputs that no request brings; tests/sim has its own. What sleeps asks the event loop."""

    monotonic: Callable[[], float] = time.monotonic  # seconds
    wall: Callable[[], float] = time.time  # seconds since the epoch
    chance: Callable[[], float] = random.random  # in [0, 1)


class App:
    """All parts, wired. `run()` until stopped or broken."""

    def __init__(
        self, settings: Settings, client: KubeClient, metrics: Metrics, planners: Planners, clocks: Clocks | None = None
    ) -> None:
        self.settings, self.client, self.metrics = settings, client, metrics
        self._clocks = clocks = clocks or Clocks()
        clock = clocks.monotonic
        self.index = Index()
        self.synced = Synced(WATCHED, optional=OPTIONAL, namespaces=settings.watch_namespaces)
        self.elector = Elector(client, settings.lease, metrics, clock=clock, wall=clocks.wall, chance=clocks.chance)
        gate = Gate(
            self.elector.remaining, rate=settings.writes_per_second, burst=settings.write_burst, metrics=metrics
        )
        events = Recorder(client, gate, instance=settings.pod_name, clock=clocks.wall)
        self.queue: KeyedQueue[Key] = KeyedQueue(
            self._visit,
            concurrency=settings.concurrency,
            metrics=metrics,
            tenant=lambda key: key.namespace,
            chance=clocks.chance,
        )
        self.progress = ProgressStore(self.queue.add, interval_seconds=settings.progress_seconds)
        self.jobs = JobMetrics(self.elector.may_write)
        metrics.registry.register(self.jobs)
        self.reconciler = Reconciler(
            self.index,
            planners,
            settings.defaults,
            Effects(
                client=client,
                applier=Applier(client, self.index, gate, metrics, clock=clock),
                once=Once(client, self.index, gate, clock=clock),
                status=StatusWriter(client, gate, events, clock=clock),
                trial=Trial(client, clock=clock),
            ),
            metrics,
            reported=self.progress.shown,
            on_status=self.jobs.record,
            on_gone=self._gone,
            wall=clocks.wall,
            clock=clock,
            chance=clocks.chance,
        )
        self.progress_server = progress_server.ProgressServer(
            self.index,
            self.progress,
            Tokens(client, clock=clock, wall=clocks.wall),
            metrics,
            leading=self.elector.may_write,
            clock=clock,
            wall=clocks.wall,
        )
        self.address = _address(settings, client, gate, self.elector.may_write)
        self._stop_kopf = asyncio.Event()

    # ------------------------------------------------------------------ what the parts tell each other

    async def _visit(self, key: Key) -> Again:
        return await self.reconciler.visit(key)

    def _gone(self, key: Key) -> None:
        self.queue.forget(key)
        self.progress.forget(key)
        self.jobs.forget(key)

    def recorded(self, resource: Resource, event_type: str | None, body: Obj) -> None:
        """What a watch has told, or a listing (`event_type` None)."""
        keys = self.index.record(resource, event_type, body)
        self.metrics.events.labels(resource.full, "news" if keys else "nothing new").inc()
        later = resource == ACCELERATOR  # which concerns everybody a little: what happens to one goes before
        for key in sorted(keys):  # a set's order would differ from process to process
            self.queue.add(key, later=later)

    def listed(self, resource: Resource, namespace: str | None, uids: Collection[str], version: str) -> None:
        """A listing of `resource` is complete, and named `uids`."""
        for key in sorted(self.index.listed(resource, namespace, uids, version)):
            self.queue.add(key)
        if self.synced.listed(resource, namespace):
            log.info("a kind has come to the cluster: visiting everything", extra={"kind": resource.full})
            self.reconciler.memory.hurry()
            resync.everything(self.index, self.queue.add)
        elif resource in OPTIONAL:  # it may have gone and come back
            for key in self.reconciler.memory.arrived(resource.full):
                self.queue.add(key)

    def _gain(self) -> None:
        self.reconciler.begin()
        if self.address is not None:
            self.address.announce()
        self.queue.resume()
        count = resync.everything(self.index, self.queue.add)
        log.info("leading: visiting everything", extra={"keys": count})

    def _lose(self) -> None:
        self.queue.pause()
        self.progress.clear()
        self.jobs.clear()

    # ------------------------------------------------------------------ tasks

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. Raises what broke, when a task ended by itself."""
        with listings.taken(self.recorded, self.synced.listing, self.listed):
            watching, started = self._start_kopf()
            await _first(watching, asyncio.ensure_future(started.wait()))
            _on_signals(stop)  # kopf has just installed its own, which would stop it first
            about = health.health_application(self.metrics, self.synced.missing)
            servers = [
                await serve(about, self.settings.health_port, health.LIMITS),
                await serve(self.progress_server.application(), self.settings.progress_port, progress_server.LIMITS),
            ]
            try:
                await self.work(stop, watching)
            finally:
                for server in servers:
                    await server.cleanup()
                self._stop_kopf.set()
                with suppress(asyncio.CancelledError):
                    await asyncio.gather(watching, return_exceptions=True)

    async def work(self, stop: asyncio.Event, *others: "asyncio.Future[None]") -> None:
        """All but kopf and the servers, until `stop` is set. Raises what broke, in `others` too."""
        tasks = [asyncio.create_task(c, name=n) for n, c in self._tasks().items()]
        try:
            await _first(*others, *tasks, asyncio.ensure_future(stop.wait()))
        finally:
            await self._shut_down(tasks)

    def _tasks(self) -> dict[str, Coroutine[Any, Any, None]]:
        return {
            "probe": self.synced.probe(self.client.serves),
            "lead": self._lead(),
            "resync": resync.forever(self.index, self.queue.add, chance=self._clocks.chance),
            "publish": self._publish(),
        }

    def _start_kopf(self) -> tuple["asyncio.Future[None]", asyncio.Event]:
        started = asyncio.Event()
        operator = kopf.operator(
            registry=handlers.registry(self.recorded, self._login),
            settings=handlers.settings(),
            standalone=True,
            clusterwide=not self.settings.watch_namespaces,
            namespaces=self.settings.watch_namespaces,
            ready_flag=started,
            stop_flag=self._stop_kopf,
        )
        return asyncio.create_task(operator, name="kopf"), started

    async def _login(self) -> kopf.ConnectionInfo:
        """kopf's connection, from the same configuration as ours; asked again when a token is refused."""
        configuration = self.client.configuration
        connect.reload(configuration)
        scheme, _, token = (await connect.authorization(configuration)).rpartition(" ")
        return kopf.ConnectionInfo(
            server=str(configuration.host),
            ca_path=configuration.ssl_ca_cert,
            insecure=not configuration.verify_ssl,
            scheme="Bearer" if scheme else None,
            token=token.strip() or None,
            certificate_path=configuration.cert_file,
            private_key_path=configuration.key_file,
        )

    async def _lead(self) -> None:
        await self.synced.wait()
        await self.elector.run(on_gain=self._gain, on_loss=self._lose)

    async def _publish(self) -> None:
        if self.address is None:
            log.info("POD_IP is not set: no address for progress is published")
            await asyncio.Event().wait()
        else:
            await self.address.keep()

    async def _shut_down(self, tasks: list[asyncio.Task[None]]) -> None:
        self.queue.pause()
        await self.queue.drain(DRAIN_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.elector.release()


async def _first(*tasks: "asyncio.Future[Any]") -> None:
    """Wait for the first of `tasks`; only the last one, which waits for an event, may end by itself."""
    *lasting, event = tasks
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    event.cancel()
    for task in lasting:
        if task in done:
            await task  # raises what broke it
            raise RuntimeError(f"a task that should last ended by itself: {task}")


def _address(settings: Settings, client: KubeClient, gate: Gate, leading: Callable[[], bool]) -> LeaderAddress | None:
    """None outside a cluster, where no pod could reach us."""
    if not settings.pod_ip:
        return None
    wanted = leader_slice(
        service=settings.leader_service,
        namespace=settings.namespace,
        address=settings.pod_ip,
        port=settings.progress_port,
    )
    return LeaderAddress(client, gate, wanted, leading=leading)


def _on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


async def operate(settings: Settings, planners: Planners) -> int:
    """Run the operator; returns the process's exit status."""
    sys.setrecursionlimit(RECURSION_LIMIT)
    metrics, client = Metrics(), None
    try:
        with connect.explained():
            client = KubeClient(await connect.load_configuration(), metrics)
        await App(settings, client, metrics, planners).run(asyncio.Event())
    except connect.Unconfigured as error:
        log.error("%s", error)
        return EXIT_FAILURE
    except Exception:
        log.exception("the operator stops because a part of it broke")
        return EXIT_FAILURE
    finally:
        if client is not None:
            await client.close()
    log.info("the operator has stopped")
    return 0


def default_planners() -> Planners:
    """The real planners, by kind."""
    from .plan.inference import plan as plan_inference
    from .plan.training import plan as plan_training

    return {"TrainingJob": plan_training, "InferenceService": plan_inference}


def main(planners: Callable[[], Planners] = default_planners) -> int:
    """`slipway run`: the environment in, the exit status out."""
    try:
        settings = from_environment(unique=uuid.uuid4().hex[:8])
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_SETTINGS
    structured.configure(settings.log_level, settings.log_format)
    flush = tracing.configure(settings.pod_name) if settings.tracing else None
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(operate(settings, planners()))
    finally:
        if flush is not None:
            flush()
