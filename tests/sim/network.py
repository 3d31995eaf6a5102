"""The way between operators and the API server: which request is slow, lost, answered with an error, or the last one.

The counted faults (Crash, Answer, Late) are found by the number of the request; the timed ones by the clock.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .client import Answered, Sent
from .faults import Answer, Crash, Fault, Late, Partition, Slow, Storm
from .timing import Timing

if TYPE_CHECKING:
    from .process import Process

REASONS = {409: "Conflict", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 410: "Expired"}


@dataclass(frozen=True, slots=True)
class Verdict:
    crash: Crash | None = None
    answer: Answer | None = None
    late: Late | None = None


class Network:
    def __init__(self, faults: tuple[Fault, ...], timing: Timing, chance: random.Random) -> None:
        self._timing, self._chance = timing, chance
        self._crashes = {fault.write: fault for fault in faults if isinstance(fault, Crash)}
        self._answers = {fault.request: fault for fault in faults if isinstance(fault, Answer)}
        self._lates = {fault.request: fault for fault in faults if isinstance(fault, Late)}
        self._storms = [fault for fault in faults if isinstance(fault, Storm)]
        self._slows = [fault for fault in faults if isinstance(fault, Slow)]
        self._partitions = [fault for fault in faults if isinstance(fault, Partition)]
        self.requests = self.writes = 0
        self.last_arrival = 0.0  # when the last request that is on its way takes effect, on the loop's clock
        self.history: list[Sent] = []
        self.on_begin: list[Callable[[Process, Sent], None]] = []

    def begins(self, process: "Process", sent: Sent) -> Verdict:
        """Count and note a request; raises nothing, but may end the process."""
        self.history.append(sent)
        for listener in self.on_begin:
            listener(process, sent)
        if sent.lease:
            return Verdict()
        number, self.requests = self.requests, self.requests + 1
        crash = None
        if sent.write:
            crash, self.writes = self._crashes.get(self.writes), self.writes + 1
        if crash is not None and not crash.after and crash.late_seconds is None:
            process.crash(crash.down_seconds)
        return Verdict(crash, self._answers.get(number), self._lates.get(number))

    def latency(self, process: "Process") -> float:
        now = asyncio.get_running_loop().time()
        most = max((slow.latency for slow in self._slows if slow.at <= now < slow.at + slow.seconds), default=0.0)
        return self._chance.uniform(0, most) if most else self._timing.latency(self._chance)

    def cut(self, process: "Process") -> Partition | None:
        """The partition that the operator is behind now."""
        now = asyncio.get_running_loop().time()
        behind = (p for p in self._partitions if p.operator == process.number and p.at <= now < p.at + p.seconds)
        return next(behind, None)

    async def carry(self, process: "Process", sent: Sent, verdict: Verdict, effect: Callable[[], Answered]) -> Answered:
        """Let the request take effect, or not, and answer, or not."""
        if cut := self.cut(process):
            if cut.delivered:
                effect()
            await process.silence()
        if (crash := verdict.crash) is not None:
            await self._last(process, crash, effect)
        if verdict.late is not None:
            self._arrives_later(verdict.late.seconds, effect)
            await process.silence()
        return await self._answer(process, self._fault(verdict, sent), effect)

    async def _last(self, process: "Process", crash: Crash, effect: Callable[[], Answered]) -> None:
        if crash.late_seconds is not None:
            self._arrives_later(crash.late_seconds, effect)
        else:
            effect()
        process.crash(crash.down_seconds)
        await process.alive()

    def _arrives_later(self, seconds: float, effect: Callable[[], Answered]) -> None:
        loop = asyncio.get_running_loop()
        self.last_arrival = max(self.last_arrival, loop.time() + seconds)
        loop.call_later(seconds, effect)

    def _fault(self, verdict: Verdict, sent: Sent) -> Answer | None:
        if verdict.answer is not None:
            return verdict.answer
        now = asyncio.get_running_loop().time()
        for storm in self._storms:
            of_kind = not storm.kind or storm.kind in sent.path.split("/")
            if of_kind and storm.at <= now < storm.at + storm.seconds and self._chance.random() * 100 < storm.percent:
                return Answer(-1, storm.status, after=self._chance.random() < 0.5)
        return None

    async def _answer(self, process: "Process", fault: Answer | None, effect: Callable[[], Answered]) -> Answered:
        if fault is None:
            return effect()
        if fault.after and fault.status != 409:  # a conflict never takes effect
            effect()
        if fault.status == 0:
            await process.silence()
        return failure(fault.status)


def failure(status: int) -> Answered:
    reason = REASONS[status]
    retry = '"details": {"retryAfterSeconds": 1}, ' if status == 429 else ""
    said = f'"status": "Failure", "reason": "{reason}", "code": {status}, "message": "simulated"'
    return status, f'{{"kind": "Status", {retry}{said}}}'.encode(), {}
