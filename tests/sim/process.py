"""One operator process: the real App, with simulated watches where kopf and its servers are, and an end at any moment.

A crash leaves nothing: its requests never return, its tasks are cancelled and its timers find nobody. (Cancelling runs
`finally` clauses, as no kill -9 would; they reach no API server, since the client is dead before.)
"""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from slipway.app import App, Clocks
from slipway.plan.observed import Ref
from slipway.reconcile.keys import Key
from slipway.reconcile.synced import WatchMissing
from slipway.settings import Settings, from_environment
from slipway.telemetry.metrics import Metrics

from .client import SimClient
from .watch import Watch, watches

if TYPE_CHECKING:
    from .world import World

ENVIRONMENT = {
    "SLIPWAY_NAMESPACE": "slipway",
    "SLIPWAY_TRAINER_IMAGE": "trainer:1",
    "SLIPWAY_ENGINE_IMAGE": "engine:1",
    "SLIPWAY_VLLM_CPU_IMAGE": "vllm-cpu:1",
    "SLIPWAY_VLLM_NVIDIA_IMAGE": "vllm:1",
    "SLIPWAY_PROGRESS_URL": "http://leader/v1/progress",
    "SLIPWAY_GATEWAY_URL": "http://gateway",
    "SLIPWAY_PROMETHEUS_URL": "http://prometheus",
    "SLIPWAY_LOG_LEVEL": "ERROR",
    "POD_NAME": "operator",
}

RESTART_SECONDS = 5.0
SOON_SECONDS = 600.0  # a deadline or a time to live of a day is no look that anybody waits for

Here = dict[asyncio.Task[Any], None]
_tasks: contextvars.ContextVar[Here | None] = contextvars.ContextVar("tasks_of_the_process", default=None)


def make_task(loop: asyncio.AbstractEventLoop, work: Any, **more: Any) -> asyncio.Task[Any]:
    """The loop's task factory: a task belongs to the process in whose context it is made."""
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **more)
    if (here := _tasks.get()) is not None:
        here[task] = None
        task.add_done_callback(lambda done: here.pop(done, None))
    return task


class Process:
    """Operator `number` of a world; `life` counts the lives of all of them from 1. `start()` once."""

    def __init__(self, world: "World", number: int, life: int) -> None:
        self.world, self.number, self.life = world, number, life
        self.dead = False
        self._stop = asyncio.Event()
        self._here: Here = {}
        self._looks: dict[Key, asyncio.TimerHandle | None] = {}  # None: it was under way
        self._refused: dict[tuple[Key, Ref], int] = {}  # how often
        self._ran: set[asyncio.Task[None]] = set()  # the visits that were under way when it was asked last
        self.context = contextvars.copy_context()
        self.context.run(_tasks.set, self._here)
        chance = world.chance(f"operator {number} {life}")
        clocks = Clocks(asyncio.get_running_loop().time, lambda: world.wall(number), chance.random)
        metrics = Metrics()
        self.client = SimClient(world, self, metrics)
        address = {"POD_IP": f"10.0.0.{number}"} if world.script.addressed else {}
        settings: Settings = from_environment({**ENVIRONMENT, **address}, unique=f"{number}-{life}")
        self.app = App(settings, self.client, metrics, world.planners, clocks)
        self.watches: list[Watch] = watches(world, self)
        self._by_resource = {watch.resource.full: watch for watch in self.watches}

    # ------------------------------------------------------------------ life

    def start(self) -> None:
        self.spawn(self._work())
        for watch in self.watches:
            watch.start()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self.context.run(asyncio.get_running_loop().create_task, work)

    def later(self, seconds: float, call: Callable[..., object], *arguments: Any) -> None:
        """Call in the process's own context, unless it is dead by then."""
        asyncio.get_running_loop().call_later(seconds, self._call, call, arguments, context=self.context)

    def _call(self, call: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        if not self.dead:
            call(*arguments)

    async def _work(self) -> None:
        try:
            await self.app.work(self._stop)
        except Exception as error:  # whatever it was: an operator that ends by itself is a finding
            if not self.dead:
                self._ended(error)

    def _ended(self, error: Exception) -> None:
        """Its pod is restarted. Only a watch that did not come up is a good reason to end."""
        if not isinstance(error, WatchMissing):
            self.world.violation("operator", f"operator {self.number} broke: {error!r}")
        self.crash(RESTART_SECONDS)

    def crash(self, down_seconds: float | None) -> None:
        """End without a word. Another life begins `down_seconds` later; None: never."""
        if self.dead:
            return
        self.dead = True
        self.app.queue.pause()  # its timers would otherwise make tasks that nobody cancels
        for task in list(self._here):
            task.cancel()
        self.world.died(self, down_seconds)

    def stop(self) -> None:
        """SIGTERM."""
        self._stop.set()

    def changed(self, resource: str) -> None:
        """Something of `resource` changed at the API server."""
        if (watch := self._by_resource.get(resource)) is not None:
            watch.changed()

    def kinds_changed(self) -> None:
        """A kind has come to the cluster, or gone from it."""
        for watch in self.watches:
            watch.kinds_changed()

    # ------------------------------------------------------------------ what the network asks

    async def alive(self) -> None:
        if self.dead:
            await self.silence()

    async def silence(self) -> Any:
        """No answer, ever: the caller's time-out or its end is what ends this."""
        await asyncio.get_running_loop().create_future()

    # ------------------------------------------------------------------ what the world asks

    @property
    def leads(self) -> bool:
        return not self.dead and self.app.elector.may_write()

    def note_looks(self) -> None:
        """Note who is to be looked at soon by the clock alone, as things are, who is being looked at, and what was
        refused: an event may bring a visit before it is time to send that again."""
        queue, soon = self.app.queue, asyncio.get_running_loop().time() + SOON_SECONDS
        timers = {key: timer for key, timer in queue._timers.items() if timer.when() < soon}
        self._looks = {**timers, **dict.fromkeys(queue._running)}
        self._refused = self._refusals()

    def _refusals(self) -> dict[tuple[Key, Ref], int]:
        owners = self.app.reconciler.memory._owners.items() if self.leads else ()
        return {(key, ref): r.count for key, owner in owners for ref, r in owner.refusals._by_ref.items()}

    @property
    def has_looked(self) -> bool:
        """Whether all of those have been looked at since, from beginning to end, and asked for again; and no visit
        hangs."""
        queue = self.app.queue
        before, self._ran = self._ran, set(queue._running.values())
        for key, timer in list(self._looks.items()):
            now = queue._timers.get(key)
            if key in queue._running or (timer is not None and now is timer):
                continue
            if timer is None and now is not None:
                self._looks[key] = now  # that look may have begun too early to see all
            else:
                del self._looks[key]
        hangs = bool(before & self._ran)
        return not hangs and not self._looks and not self._refused.items() & self._refusals().items()

    @property
    def at_rest(self) -> bool:
        """Nothing waits for its turn or is to be repeated after a failure, and every watch has told all."""
        queue = self.app.queue
        busy = queue._waiting or queue._failures  # what runs now may be the look that a plan asks for every few seconds
        shows = any(job.timer is not None for job in self.app.progress._jobs.values())
        ready = not self.app.synced.missing()
        return ready and not busy and not shows and all(watch.at_rest for watch in self.watches)
