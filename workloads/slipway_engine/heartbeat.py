"""When is an engine ready, and when wedged? Decided here, purely: (state, observation, now) -> (state, action).

An engine's /health stays 200 when its scheduler is wedged (vLLM), or fails when it is merely saturated, so readiness is
tokens. At the start the engine is asked for one token every second. Once it gave one, its token counters are looked at
every `interval_seconds`, which costs it nothing:

- they moved: alive, however long the queue is and however slow the tokens are;
- they did not, and the KV cache filled: a long prompt is computed chunk by chunk, which vLLM counts only at its end;
- they did not and no request is in the engine: idle; after `idle_interval_seconds` it is asked for a token;
- they did not and requests are in it, or it left a question unanswered: silent once that has lasted `wedge_seconds`:
  not ready, and not live either, so that the kubelet restarts it; alive again should a token come before that;
- nobody listens: the engine is gone or restarting; not ready at once, and the start begins anew. Of one that was silent
  that ends the watch, with the verdict for the pod's status.

Gauges are believed only while the engine is not suspect: a wedged scheduler leaves them as they were, often at zero. So
a question that stayed unanswered keeps the engine under suspicion until a token comes; and an engine that seems busy
without a token is asked, too, before it is given up.

A silence is counted from the look that first saw what is owed, so that an engine is never given up before
`wedge_seconds` are over, and one `interval_seconds` later at the latest.

One thing is done at a time, and no answer is waited for longer than `timeout_seconds`: questions cannot pile up. Times
are seconds of one monotonic clock. `now` is when the observation was complete.
"""

from dataclasses import dataclass, replace
from typing import Literal

Phase = Literal["starting", "ready", "silent", "failing"]


TIMEOUT_SECONDS_MAX = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    start_interval_seconds: float = 1.0  # between questions until the first token
    interval_seconds: float = 2.5  # between looks at the counters
    idle_interval_seconds: float = 10.0  # without a token, before an idle engine is asked for one
    silent_interval_seconds: float = 0.2  # between questions to a wedged engine, whose end is not to be missed
    wedge_seconds: float = 10.0  # without a token that the engine owes, before it is not ready and not live
    startup_seconds: float = 1800.0  # of an engine that answers, for its first token, before it is not live

    @property
    def timeout_seconds(self) -> float:
        """The longest wait for an answer. A question that is asked half-way is given up before patience ends."""
        return min(TIMEOUT_SECONDS_MAX, self.wedge_seconds / 2)


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
    """The engine's counters: `tokens` handled since it started, prompt and generated; `requests` running, waiting;
    `kv_usage`, of the KV cache, which grows while a prompt is computed."""

    tokens: float
    requests: float
    kv_usage: float = 0.0


Observation = Unreachable | Unanswered | Refused | Unreadable | Token | Reading


@dataclass(frozen=True, slots=True)
class Action:
    """What to do next: `probe` for a token, `look` at the counters, or `stop`: the engine that was drained or found
    wedged is gone."""

    kind: Literal["probe", "look", "stop"]
    after_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """`detail` says what was last seen, for people. Times are None until there was such a moment."""

    phase: Phase = "starting"
    detail: str = "the engine has not been asked yet"
    draining: bool = False
    suspect: bool = False  # it left a question unanswered, so its gauges are not believed
    owing: bool = False  # a token was owed when last it was looked at
    tokens: float | None = None  # the counters at the last look
    kv_usage: float | None = None  # likewise
    answers_since: float | None = None  # while it starts: since when it answers, if without a token
    last_token_at: float | None = None  # when a token was last known to have come
    quiet_since: float = 0.0  # once ready: silence counts from here
    verdict: str = ""  # why the engine that is gone had to be restarted

    @property
    def ready(self) -> bool:
        return self.phase == "ready" and not self.draining

    @property
    def started(self) -> bool:
        """Whether the engine that runs has given a token. Of a silent one it is not said: asked by then is one that the
        kubelet has just started, and whose predecessor's end has not been seen yet."""
        return self.phase not in ("starting", "silent")


FIRST = Action("probe", 0.0)


def drain(state: State) -> State:
    """The pod has been told to stop: never ready again."""
    return replace(state, draining=True)


def step(state: State, observation: Observation, now: float, settings: Settings) -> tuple[State, Action]:
    """What is known after `observation`, and what to do next."""
    if state.draining:
        return _draining(state, observation)
    if isinstance(observation, Unreachable):
        return _gone(state, observation, now, settings)
    if isinstance(observation, Token):
        return _alive(state, owing=False, now=now), Action("look", settings.interval_seconds)
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


def wedged(state: State, now: float, settings: Settings) -> str:
    """Why the engine is to be restarted, in a sentence; "" where it is not. A pod that is stopping ends by itself."""
    if state.draining:
        return ""
    if state.phase == "silent":
        return explain(state, now)[1]
    since = state.answers_since
    if state.phase == "starting" and since is not None and now - since >= settings.startup_seconds:
        return f"no first token in {now - since:.0f} s: {state.detail}"
    return ""


def _draining(state: State, observation: Observation) -> tuple[State, Action]:
    """Only whether the engine still lives matters, and it refuses new requests: look, do not ask."""
    if isinstance(observation, Unreachable):
        return replace(state, detail="the engine has ended"), Action("stop", 0.0)
    return state, Action("look", 1.0)


def _gone(state: State, observation: Unreachable, now: float, settings: Settings) -> tuple[State, Action]:
    """The engine starts, or has died and will be restarted; what its counters were says nothing any more."""
    if verdict := wedged(state, now, settings):
        return State(detail="the engine was ended for it", verdict=verdict), Action("stop", 0.0)
    verb = "is starting" if state.last_token_at is None else "has gone and is to start again"
    starting = State(detail=f"the engine {verb}: {observation.detail}", last_token_at=state.last_token_at)
    return starting, Action("probe", settings.start_interval_seconds)


def _starting(state: State, observation: Observation, now: float, settings: Settings) -> tuple[State, Action]:
    """Counters count here too, or an engine whose first token takes longer than a time-out would never be ready."""
    again = Action("probe", settings.start_interval_seconds)
    state = replace(state, answers_since=now if state.answers_since is None else state.answers_since)
    if isinstance(observation, Unanswered):
        late = f"warming: no token within {settings.timeout_seconds:g} s"
        return replace(state, detail=late), Action("look", 0.0)
    if isinstance(observation, Refused | Unreadable):
        return replace(state, detail=f"warming: {observation.detail}"), again
    if isinstance(observation, Reading):
        if _generated(state, observation):
            return _reading(state, observation, now, settings)
        return _seen(state, observation), again
    return state, again


def _generated(state: State, reading: Reading) -> bool:
    return state.tokens is not None and reading.tokens > state.tokens


def _prefilled(state: State, reading: Reading) -> bool:
    return state.kv_usage is not None and reading.kv_usage > state.kv_usage


def _seen(state: State, reading: Reading) -> State:
    return replace(state, tokens=reading.tokens, kv_usage=reading.kv_usage)


def _alive(state: State, *, owing: bool, now: float) -> State:
    return replace(_progressing(state, "tokens are generated", owing=owing, now=now), last_token_at=now)


def _progressing(state: State, detail: str, *, owing: bool, now: float) -> State:
    return replace(state, phase="ready", detail=detail, suspect=False, owing=owing, quiet_since=now, answers_since=None)


def _reading(state: State, reading: Reading, now: float, settings: Settings) -> tuple[State, Action]:
    if state.tokens is not None and reading.tokens < state.tokens:
        return _gone(state, Unreachable("its counters began anew"), now, settings)
    known, owing, again = _seen(state, reading), reading.requests > 0, Action("look", settings.interval_seconds)
    if _generated(state, reading):
        return _alive(known, owing=owing, now=now), again
    if owing and _prefilled(state, reading):
        return _progressing(known, "a prompt is computed", owing=owing, now=now), again
    if owing:
        return _owing(known, f"{reading.requests:.0f} requests are in the engine", now, settings)
    if state.suspect or state.phase != "ready":
        return _owing(known, "it leaves a request unanswered", now, settings)
    return _idle(replace(known, detail="idle", owing=False, quiet_since=now), now, settings)


def _idle(state: State, now: float, settings: Settings) -> tuple[State, Action]:
    """Nothing is owed. An idle engine may be wedged all the same, so it is asked now and then."""
    last_token_at = state.last_token_at if state.last_token_at is not None else now
    due_seconds = settings.idle_interval_seconds - (now - last_token_at)
    if due_seconds <= 0:
        return state, Action("probe", 0.0)
    return state, Action("look", min(settings.interval_seconds, due_seconds))


def _owing(state: State, detail: str, now: float, settings: Settings) -> tuple[State, Action]:
    """A token is owed. Whoever is suspect or half-way to being given up is asked at once. A silent engine is asked
    nearly all the time, so that its end is seen before the next one answers."""
    quiet_since = state.quiet_since if state.owing else now
    left_seconds = settings.wedge_seconds - (now - quiet_since)
    phase: Phase = "silent" if left_seconds <= 0 else state.phase
    owing = replace(state, phase=phase, detail=detail, owing=True, quiet_since=quiet_since)
    if phase == "silent":
        return owing, Action("probe", settings.silent_interval_seconds)
    if left_seconds <= settings.interval_seconds and not owing.suspect:
        return owing, Action("look", left_seconds)
    if owing.suspect or left_seconds <= settings.wedge_seconds / 2:
        return owing, Action("probe", 0.0)
    return owing, Action("look", settings.interval_seconds)


def _unanswered(state: State, now: float, settings: Settings) -> tuple[State, Action]:
    """The counters are looked at next, since a saturated engine may be late with an answer and alive. The token is
    owed since it was asked for."""
    asked_at = now - settings.timeout_seconds
    quiet_since = state.quiet_since if state.owing else max(state.quiet_since, asked_at)
    phase: Phase = "silent" if now - quiet_since >= settings.wedge_seconds else state.phase
    late = replace(state, phase=phase, suspect=True, owing=True, quiet_since=quiet_since)
    return replace(late, detail="it leaves a request unanswered"), Action("look", 0.0)


def _refused(state: State, refusal: Refused, settings: Settings) -> tuple[State, Action]:
    """The engine itself says that it cannot: believed at once, and it is asked again. Of a silent one that is no sign
    of life: vLLM refuses what comes while it is being ended, and the next engine while it loads, with new counters."""
    if state.phase == "silent":
        return state, Action("look", settings.silent_interval_seconds)
    return replace(state, phase="failing", detail=refusal.detail), Action("probe", settings.interval_seconds)
