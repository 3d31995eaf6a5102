"""How far a replica is that does not answer yet: what its pod shows, in words, and no more."""

import pytest

from slipway.plan.clock import rfc3339
from slipway.plan.inference.starting import GENERAL, told
from slipway.plan.observed import Container

from .world import NOW, container, pod, revision_of, said, settle, spec

REVISION = revision_of(settle(spec()))
LOADS = f"pod chat-1: the engine loads since {rfc3339(NOW)}, and has until {rfc3339(NOW + 600)} for its first token"


@pytest.mark.parametrize(
    ("containers", "words"),
    [
        ((), GENERAL),
        ((container("model-check", state="waiting"), container(state="waiting")), GENERAL),
        ((container("model-check"), container(state="waiting")), "pod chat-1: the model's files are checked"),
        ((container("model-check", state="terminated", exit_code=0), container(since=NOW)), LOADS),
        ((container(since=NOW, started=True),), "pod chat-1: the engine has given tokens and owes one now"),
        ((container(),), GENERAL),
    ],
    ids=["no pod status", "waiting", "check", "loading", "silent", "no time"],
)
def test_each_stage_has_its_words(containers: tuple[Container, ...], words: str) -> None:
    assert told([pod("chat-1", "", *containers)], 600) == words


def test_a_pod_that_is_ready_is_not_told_of() -> None:
    ready = pod("chat-0", "", container(since=NOW, started=True), ready=True)
    assert told([ready, pod("chat-1", "", container(since=NOW))], 600) == LOADS
    assert told([ready], 600) == GENERAL


def test_the_conditions_say_it_and_stay_as_they_are_while_it_lasts() -> None:
    body, loading = spec(startupSeconds=600), container(since=NOW)
    pods = (pod("chat-1", revision_of(settle(body)), loading),)
    outcome = settle(body, pods=pods)
    for kind in ("Available", "Ready"):
        assert said(outcome, kind) == ("False", "Starting", f"0 of 1 replicas ready; {LOADS}")
    assert settle(body, pods=pods, status=outcome.status, now=NOW + 300).status == outcome.status
