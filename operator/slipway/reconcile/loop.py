"""One visit to one custom resource: observe, plan, and carry the plan out in the order that plan/outcome.py promises.

A visit keeps nothing that it could not lose: a crash between any two steps repeats a step at most. What goes wrong is
one of four things. Refused by the API server: remembered, and planned again so that the status can name it. Transient:
the queue repeats the visit, conditions stay (trouble.py). Stale: look again shortly. Without the lease: end quietly.
"""

import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from ..kube.client import KubeClient
from ..kube.errors import ApiError, NotLeader, Stale
from ..kube.kinds import ref_of
from ..plan.observed import Obj, Observed, Owner, Ref, Reported
from ..plan.outcome import Defaults, Plan
from ..telemetry.logging import about
from ..telemetry.metrics import Metrics
from ..telemetry.tracing import tracer
from .apply import Applier
from .index import Index
from .keys import Key
from .memory import LAG_SECONDS, Memory, OwnerMemory, untold_seconds
from .once import Once
from .patience import said
from .queue import Again, RetryLater
from .status import StatusWriter
from .trial import Trial
from .trouble import PATIENCE_SECONDS, mistake, outage
from .versions import digest, older

ROUNDS = 6  # a plan may ask for something only after it has seen an answer; none needs more steps than these
STALE_SECONDS = 1.0

T = TypeVar("T")

Planner = Callable[[Observed, float, Defaults], Plan]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Effects:
    """What a visit acts through."""

    client: KubeClient  # reads only; writes go through the four below
    applier: Applier
    once: Once
    status: StatusWriter
    trial: Trial


class Reconciler:
    """`visit(key)` is the queue's. `reported` gives the progress that may be shown for a job (by key and uid).
    `on_status` hears every status that stands, `on_gone` of every key whose resource is gone."""

    def __init__(
        self,
        index: Index,
        planners: Mapping[str, Planner],
        defaults: Defaults,
        effects: Effects,
        metrics: Metrics,
        *,
        reported: Callable[[Key, str], Reported | None],
        on_status: Callable[[Key, Obj], None],
        on_gone: Callable[[Key], None],
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._index, self._planners, self._defaults = index, planners, defaults
        self._effects, self._metrics = effects, metrics
        self._reported, self._on_status, self._on_gone = reported, on_status, on_gone
        self._wall, self._clock = wall, clock
        self.memory = Memory(chance)
        self._listening_since = wall()

    def begin(self) -> None:
        """We lead now: what others wrote or heard meanwhile is not known here."""
        self.memory.clear()
        self._listening_since = self._wall()

    async def visit(self, key: Key) -> Again:
        """One visit. Raises RetryLater or ApiError for the queue to repeat it."""
        controller = key.kind.lower()
        owner = self._index.owner(key)
        fields = {"key": str(key)} | ({"uid": owner.uid, "attempt": owner.status.get("attempt")} if owner else {})
        self._metrics.active_workers.labels(controller).inc()
        try:
            with (
                about(**fields),
                tracer().start_as_current_span(f"reconcile {key.kind}", attributes=_attributes(fields)),
            ):
                again, result = await self._outcome(key, owner)
        except Exception:
            self._metrics.reconciles.labels(controller, "error").inc()
            raise
        finally:
            self._metrics.active_workers.labels(controller).dec()
        self._metrics.reconciles.labels(controller, result).inc()
        return again

    async def _outcome(self, key: Key, owner: Owner | None) -> tuple[Again, str]:
        """How the visit ended, and controller-runtime's word for it."""
        try:
            again = await self._reconcile(key, owner)
        except NotLeader:  # a standby's queue takes no wish; whose lease comes back before anybody noticed comes back
            return Again(STALE_SECONDS), "success"
        except Stale as stale:
            log.info("looking again: %s", stale)
            return Again(STALE_SECONDS), "requeue_after"
        except ApiError as error:
            log.warning("the visit failed and is repeated: %s", error)
            await self._tell_failure(key, owner, error)
            if error.retry_after is not None:
                raise RetryLater(error.retry_after) from error
            raise
        except Exception as error:
            log.exception("the visit failed by a mistake in the operator, and is repeated")
            await self._say(key, owner, mistake(key, owner, error, self._wall()) if owner else None)
            raise
        return again, "success" if again.after_seconds is None else "requeue_after"

    async def _reconcile(self, key: Key, owner: Owner | None) -> Again:
        if owner is None:
            self.memory.forget(key)
            self._on_gone(key)
            return Again()
        if owner.deleting:  # its children go with it, through their owner references
            return Again()
        memory = self.memory.of(key, owner.uid)
        if self._is_behind_own_status(owner, memory):
            return Again(STALE_SECONDS)
        plan, observed = await self._plan(key, self._observe(key, owner, memory))
        plan, observed = await self._apply(key, plan, observed, memory)
        await self._once(key, owner, plan, memory)
        if (refused := memory.refusals.messages()) != observed.refused:
            plan = self._again(key, replace(observed, refused=refused))
        with tracer().start_as_current_span("status"):
            await self._effects.status.write(key, owner, plan, memory)
        memory.failing_since = None
        self._on_status(key, plan.status)
        return Again(self._after(key, owner, plan, memory))

    async def _tell_failure(self, key: Key, owner: Owner | None, error: ApiError) -> None:
        """Tell of an error that passes by itself, once it has not done so for a while."""
        if owner is None:
            return
        memory, now = self.memory.of(key, owner.uid), self._clock()
        if memory.failing_since is None:
            memory.failing_since = now
        if now - memory.failing_since >= PATIENCE_SECONDS:
            await self._say(key, owner, outage(key, owner, error, self._wall()))

    async def _say(self, key: Key, owner: Owner | None, plan: Plan | None) -> None:
        """Tell on the object itself what keeps it from being looked after. Best effort: what goes wrong here must not
        hide that."""
        if owner is None or owner.deleting or plan is None:
            return
        memory = self.memory.of(key, owner.uid)
        if self._is_behind_own_status(owner, memory):
            return
        try:
            await self._effects.status.write(key, owner, plan, memory)
        except (ApiError, NotLeader) as error:
            log.warning("what is wrong could not be told on the object: %s", error)

    def _is_behind_own_status(self, owner: Owner, memory: OwnerMemory) -> bool:
        """Whether the index still shows the owner from before our last status write: its event is on the way, and a
        plan made now would tell the same transition twice."""
        written = memory.status
        return (
            written is not None
            and self._clock() - written.at < LAG_SECONDS
            and older(owner.resource_version, than=written.stamp.resource_version)
        )

    # ------------------------------------------------------------------ plan

    def _observe(self, key: Key, owner: Owner, memory: OwnerMemory) -> Observed:
        return Observed(
            owner=owner,
            pods=self._index.pods(key),
            children=self._index.children(key),
            refused=memory.refusals.messages(),
            reported=self._reported(key, owner.uid),
            listening_since=self._listening_since,
            accelerators=self._index.accelerators(),
        )

    async def _plan(self, key: Key, observed: Observed) -> tuple[Plan, Observed]:
        """Plan until nothing more is asked for."""
        with tracer().start_as_current_span("plan"):
            for _ in range(ROUNDS):
                plan = self._again(key, observed)
                reads = [r for r in plan.reads if r not in observed.read]
                templates = [(h, t) for h, t in plan.templates if h not in observed.verdicts]
                if not reads and not templates:
                    return plan, observed
                observed = await self._answer(observed, reads, templates)
        raise RuntimeError(
            f"the plan for {key} still asks for more after {ROUNDS} rounds: this is a mistake in the plan"
        )

    def _again(self, key: Key, observed: Observed) -> Plan:
        return self._planners[key.kind](observed, self._wall(), self._defaults)

    async def _answer(self, observed: Observed, reads: list[Ref], templates: list[tuple[str, Obj]]) -> Observed:
        read, verdicts = dict(observed.read), dict(observed.verdicts)
        for target in reads:
            read[target] = await self._effects.client.get(target)
        for hash_, template in templates:
            verdicts[hash_] = await self._effects.trial.verdict(hash_, template)
        return replace(observed, read=read, verdicts=verdicts)

    # ------------------------------------------------------------------ writes, but for the status

    async def _apply(self, key: Key, plan: Plan, observed: Observed, memory: OwnerMemory) -> tuple[Plan, Observed]:
        """Apply until a plan that knows the API server's answers wants nothing more applied; returns that plan.

        An answer is as good as a live read. So a gang is created in the visit that made its claim, and one status
        tells of both, where otherwise the claim's watch event would have to come first.
        """
        for _ in range(ROUNDS):
            memory.refusals.keep_only({ref_of(body) for body in (*plan.apply, *plan.create)})
            with tracer().start_as_current_span("apply"):
                answers = {ref_of(body): await self._applied(memory, body) for body in plan.apply}
            if not memory.refusals.messages().keys().isdisjoint(answers):
                # What is created once may rest on what was refused: a gang on its claim.
                return replace(plan, create=()), observed
            known = {target: answer for target, answer in answers.items() if answer is not None}
            if not known:
                return plan, observed
            plan, observed = await self._plan(key, replace(observed, read={**observed.read, **known}))
        raise RuntimeError(f"the plan for {key} still changes after {ROUNDS} applies: this is a mistake in the plan")

    async def _applied(self, memory: OwnerMemory, body: Obj) -> Obj | None:
        """What the API server answered; None when nothing was sent, or it was refused."""
        return await self._unless_refused(memory, body, partial(self._effects.applier.apply, memory, body))

    async def _once(self, key: Key, owner: Owner, plan: Plan, memory: OwnerMemory) -> None:
        """Create, then delete: nothing of it is sent unless the owner is still what was planned from."""
        once = self._effects.once
        missing = [body for body in plan.create if once.needed(memory, owner, body)]
        if missing or plan.delete:
            await once.confirm_owner(key, owner)
        for body in missing:
            await self._unless_refused(memory, body, partial(once.create, memory, owner, body))
        for wanted in plan.delete:
            await once.delete(wanted)

    async def _unless_refused(self, memory: OwnerMemory, body: Obj, send: Callable[[], Awaitable[T]]) -> T | None:
        """Send; remember a refusal, and do not ask for the same again too soon. Raises any other ApiError."""
        target, intent = ref_of(body), digest(body)
        if memory.refusals.holds(target, intent, self._clock()):
            return None
        try:
            answer = await send()
        except ApiError as error:
            if not error.refused:
                raise
            level = logging.DEBUG if error.namespace_is_going else logging.WARNING
            log.log(level, "the API server refuses %s %s: %s", target.kind, target.name, error)
            self._metrics.refusals.labels(target.plural).inc()
            memory.refusals.note(target, intent, error.message, self._clock())
            return None
        memory.refusals.clear(target)
        return answer

    def _after(self, key: Key, owner: Owner, plan: Plan, memory: OwnerMemory) -> float | None:
        """The plan's wish, or when to look at what no watch tells of, or when the index is to be believed about what it
        has not told yet, whichever is earliest."""
        now, patience = self._clock(), self.memory.patience
        again = None
        if plan.look_again or memory.refusals:
            again = patience.next_seconds(key, said(owner, plan), now)
        else:
            patience.over(key)
        wishes = (plan.requeue_after, again, untold_seconds(memory, self._index, now))
        return min((seconds for seconds in wishes if seconds is not None), default=None)


def _attributes(fields: Mapping[str, object]) -> dict[str, str]:
    return {f"slipway.{name}": str(value) for name, value in fields.items() if value is not None}
