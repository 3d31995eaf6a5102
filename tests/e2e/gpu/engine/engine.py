"""The timing model on the clock: takes requests, hands out their tokens as they come, behaves as it is told, drains.

Aborted requests end with finish_reason `abort` and what they have, which is how vLLM ends them. While it drains, vLLM
aborts what comes anew; SGLang takes it, and has no deadline. (v1/engine/core.py; managers/tokenizer_manager.py.)
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Literal

from .behaviour import Behaviour
from .metrics import Metrics, metrics_of
from .model import Scheduler, Sequence
from .settings import Settings
from .words import read

KILLED = 137  # the exit status of a process that was killed; no process can send SIGKILL to itself as a pod's first one
State = Literal["starting", "ready", "draining"]


def die() -> None:
    os._exit(KILLED)


@dataclass(frozen=True, slots=True)
class Piece:
    """A word of one answer; `finish` says why the answer ends with it, "" if it does not. An abort has no word."""

    word: str
    finish: str


@dataclass(slots=True, eq=False)
class Answer:
    """One answer on its way to its client."""

    sequence: Sequence
    stream: bool
    pieces: asyncio.Queue[Piece] = field(default_factory=asyncio.Queue)

    async def __aiter__(self) -> AsyncIterator[Piece]:
        while True:
            piece = await self.pieces.get()
            yield piece
            if piece.finish:
                return


class Engine:
    """`clock` is in seconds; `crash` ends the process."""

    def __init__(
        self,
        settings: Settings,
        behaviour: Behaviour,
        *,
        clock: Callable[[], float] = time.monotonic,
        crash: Callable[[], None] = die,
    ) -> None:
        self.settings = settings
        self.state: State = "starting"
        self.metrics: Metrics = metrics_of(settings)
        self.scheduler = Scheduler(slots=settings.slots, kv_tokens=settings.kv_tokens, behaviour=behaviour)
        self._clock, self._crash = clock, crash
        self._answers: dict[Sequence, Answer] = {}
        self._changed, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self.metrics.load(self.scheduler, clock())
        if behaviour.wedged:
            self.scheduler.wedge(clock())

    @property
    def behaviour(self) -> Behaviour:
        return self.scheduler.behaviour

    def become(self, behaviour: Behaviour) -> None:
        """Behave so from now on; a crash is now."""
        self._step()
        self.scheduler.behaviour = behaviour
        if behaviour.crash:
            self._crash()
        now = self._clock()
        (self.scheduler.wedge if behaviour.wedged else self.scheduler.resume)(now)
        self._changed.set()

    async def run(self) -> None:
        """Hand out tokens for ever."""
        while True:
            self._changed.clear()
            self._step()
            due = self.scheduler.next_at()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), None if due is None else max(0.0, due - self._clock()))

    def ask(
        self, words: tuple[str, ...], *, speaker: str, choice: int, max_tokens: int, ignore_eos: bool, stream: bool
    ) -> Answer:
        """`speaker` is the model or adapter that answers."""
        sequence = Sequence(
            prompt=read(self.behaviour.seed, speaker, words),
            choice=choice,
            max_tokens=max_tokens,
            ignore_eos=ignore_eos,
            submitted_at=self._clock(),
        )
        answer = Answer(sequence, stream)
        if self.state == "draining" and self.settings.dialect == "vllm":
            answer.pieces.put_nowait(Piece("", "abort"))
            return answer
        self._answers[sequence] = answer
        self._idle.clear()
        self._step()
        self.scheduler.submit(sequence)
        self._changed.set()
        return answer

    def drop(self, answer: Answer) -> None:
        """Nobody waits for it any more. One that has ended is no error."""
        if self._answers.pop(answer.sequence, None) is not None:
            self.scheduler.cancel(answer.sequence, self._clock())
        self._ended()

    async def drain(self) -> None:
        """Until the last request has ended, or the deadline of the command line; then the others are aborted."""
        self.state = "draining"
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), self.settings.drain_seconds)
        for answer in list(self._answers.values()):
            answer.pieces.put_nowait(Piece("", "abort"))
            self.drop(answer)

    def exposed(self) -> Metrics:
        """The metrics as they are now; a wedged engine's stay as they were."""
        self._step()
        return self.metrics

    def _step(self) -> None:
        if self.scheduler.wedged_at is not None:
            return
        now = self._clock()
        for token in self.scheduler.advance(now):
            answer = self._answers[token.sequence]
            self.metrics.token(token, stream=answer.stream)
            answer.pieces.put_nowait(Piece(token.word, token.finish))
            if token.finish:
                del self._answers[token.sequence]
        self.metrics.load(self.scheduler, now)
        self._ended()

    def _ended(self) -> None:
        if not self._answers:
            self._idle.set()
