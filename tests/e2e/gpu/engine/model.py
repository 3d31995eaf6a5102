"""Which request runs when, and when each of its tokens comes: decided here, in pure time, seconds of one clock.

At most `slots` sequences run, and no more than their prompts and longest answers fit the KV cache; the others wait in
order of arrival. Prefill takes ttft_seconds times the share of the prompt that is not cached, then a token comes every
token_seconds. Sequences do not slow each other down. Real engines preempt instead of reserving: not simulated.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Literal

from .behaviour import Behaviour
from .words import BLOCK_TOKENS, Prompt, follow, natural_tokens, next_word, share

PREFILL_CHUNKS = 16  # equal ones, of a prompt that is computed: real engines' have so many tokens
Finish = Literal["", "length", "stop"]


@dataclass(slots=True, kw_only=True, eq=False)
class Sequence:
    """One answer on its way. `target` is how many tokens it will have, and `reason` why it ends there."""

    prompt: Prompt
    choice: int
    max_tokens: int
    ignore_eos: bool
    submitted_at: float
    state: bytes = b""
    produced: int = 0
    cached_tokens: int = 0
    started_at: float = 0.0
    last_at: float = 0.0  # when its newest token came
    due_at: float = 0.0  # when the next one comes

    def __post_init__(self) -> None:
        self.state = self.prompt.state

    @property
    def target(self) -> int:
        return self.max_tokens if self.ignore_eos else min(self.max_tokens, natural_tokens(self.prompt.state))

    @property
    def reason(self) -> Finish:
        return "length" if self.target == self.max_tokens else "stop"

    @property
    def reserved_tokens(self) -> int:
        return self.prompt.tokens + self.max_tokens

    def computed_tokens(self, now: float) -> int:
        """Of its prompt, once it runs: the cached ones, and the chunks of the others that are done."""
        if self.produced or now >= self.due_at:
            return self.prompt.tokens
        chunks = int(PREFILL_CHUNKS * (now - self.started_at) / (self.due_at - self.started_at))
        return self.cached_tokens + (self.prompt.tokens - self.cached_tokens) * chunks // PREFILL_CHUNKS


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """`gap_seconds` since the sequence's token before it; for the first, since the request came."""

    sequence: Sequence
    word: str
    at: float
    gap_seconds: float
    first: bool
    finish: Finish


@dataclass(slots=True, kw_only=True)
class Scheduler:
    """`behaviour` is replaced while it runs; `wedged_at` is set by `wedge` and cleared by `resume`."""

    slots: int
    kv_tokens: int
    behaviour: Behaviour
    waiting: deque[Sequence] = field(default_factory=deque)
    running: list[Sequence] = field(default_factory=list)
    wedged_at: float | None = None
    _cached: OrderedDict[bytes, None] = field(default_factory=OrderedDict)

    def submit(self, sequence: Sequence) -> None:
        self.waiting.append(sequence)
        self._admit(sequence.submitted_at)

    def cancel(self, sequence: Sequence, now: float) -> None:
        """Its client is gone. Who is not there any more is no error."""
        if sequence in self.waiting:
            self.waiting.remove(sequence)
        elif sequence in self.running:
            self.running.remove(sequence)
            self._admit(now)

    def next_at(self) -> float | None:
        """When the next token comes; None while none does."""
        if self.wedged_at is not None:
            return None
        return min((sequence.due_at for sequence in self.running), default=None)

    def advance(self, now: float) -> list[Token]:
        """The tokens that came until `now`, in their order. Whoever waits starts at the moment that a slot is left."""
        made = []
        while (due := self.next_at()) is not None and due <= now:
            made.append(self._token(min(self.running, key=lambda sequence: sequence.due_at)))
        return made

    def wedge(self, now: float) -> None:
        if self.wedged_at is None:
            self.wedged_at = now

    def resume(self, now: float) -> None:
        """After a wedge: all that was to come comes later by as long as it lasted."""
        if self.wedged_at is None:
            return
        for sequence in self.running:
            sequence.due_at += now - self.wedged_at
        self.wedged_at = None
        self._admit(now)

    def held_tokens(self, now: float) -> int:
        """What is in the KV cache for running sequences."""
        return sum(sequence.computed_tokens(now) + sequence.produced for sequence in self.running)

    def _admit(self, now: float) -> None:
        while self.wedged_at is None and self.waiting and self._fits(self.waiting[0]):
            sequence = self.waiting.popleft()
            sequence.cached_tokens = self._hits(sequence.prompt)
            sequence.started_at = now
            fresh = 1 - sequence.cached_tokens / sequence.prompt.tokens
            sequence.due_at = now + self.behaviour.ttft_seconds * fresh * self._factor(sequence)
            self.running.append(sequence)

    def _fits(self, sequence: Sequence) -> bool:
        reserved = sum(running.reserved_tokens for running in self.running)
        return len(self.running) < self.slots and reserved + sequence.reserved_tokens <= self.kv_tokens

    def _hits(self, prompt: Prompt) -> int:
        """Tokens of the prompt whose blocks are cached; its last token is always computed. Caches the others."""
        usable = prompt.blocks[: (prompt.tokens - 1) // BLOCK_TOKENS]
        hits = next((number for number, block in enumerate(usable) if block not in self._cached), len(usable))
        for block in prompt.blocks:
            self._cached[block] = None
            self._cached.move_to_end(block)
        while len(self._cached) > self.kv_tokens // BLOCK_TOKENS:
            self._cached.popitem(last=False)
        return hits * BLOCK_TOKENS

    def _token(self, sequence: Sequence) -> Token:
        at, first = sequence.due_at, sequence.produced == 0
        word = next_word(sequence.state, sequence.choice)
        gap_seconds = at - (sequence.submitted_at if first else sequence.last_at)
        sequence.state, sequence.last_at = follow(sequence.state, word), at
        sequence.produced += 1
        sequence.due_at = at + self.behaviour.token_seconds * self._factor(sequence)
        last = sequence.produced >= sequence.target
        if last:
            self.running.remove(sequence)
            self._admit(at)
        finish: Finish = sequence.reason if last else ""
        return Token(sequence=sequence, word=word, at=at, gap_seconds=gap_seconds, first=first, finish=finish)

    def _factor(self, sequence: Sequence) -> float:
        return 1 + self.behaviour.jitter * (2 * share(sequence.state) - 1)
