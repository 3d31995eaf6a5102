"""One run: an API server, operators, the other controllers, a user, faults, and oracles that look on.

The run goes on until the user is done, the faults are over and nothing changes any more; then the oracles judge the
end, and that nothing is written at rest. Same script, same run: `Outcome.trace` is a hash of every request.
"""

import asyncio
import hashlib
import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from slipway.app import default_planners
from slipway.plan.clock import rfc3339
from slipway.plan.observed import Obj, Reported
from slipway.reconcile import resync
from slipway.reconcile.keys import Key

from . import loop
from .acts import ANOTHER_NAMESPACE, NAMESPACE, Act, Step
from .apiserver import Emulator, WatchEvent, default_kinds
from .client import Sent
from .controllers import ALL
from .controllers.kubelet import Kubelet, reporter
from .faults import Kill, Meddling, WallJump, over
from .feed import Feed
from .hand import Hand, Refused
from .meddling import meddle
from .network import Network
from .oracles import ORACLES
from .oracles.base import Oracle
from .process import Process, make_task
from .scenarios import SCENARIOS
from .script import Script
from .snapshot import Snapshot, snapshot
from .timing import TIMINGS

EPOCH = 1_790_000_000.0  # of the virtual wall clock
POLL_SECONDS = 2.0
QUIET_SECONDS = 12.0  # without a change; and whoever looks again by the clock must have done so since
PATIENCE_SECONDS = 900.0  # from calm to rest, back-offs and time-outs included, without what pods of themselves run for
WAIT_SECONDS = 400.0  # how long a user waits for a condition
LOAD_SECONDS = 8.0  # until every autoscaler has seen what the load is
LINE = 400  # characters of a violation
REST_SECONDS = 30.0  # how long nothing may be written then


@dataclass(slots=True)
class Violation:
    oracle: str
    message: str

    def __str__(self) -> str:
        return f"{self.oracle}: {self.message}"


@dataclass(slots=True)
class Outcome:
    script: Script
    violations: list[Violation]
    end: Snapshot
    writes: int  # of the operators, Lease not counted
    busy_writes: int  # of these, those before all was at rest
    requests: int  # likewise
    seconds: float  # virtual
    trace: str
    log: list[str] = field(default_factory=list)


class World:
    def __init__(self, script: Script) -> None:
        self.script, self.faults = script, script.faults
        self.scenario = SCENARIOS[script.scenario]
        self.timing, self.fates = TIMINGS[script.timing], self.scenario.fates
        self.planners = default_planners()
        self.violations: list[Violation] = []
        self.meddled = any(isinstance(fault, Meddling) for fault in script.faults) or bool(script.without)
        self.jumps = any(isinstance(fault, WallJump) for fault in script.faults)
        self._jumps: dict[int, float] = {}
        self.loop = asyncio.get_running_loop()
        self.loop.set_task_factory(make_task)
        self.loop.set_exception_handler(self._broke)
        self.broken: object = None
        kinds = [kind for kind in default_kinds() if kind.full not in self.scenario.absent]
        self.api = Emulator(kinds, wall=lambda: EPOCH + self.loop.time(), managed_fields=True)
        for namespace in (NAMESPACE, ANOTHER_NAMESPACE, "slipway"):
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
            self.api.request("POST", "/api/v1/namespaces", body=body, user="user")
        self.api.on_kinds(self._kinds_changed)
        self.network = Network(script.faults, self.timing, self.chance("network"))
        self.network.on_begin.append(self._begins)
        self.processes: list[Process] = []
        self._lives = 0
        self._user_done = False
        self.controllers = [kind(self) for kind in ALL]
        self.oracles: list[Oracle] = [kind(self) for kind in ORACLES]
        self._feed = Feed(self.api, self._changed)
        self._last_change = self._restless = self._retried = 0.0
        self.author = ""  # who made the change that the oracles are told of
        self.phase = "busy"  # then "rest", then "restart"
        self._busy_writes: int | None = None  # None until all is at rest

    # ------------------------------------------------------------------ for everybody

    def chance(self, name: str) -> random.Random:
        """A source of chance of one's own, so that one part's draws shift no other's."""
        return random.Random(f"{self.script.seed} {name}")

    def time(self) -> float:
        return self.loop.time()

    def wall(self, operator: int) -> float:
        return EPOCH + self.loop.time() + self._jumps.get(operator, 0.0)

    def now(self) -> str:
        return rfc3339(EPOCH + self.loop.time())

    def load(self, namespace: str, service: str) -> int:
        return next((load for since, load in reversed(self.scenario.load) if since <= self.loop.time()), 0)

    def bind(self, namespace: str, name: str) -> None:
        """What the scheduler does with pods/binding, which the emulator does not serve."""
        store = self.api._store
        if (stored := store.get("pods", (namespace, name))) is not None:
            spec = {**stored.body["spec"], "nodeName": "node"}
            store.put("pods", (namespace, name), {**stored.body, "spec": spec}, stored.managers)

    def _broke(self, _: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        """A callback raised: a mistake in the simulation, which must not pass for a result."""
        self.broken = self.broken or context.get("exception") or RuntimeError(str(context["message"]))

    def violation(self, oracle: str, message: str) -> None:
        told = message if len(message) <= LINE else f"{message[: LINE // 2]} ... {message[-LINE // 2 :]}"
        self.violations.append(Violation(oracle, f"at {self.loop.time():.1f} s: {told}"))

    @property
    def leader(self) -> Process | None:
        return next((process for process in self.processes if process.leads), None)

    def report(self, pod: Obj, number: int) -> None:
        """Rank 0's progress reaches the leader, if there is one."""
        if (leader := self.leader) is None or (who := reporter(pod)) is None:
            return
        key = Key("TrainingJob", pod["metadata"]["namespace"], who[0])
        said = Reported(pod["metadata"]["uid"], self.wall(leader.number), number * 10, 200, "2.5", 100, number)
        leader.context.run(leader.app.progress.report, key, who[1], said)

    # ------------------------------------------------------------------ what happens

    def _begins(self, process: Process, sent: Sent) -> None:
        for oracle in self.oracles:
            oracle.begins(process, sent)
        if not sent.write or sent.lease:
            return
        for fault in self.faults:
            if isinstance(fault, Meddling) and fault.write == self.network.writes:
                self.loop.call_later(fault.at, meddle, self, fault)

    def _changed(self, resource: str, event: WatchEvent, author: str) -> None:
        self.author = author
        if author != Kubelet.name and not resource.startswith("leases"):
            self._last_change = self.loop.time()
        for oracle in self.oracles:
            oracle.changed(resource, event)
        for controller in self.controllers:
            controller.changed(resource, event)
        for process in self.processes:
            process.changed(resource)

    def _kinds_changed(self) -> None:
        for process in self.processes:
            process.kinds_changed()

    def died(self, process: Process, down_seconds: float | None) -> None:
        self.processes.remove(process)
        if down_seconds is not None:
            self.loop.call_later(down_seconds, self.begin, process.number)

    def begin(self, number: int) -> None:
        """Start operator `number`, again if it ran before."""
        self._lives += 1
        process = Process(self, number, self._lives)
        self.processes.append(process)
        process.start()

    def _kill_all(self, fault: Kill) -> None:
        for process in list(self.processes):
            process.crash(fault.down_seconds)

    def _jump(self, fault: WallJump) -> None:
        self._jumps[fault.operator] = self._jumps.get(fault.operator, 0.0) + fault.seconds

    def _arm(self) -> None:
        for fault in self.faults:
            if isinstance(fault, Kill):
                self.loop.call_later(fault.at, self._kill_all, fault)
            elif isinstance(fault, WallJump):
                self.loop.call_later(fault.at, self._jump, fault)
            elif isinstance(fault, Meddling) and fault.write is None:
                self.loop.call_later(fault.at, meddle, self, fault)

    async def _user(self) -> None:
        hand = Hand(self.api, "user")
        for number, step in enumerate(self.scenario.steps):
            if number in self.script.without:
                continue
            await self._wait(step, hand)
            await asyncio.sleep(step.after)
            if step.act is not None:
                self._act(step.act, hand)
        self._user_done = True

    async def _wait(self, step: Step, hand: Hand) -> None:
        begun = self.loop.time()
        while step.when is not None and not step.when.holds(hand):  # virtual time
            await asyncio.sleep(0.5)
            if self.loop.time() > begun + WAIT_SECONDS:
                if not self.meddled and not self.jumps:  # deadlines go by the operator's clock
                    self.violation("progress", f"the user waits in vain for {step.when}")
                return

    def _act(self, act: Act, hand: Hand) -> None:
        """Where somebody meddles, what the user wants to change may be gone."""
        try:
            act.do(hand)
        except Refused as refused:
            if not self.meddled or refused.status not in (404, 409):
                raise

    # ------------------------------------------------------------------ the run

    async def live(self) -> Outcome:
        self._arm()
        for number in range(self.script.operators):
            self.begin(number)
        user = asyncio.create_task(self._user())
        end = Snapshot()
        if await self._rest():
            end = snapshot(self.api)
            await self._judge()
        if user.done() and (error := user.exception()):
            raise error
        if isinstance(self.broken, BaseException):
            raise self.broken
        seconds = self.loop.time()
        for process in list(self.processes):
            process.crash(None)
        return self._outcome(end, seconds)

    async def _rest(self) -> bool:
        """Wait until nothing goes on. False when that does not come."""
        calm = max((over(fault) for fault in self.faults), default=0.0)
        calm = max(calm, *(since + LOAD_SECONDS for since, _ in self.scenario.load), 0.0)
        patience = PATIENCE_SECONDS + max((fate.run_seconds or 0.0 for fate in self.scenario.fates), default=0.0)
        limit = None
        while not self._at_rest(calm) and self.broken is None:
            await asyncio.sleep(POLL_SECONDS)
            if limit is None and self.loop.time() > calm:
                limit = self.loop.time() + patience
            if limit is not None and self.loop.time() > limit:
                self.violation("rest", f"the cluster does not come to rest: {self._why()}")
                return False
        return True

    def _at_rest(self, calm: float) -> bool:
        if self.loop.time() <= calm or self._why():
            self._restless = self.loop.time()
            self._retried = max(controller.next_look for controller in self.controllers)
            for process in self.processes:
                process.note_looks()
        looked = [process.has_looked for process in self.processes]
        return all(looked) and self.loop.time() >= max(self._restless + QUIET_SECONDS, self._retried + POLL_SECONDS)

    def _why(self) -> str:
        """What still goes on, "" for nothing."""
        if not self._user_done:
            return "the user is not done"
        if self.time() <= self.network.last_arrival:
            return "a request is on its way"
        busy = [controller.name for controller in self.controllers if controller.busy]
        if busy:
            return f"busy: {busy}"
        if self.leader is None:
            return "nobody leads"
        restless = [process.number for process in self.processes if not process.at_rest]
        if restless:
            return f"operators {restless} are not at rest"
        quiet = self.time() - self._last_change
        return f"something changed {quiet:.1f} s ago" if quiet <= POLL_SECONDS else ""

    async def _judge(self) -> None:
        """The end, that nothing is written at rest, and that a restart changes nothing."""
        for oracle in self.oracles:
            oracle.ends()
        self.phase, self._busy_writes = "rest", self.network.writes
        for process in self.processes:
            process.context.run(resync.everything, process.app.index, process.app.queue.add)
        await asyncio.sleep(REST_SECONDS)
        if self.script.restart:
            self.phase = "restart"
            self._kill_all(Kill(0.0, 0.1))
            while self.leader is None:  # noqa: ASYNC110 - virtual time
                await asyncio.sleep(POLL_SECONDS)
            await asyncio.sleep(REST_SECONDS)

    def _outcome(self, end: Snapshot, seconds: float) -> Outcome:
        history = self.network.history
        lines = [f"{s.at:.6f} {s.operator} {s.method} {s.path} {s.status}" for s in history]
        trace = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
        writes = self.network.writes
        busy = writes if self._busy_writes is None else self._busy_writes
        counts = writes, busy, self.network.requests
        return Outcome(self.script, self.violations, end, *counts, seconds, trace, lines)


def run(script: Script) -> Outcome:
    """Run a script in virtual time."""

    async def main() -> Outcome:
        world = World(script)
        with errors_of_slipway(lambda line: world.violation("operator", line)):
            return await world.live()

    return loop.run(main())


@contextmanager
def errors_of_slipway(found: Callable[[str], None]) -> Iterator[None]:
    """Tell what the operator logs as an error, an exception that is its own mistake, while the block runs."""
    logger, handler = logging.getLogger("slipway"), _Teller(found)
    before = (logger.level, logger.propagate)
    logger.addHandler(handler)
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before


class _Teller(logging.Handler):
    def __init__(self, found: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self._found = found

    def emit(self, record: logging.LogRecord) -> None:
        self._found(self.format(record))
