"""What is done about a failure: the first rule that holds decides, and its budget whether it may.

1. Exit code 2, or 3 where `output.require` asks for something: Fail. The recipe or the data is wrong, or the model is
   not good enough, and nobody's rule mends that.
2. failurePolicy.rules, in their order.
3. Otherwise: RestartGang.

RestartGang takes from the job's budget, and from the rule's own where it has one; RestartGangFree from the rule's
alone. An exhausted budget ends the job.

Patterns are the users' own and are matched in the operator, which everybody shares: api/pattern.py bounds what one
costs.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ...api.gang import FREE_RESTARTS_DEFAULT, FailurePolicy, FailureRule
from ...api.pattern import compiled, fault
from . import history
from .failure import RECIPE_ERROR, Failure
from .history import History
from .requirement import NOT_MET
from .situation import Situation

FAIL, RESTART, FREE = "Fail", "RestartGang", "RestartGangFree"
FINAL = frozenset({RECIPE_ERROR, NOT_MET})  # what no restart mends
FAILED_BY_RULE = "FailedByRule"
RESTARTS_EXHAUSTED = "BackoffLimitExceeded"

TEXT_MAX = 4096  # characters of a message that a pattern is looked for in: as long as a termination message is
OTHERWISE = FailureRule(action="RestartGang")


@dataclass(frozen=True, slots=True)
class Restart:
    """The gang begins again. `words` say out of which budget."""

    words: str
    free: bool
    rule: int | None  # place in failurePolicy.rules; None when none of them held


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The job is Failed, for this reason."""

    reason: str
    message: str
    rule: int | None


Decision = Restart | GiveUp


def decide(situation: Situation, failure: Failure) -> Decision:
    """What is done about the failure of the present attempt. Every pattern of the policy is one (`wrong_patterns`)."""
    policy, past = situation.spec.failure_policy, history.read(situation.observed.owner.status)
    if failure.reason in FINAL:
        return GiveUp(failure.reason, failure.message, None)
    place = next((place for place, rule in enumerate(policy.rules) if _holds(rule, failure)), None)
    rule = OTHERWISE if place is None else policy.rules[place]
    if rule.action == FAIL:
        return GiveUp(FAILED_BY_RULE, f"failurePolicy.rules[{place}] says {FAIL}: {failure.message}", place)
    if spent := _spent(policy, past, rule, place):
        message = f"{spent}, and attempt {situation.attempt} failed: {failure.message}"
        return GiveUp(RESTARTS_EXHAUSTED, message, place)
    return Restart(_words(policy, past, rule, place), rule.action == FREE, place)


def wrong_patterns(policy: FailurePolicy) -> Iterator[str]:
    """A sentence for each pattern that cannot be matched, with its path in the spec."""
    for place, rule in enumerate(policy.rules):
        if wrong := fault(rule.message or ""):
            yield f"spec.failurePolicy.rules[{place}].message: {wrong}"


def _holds(rule: FailureRule, failure: Failure) -> bool:
    """Whether all that the rule asks for is so."""
    return (
        (rule.exit_codes is None or failure.exit_code in rule.exit_codes)
        and (rule.reasons is None or failure.reason in rule.reasons)
        and (rule.message is None or compiled(rule.message).search(failure.message[:TEXT_MAX]) is not None)
    )


def _spent(policy: FailurePolicy, past: History, rule: FailureRule, place: int | None) -> str | None:
    """Which budget allows no further restart, in words; None when all do."""
    cap = _cap(rule)
    if place is not None and cap is not None and past.by_rule(place) >= cap:
        return f"failurePolicy.rules[{place}].maxRestarts is {cap}"
    if rule.action == RESTART and past.restarts >= policy.max_restarts:
        return f"failurePolicy.maxRestarts is {policy.max_restarts}"
    return None


def _cap(rule: FailureRule) -> int | None:
    if rule.action == FREE and rule.max_restarts is None:
        return FREE_RESTARTS_DEFAULT
    return rule.max_restarts


def _words(policy: FailurePolicy, past: History, rule: FailureRule, place: int | None) -> str:
    if place is not None and rule.action == FREE:
        return f"restart outside the budget, {past.by_rule(place) + 1} of {_cap(rule)} by failurePolicy.rules[{place}]"
    return f"restart {past.restarts + 1} of {policy.max_restarts}"
