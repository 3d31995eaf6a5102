"""Conformance of what may stand in the way of an object that is valid: quotas, policies, webhooks, kinds that go.

The stage is set without being noted: its objects have schemas that are not modelled, and the real server notices them
after a moment.
"""

import time
from collections.abc import Callable

from slipway.kube.kinds import Resource

from .apiserver import bare_definition
from .apiserver.kinds import ADMISSION, QUOTA
from .apiserver.server import DEFINITIONS
from .conformance import (
    JSON,
    MERGE,
    ROOTS,
    Bench,
    Obj,
    case,
    claim,
    container,
    deployment,
    gang,
    pod,
    service,
    with_meta,
)

POLL_SECONDS, PATIENCE_SECONDS = 0.1, 30.0
POLICIES, BINDINGS, WEBHOOKS = (f"/apis/{each.api_version}/{each.plural}" for each in ADMISSION)
THING = Resource("conformance.dev/v1", "Thing", "things")
ROOTS[THING.plural] = f"/apis/{THING.api_version}"


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS:.0f} s: {what}"
        time.sleep(POLL_SECONDS)


def stage(bench: Bench, method: str, path: str, body: Obj | None = None, content_type: str = JSON) -> Obj:
    """A request that is not noted."""
    query = {"fieldManager": "stage"} if body else {}
    status, answer = bench.call(method, path, query, body, content_type)
    assert status < 400, answer
    return answer


def settled(bench: Bench, status: int, plural: str = "pods", body: Obj | None = None, words: str = "") -> None:
    """Wait until a new object would be answered with `status`, and `words` in the message."""
    wanted = body or pod("probe")

    def holds() -> bool:
        got, answer = bench.call("POST", bench.path(plural), {"dryRun": "All"}, wanted, JSON)
        return got == status and words in str(answer.get("message"))

    until(holds, f"{plural} are answered with {status} {words}")


# ---------------------------------------------------------------------------- quotas


def quota(name: str = "small", **hard: str) -> Obj:
    return {"apiVersion": "v1", "kind": QUOTA.kind, "metadata": {"name": name}, "spec": {"hard": hard}}


def counts(bench: Bench, name: str = "small", *, hard: Obj, used: Obj) -> None:
    """What the quota controller writes."""
    path = bench.path(QUOTA.plural, name, "status")
    stage(bench, "PATCH", path, {"status": {"hard": hard, "used": used}}, MERGE)


def limited(bench: Bench, plural: str, body: Obj, **hard: str) -> None:
    """A quota without room for what `body` is, in force."""
    stage(bench, "POST", bench.path(QUOTA.plural), quota(**hard))
    counts(bench, hard=hard, used=dict.fromkeys(hard, "0"))
    settled(bench, 403, plural, body, "exceeded quota")


@case
def a_quota_in_its_life(bench: Bench) -> None:
    assert bench.create(QUOTA.plural, quota(pods="1"))[0] == 201
    assert bench.create("pods", pod("probe"), dryRun="All")[0] == 201, "nobody has counted yet"
    stage(bench, "PATCH", bench.path(QUOTA.plural, "small", "status"), {"status": {"hard": {"pods": "1"}}}, MERGE)
    settled(bench, 403, words="status unknown")
    _, refused = bench.create("pods", pod())
    assert refused["message"] == 'pods "pod" is forbidden: status unknown for quota: small, resources: pods'
    counts(bench, hard={"pods": "1"}, used={"pods": "0"})
    settled(bench, 201)
    assert bench.create("pods", pod())[0] == 201
    assert bench.get(QUOTA.plural, "small")[1]["status"]["used"] == {"pods": "1"}
    words = 'pods "other" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1'
    for query in ({}, {"dryRun": "All"}):
        status, refused = bench.create("pods", pod("other"), **query)
        assert (status, refused["reason"], refused["message"]) == (403, "Forbidden", words)
    counts(bench, hard={"pods": "2"}, used={"pods": "1"})
    settled(bench, 201)
    assert bench.apply("pods", pod("other"), "slipway")[0] == 201
    assert bench.apply("pods", pod("third"), "slipway")[0] == 403
    assert bench.get(QUOTA.plural, "small")[1]["status"]["used"] == {"pods": "2"}
    assert bench.delete(QUOTA.plural, "small")[0] == 200


@case
def what_is_there_is_changed_and_deleted_whatever_the_quota(bench: Bench) -> None:
    bench.create("pods", pod())
    limited(bench, "pods", pod("probe"), pods="0")
    assert bench.merge("pods", "pod", {"metadata": {"labels": {"a": "b"}}})[0] == 200
    assert bench.apply("pods", with_meta(pod(), labels={"a": "c"}), "slipway")[0] == 200
    assert bench.delete("pods", "pod")[0] == 200
    assert bench.get(QUOTA.plural, "small")[1]["status"]["used"] == {"pods": "0"}


@case
def quotas_of_every_kind_that_is_made(bench: Bench) -> None:
    kinds = (
        ("services", service(), "services", 'services "web"'),
        ("persistentvolumeclaims", claim(), "persistentvolumeclaims", 'persistentvolumeclaims "claim"'),
        ("deployments", deployment(), "count/deployments.apps", 'deployments.apps "deploy"'),
        ("pytorchjobs", gang(), "count/pytorchjobs.kubeflow.org", 'pytorchjobs.kubeflow.org "gang"'),
        ("pods", pod(), "count/pods", 'pods "pod"'),
    )
    for plural, body, counted, what in kinds:
        limited(bench, plural, body, **{counted: "0"})
        for status, refused in (bench.create(plural, body), bench.apply(plural, body, "slipway")):
            words = f"exceeded quota: small, requested: {counted}=1, used: {counted}=0, limited: {counted}=0"
            assert (status, refused["message"]) == (403, f"{what} is forbidden: {words}")
        bench.delete(QUOTA.plural, "small")
        settled(bench, 201, plural, body)


@case
def a_quota_is_charged_for_what_is_there_already(bench: Bench) -> None:
    counted = "count/pytorchjobs.kubeflow.org"
    bench.create("pytorchjobs", gang())
    limited(bench, "pytorchjobs", gang("probe"), **{counted: "0"})
    counts(bench, hard={counted: "2"}, used={counted: "1"})
    settled(bench, 201, "pytorchjobs", gang("probe"))
    assert bench.create("pytorchjobs", gang())[1]["reason"] == "AlreadyExists"
    assert bench.get(QUOTA.plural, "small")[1]["status"]["used"] == {counted: "2"}
    assert bench.create("pytorchjobs", gang())[1]["reason"] == "Forbidden", "until the controller has counted anew"


@case
def an_invalid_object_is_told_so_before_any_quota(bench: Bench) -> None:
    limited(bench, "deployments", deployment(), **{"count/deployments.apps": "0"})
    assert bench.create("deployments", deployment(replicas=-1))[0] == 422


@case
def of_two_quotas_both_must_have_room(bench: Bench) -> None:
    limited(bench, "pods", pod("probe"), pods="0")
    stage(bench, "POST", bench.path(QUOTA.plural), quota("large", pods="9", services="0"))
    counts(bench, "large", hard={"pods": "9", "services": "0"}, used={"pods": "3", "services": "0"})
    settled(bench, 403, "services", service())
    assert "exceeded quota: small" in bench.create("pods", pod())[1]["message"]
    assert bench.get(QUOTA.plural, "large")[1]["status"]["used"] == {"pods": "3", "services": "0"}
    counts(bench, hard={"pods": "1"}, used={"pods": "0"})
    settled(bench, 201)
    assert bench.create("pods", pod())[0] == 201
    assert bench.get(QUOTA.plural, "large")[1]["status"]["used"] == {"pods": "4", "services": "0"}
    assert bench.get(QUOTA.plural, "small")[1]["status"]["used"] == {"pods": "1"}


@case
def quotas_that_are_invalid(bench: Bench) -> None:
    assert bench.create(QUOTA.plural, quota(nonsense="1"))[0] == 422
    assert bench.create(QUOTA.plural, quota(pods="-1"))[0] == 422
    assert bench.create(QUOTA.plural, quota(pods="many"))[0] == 400


# ---------------------------------------------------------------------------- policies and webhooks


def rule(group: str, plural: str) -> Obj:
    return {"apiGroups": [group], "apiVersions": ["*"], "operations": ["CREATE"], "resources": [plural]}


def here(bench: Bench) -> Obj:
    return {"matchLabels": {"kubernetes.io/metadata.name": bench.namespace}}


def forbid(bench: Bench, group: str, plural: str, message: str) -> None:
    """A policy of the namespace's name, which forbids a kind in it."""
    meta = {"name": bench.namespace}
    validations = [{"expression": "false", "message": message}]
    constraints = {"resourceRules": [rule(group, plural)]}
    stage(
        bench,
        "POST",
        POLICIES,
        {"metadata": meta, "spec": {"matchConstraints": constraints, "validations": validations}},
    )
    bound = {"policyName": bench.namespace, "validationActions": ["Deny"]}
    stage(
        bench,
        "POST",
        BINDINGS,
        {"metadata": meta, "spec": {**bound, "matchResources": {"namespaceSelector": here(bench)}}},
    )


@case
def a_policy_says_no_until_it_is_bound_no_more(bench: Bench) -> None:
    bench.create("pods", pod("early"))
    forbid(bench, "", "pods", "not on Sundays")
    settled(bench, 422)
    name = bench.namespace
    words = f"ValidatingAdmissionPolicy '{name}' with binding '{name}' denied request: not on Sundays"
    for query in ({}, {"dryRun": "All"}):
        status, refused = bench.create("pods", pod(), **query)
        assert (status, refused["reason"], refused["message"]) == (422, "Invalid", f'pods "pod" is forbidden: {words}')
    assert bench.apply("pods", pod(), "slipway")[0] == 422
    assert bench.create("pods", pod("early"))[0] == 422, "before its name is looked up"
    assert bench.merge("pods", "early", {"metadata": {"labels": {"a": "b"}}})[0] == 200
    assert bench.create("services", service())[0] == 201
    stage(bench, "DELETE", f"{BINDINGS}/{name}")
    settled(bench, 201)
    assert bench.create("pods", pod())[0] == 201
    stage(bench, "DELETE", f"{POLICIES}/{name}")


@case
def a_policy_on_a_custom_kind_that_is_taken_away(bench: Bench) -> None:
    forbid(bench, "kubeflow.org", "pytorchjobs", "not on Sundays")
    settled(bench, 422, "pytorchjobs", gang())
    status, refused = bench.create("pytorchjobs", gang())
    assert (status, refused["message"].startswith('pytorchjobs.kubeflow.org "gang" is forbidden: Val')) == (422, True)
    stage(bench, "DELETE", f"{POLICIES}/{bench.namespace}")
    settled(bench, 201, "pytorchjobs", gang())
    assert bench.create("pytorchjobs", gang())[0] == 201
    stage(bench, "DELETE", f"{BINDINGS}/{bench.namespace}")


@case
def a_policy_speaks_before_a_quota_and_after_validation(bench: Bench) -> None:
    limited(bench, "pods", pod("probe"), pods="0")
    forbid(bench, "", "pods", "not on Sundays")
    settled(bench, 422)
    assert "not on Sundays" in bench.create("pods", pod())[1]["message"]
    assert "not on Sundays" not in bench.create("pods", pod(containers=[container("Main")]))[1]["message"]
    stage(bench, "DELETE", f"{BINDINGS}/{bench.namespace}")
    stage(bench, "DELETE", f"{POLICIES}/{bench.namespace}")


def deaf(bench: Bench, failure: str) -> Obj:
    hook = {
        "name": "deaf.example.com",
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "rules": [rule("kubeflow.org", "pytorchjobs")],
        "namespaceSelector": here(bench),
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": failure,
    }
    return {"metadata": {"name": bench.namespace}, "webhooks": [hook]}


@case
def a_webhook_that_nobody_answers(bench: Bench) -> None:
    stage(bench, "POST", WEBHOOKS, deaf(bench, "Fail"))
    settled(bench, 500, "pytorchjobs", gang())
    for status, refused in (bench.create("pytorchjobs", gang()), bench.apply("pytorchjobs", gang(), "slipway")):
        assert (status, refused["reason"]) == (500, "InternalError")
        words = 'Internal error occurred: failed calling webhook "deaf.example.com": failed to call webhook: Post'
        assert refused["message"].startswith(words)
    assert bench.create("pods", pod())[0] == 201
    stage(bench, "PATCH", f"{WEBHOOKS}/{bench.namespace}", {"webhooks": deaf(bench, "Ignore")["webhooks"]}, MERGE)
    settled(bench, 201, "pytorchjobs", gang())
    assert bench.create("pytorchjobs", gang())[0] == 201
    stage(bench, "DELETE", f"{WEBHOOKS}/{bench.namespace}")


# ---------------------------------------------------------------------------- kinds


def thing(name: str, **meta: object) -> Obj:
    return {"apiVersion": THING.api_version, "kind": THING.kind, "metadata": {"name": name, **meta}, "spec": {"a": 1}}


@case
def a_kind_goes_with_everything_of_it_and_comes_back(bench: Bench) -> None:
    def served() -> bool:
        return bench.call("GET", bench.path(THING.plural), {}, None, JSON)[0] == 200

    stage(bench, "POST", DEFINITIONS, bare_definition(THING))
    until(served, "the kind is served")
    bench.create(THING.plural, thing("one"))
    bench.create(THING.plural, thing("held", finalizers=["example.com/hold"]))
    stage(bench, "DELETE", f"{DEFINITIONS}/{THING.full}")
    settled(bench, 403, THING.plural, thing("late"))
    until(lambda: bench.call("GET", bench.path(THING.plural, "one"), {}, None, JSON)[0] == 404, "the first is gone")
    words = f'{THING.full} "late" is forbidden: create not allowed while custom resource definition is terminating'
    assert bench.create(THING.plural, thing("late"))[1]["message"] == words
    assert bench.names(THING.plural) == ["held"]
    assert "deletionTimestamp" in bench.get(THING.plural, "held")[1]["metadata"]
    bench.merge(THING.plural, "held", {"metadata": {"finalizers": None}})
    until(lambda: not served(), "the kind is gone")
    assert bench.create(THING.plural, thing("late"))[0] == 404
    until(lambda: bench.call("POST", DEFINITIONS, {}, bare_definition(THING), JSON)[0] == 201, "it is made again")
    until(served, "the kind is served again")
    assert bench.names(THING.plural) == []
    stage(bench, "DELETE", f"{DEFINITIONS}/{THING.full}")
    until(lambda: not served(), "the kind is gone again")
