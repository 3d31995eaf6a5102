"""When is an engine ready? Decided here, as a pure state machine: (state, observation, now) -> (state, action).

An engine's /health stays 200 when its scheduler is wedged (vLLM), or fails when it is merely saturated, so readiness is
tokens. At the start the engine is asked for one token every second. Once it gave one, its token counters are looked at
every `interval_seconds`, which costs it nothing:

- they moved: alive, however long the queue is;
- they did not and no request is in the engine: idle; after `idle_interval_seconds` it is asked for a token;
- they did not and requests are in it, or it left a question unanswered: silent; not ready once that has lasted
  `wedge_seconds`, ready again with the next token;
- nobody listens: the engine is gone or restarting; not ready at once, and the start begins anew.

Gauges are believed only while the engine is not suspect: a wedged scheduler leaves them as they were, often at zero. So
a question that stayed unanswered keeps the engine under suspicion until a token comes; and an engine that seems busy
without a token is asked, too, before it is given up.

One thing is done at a time, and nothing is waited for longer than `interval_seconds`: questions cannot pile up. Times
are seconds of one monotonic clock. `now` is when the observation was complete.
"""

from dataclasses import dataclass, replace
from typing import Literal

Phase = Literal["starting", "ready", "silent", "failing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    start_interval_seconds: float = 1.0  # between questions until the first token
    interval_seconds: float = 5.0  # between looks at the counters; also the longest wait for an answer
    idle_interval_seconds: float = 30.0  # without a token, before an idle engine is asked for one
    wedge_seconds: float = 30.0  # without a token that the engine owes, before it is not ready

    @property
    def timeout_seconds(self) -> float:
        return self.interval_seconds


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No connection, or it broke before an answer."""

    detail: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Connected, or trying to, and no answer within the time-out."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Asked for a token, the engine answered something else."""

    detail: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Its counters cannot be read, though it answers: then only tokens that it is asked for count."""

    detail: str


@dataclass(frozen=True, slots=True)
class Token:
    """The engine generated a token for us."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The engine's counters: `tokens` handled since it started, prompt and generated; `requests` running, waiting."""

    tokens: float
    requests: float


Observation = Unreachable | Unanswered | Refused | Unreadable | Token | Reading


@dataclass(frozen=True, slots=True)
class Action:
    """What to do next: `probe` for a token, `look` at the counters, or `stop`, since a draining engine is gone."""

    kind: Literal["probe", "look", "stop"]
    after_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """`detail` says what was last seen, for people. Times are None until there was such a moment."""

    phase: Phase = "starting"
    detail: str = "the engine has not been asked yet"
    draining: bool = False
    suspect: bool = False  # it left a question unanswered, so its gauges are not believed
    tokens: float | None = None  # the counters at the last look
    looked_at: float | None = None  # the last look that was answered
    last_token_at: float | None = None  # when a token was last known to have come
    quiet_since: float = 0.0  # once ready: silence counts from here

    @property
    def ready(self) -> bool:
        return self.phase == "ready" and not self.draining


FIRST = Action("probe", 0.0)


def drain(state: State) -> State:
    """The pod has been told to stop: never ready again."""
    return replace(state, draining=True)


def step(state: State, observation: Observation, now: float, settings: Settings) -> tuple[State, Action]:
    """What is known after `observation`, and what to do next."""
    if state.draining:
        return _draining(state, observation)
    if isinstance(observation, Unreachable):
        return _gone(state, observation, settings)
    if isinstance(observation, Token):
        return _token(state, now, settings)
    if state.phase == "starting":
        return _starting(state, observation, now, settings)
    if isinstance(observation, Reading):
        return _reading(state, observation, now, settings)
    if isinstance(observation, Unanswered):
        return _unanswered(state, now, settings)
    if isinstance(observation, Unreadable):
        return replace(state, detail=observation.detail), Action("probe", 0.0)
    return _refused(state, observation, settings)


def explain(state: State, now: float) -> tuple[str, str]:
    """(reason, message) of /readyz: one word for machines, one sentence for people."""
    if state.draining:
        return "draining", "the pod is stopping; requests in flight go on"
    if state.phase == "silent":
        return "silent", f"no token for {now - state.quiet_since:.0f} s: {state.detail}"
    return state.phase, state.detail


def _draining(state: State, observation: Observation) -> tuple[State, Action]:
    """Only whether the engine still lives matters, and it refuses new requests: look, do not ask."""
    if isinstance(observation, Unreachable):
        return replace(state, detail="the engine has ended"), Action("stop", 0.0)
    return state, Action("look", 1.0)


def _gone(state: State, observation: Unreachable, settings: Settings) -> tuple[State, Action]:
    """The engine starts, or has died and will be restarted; what its counters were says nothing any more."""
    verb = "is starting" if state.last_token_at is None else "has gone and is to start again"
    starting = State(detail=f"the engine {verb}: {observation.detail}", last_token_at=state.last_token_at)
    return starting, Action("probe", settings.start_interval_seconds)


def _starting(state: State, observation: Observation, now: float, settings: Settings) -> tuple[State, Action]:
    """Counters count here too, or an engine whose first token takes longer than a time-out would never be ready."""
    again = Action("probe", settings.start_interval_seconds)
    if isinstance(observation, Unanswered):
        late = f"warming: no token within {settings.timeout_seconds:g} s"
        return replace(state, detail=late), Action("look", 0.0)
    if isinstance(observation, Refused | Unreadable):
        return replace(state, detail=f"warming: {observation.detail}"), again
    if isinstance(observation, Reading):
        if _moved(state, observation):
            return _reading(state, observation, now, settings)
        return replace(state, tokens=observation.tokens, looked_at=now), again
    return state, again


def _moved(state: State, reading: Reading) -> bool:
    return state.tokens is not None and reading.tokens > state.tokens


def _token(state: State, now: float, settings: Settings) -> tuple[State, Action]:
    return _alive(state, quiet_since=now, now=now), Action("look", settings.interval_seconds)


def _alive(state: State, *, quiet_since: float, now: float) -> State:
    return replace(
        state,
        phase="ready",
        detail="tokens are generated",
        suspect=False,
        quiet_since=quiet_since,
        last_token_at=now,
    )


def _reading(state: State, reading: Reading, now: float, settings: Settings) -> tuple[State, Action]:
    known = replace(state, tokens=reading.tokens, looked_at=now)
    if state.tokens is not None and reading.tokens < state.tokens:
        return State(detail="the engine was restarted", last_token_at=state.last_token_at), Action("probe", 0.0)
    if _moved(state, reading):
        # The last token came after the look before this one: counting from there keeps the promise of wedge_seconds.
        since = max(state.quiet_since, state.looked_at if state.looked_at is not None else now)
        return _alive(known, quiet_since=since, now=now), Action("look", settings.interval_seconds)
    if reading.requests:
        return _owing(replace(known, detail=f"{reading.requests:.0f} requests are in the engine"), now, settings)
    if state.suspect or state.phase != "ready":
        return _owing(replace(known, detail="it leaves a request unanswered"), now, settings)
    return _idle(replace(known, detail="idle", quiet_since=now), now, settings)


def _idle(state: State, now: float, settings: Settings) -> tuple[State, Action]:
    """Nothing is owed. An idle engine may be wedged all the same, so it is asked now and then."""
    last_token_at = state.last_token_at if state.last_token_at is not None else now
    due_seconds = settings.idle_interval_seconds - (now - last_token_at)
    if due_seconds <= 0:
        return state, Action("probe", 0.0)
    return state, Action("look", min(settings.interval_seconds, due_seconds))


def _owing(state: State, now: float, settings: Settings) -> tuple[State, Action]:
    """A token is owed. Whoever is suspect or long quiet is asked, an interval after the last question."""
    left_seconds = settings.wedge_seconds - (now - state.quiet_since)
    owing = replace(state, phase="silent" if left_seconds <= 0 else state.phase)
    if 0 < left_seconds <= settings.interval_seconds:
        return owing, Action("look", left_seconds)
    if owing.suspect or left_seconds <= settings.wedge_seconds / 2:
        return owing, Action("probe", settings.interval_seconds)
    return owing, Action("look", settings.interval_seconds)


def _unanswered(state: State, now: float, settings: Settings) -> tuple[State, Action]:
    """The counters are looked at next, since a saturated engine may be late with an answer and alive."""
    wedged = now - state.quiet_since >= settings.wedge_seconds
    owing = replace(
        state,
        suspect=True,
        phase="silent" if wedged else state.phase,
        detail="it leaves a request unanswered",
    )
    return owing, Action("look", 0.0)


def _refused(state: State, refusal: Refused, settings: Settings) -> tuple[State, Action]:
    """The engine itself says that it cannot: believed at once, and it is asked again."""
    return replace(state, phase="failing", detail=refusal.detail), Action("probe", settings.interval_seconds)
