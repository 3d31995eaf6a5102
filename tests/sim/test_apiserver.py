"""What the emulator offers beside requests: the watch log and its compaction, the audit log, kinds that come and go."""

import pytest

from slipway.kube.errors import from_answer
from slipway.kube.kinds import PYTORCH_JOB

from .apiserver import Emulator, Expired, Refusal, bare_definition, default_kinds, from_definition
from .apiserver.cel import Failed, Unsupported, compiled
from .apiserver.kinds import Kind
from .conformance import APPLY, OURS, gang, job, service

JOBS = f"{OURS}/namespaces/default/trainingjobs"
SERVICE = "/api/v1/namespaces/default/services/web"
QUERY = {"fieldManager": "slipway", "force": "true"}


@pytest.fixture
def emulator() -> Emulator:
    return Emulator(default_kinds(), wall=lambda: 1_790_000_000.0)


def test_what_is_compacted_is_expired(emulator: Emulator) -> None:
    start = emulator.version
    emulator.request("POST", JOBS, body=job())
    assert [event.type for event in emulator.events_since("trainingjobs.slipway.dev", None, "", start)] == ["ADDED"]
    emulator.compact()
    with pytest.raises(Expired):
        emulator.events_since("trainingjobs.slipway.dev", None, "", start)
    assert emulator.events_since("trainingjobs.slipway.dev", None, "", emulator.version) == []


def test_compaction_keeps_what_came_after(emulator: Emulator) -> None:
    emulator.request("POST", JOBS, body=job("one"))
    between = emulator.version
    emulator.request("POST", JOBS, body=job("two"))
    emulator.compact(between)
    events = emulator.events_since("trainingjobs.slipway.dev", None, "", between)
    assert [event.object["metadata"]["name"] for event in events] == ["two"]


def test_a_bookmark_is_of_now(emulator: Emulator) -> None:
    mark = emulator.bookmark("pods")
    assert (mark.type, mark.version, mark.object["metadata"]["resourceVersion"]) == (
        "BOOKMARK",
        emulator.version,
        str(emulator.version),
    )


def test_listeners_hear_of_changes_only(emulator: Emulator) -> None:
    heard: list[int] = []
    emulator.on_change(lambda: heard.append(emulator.version))
    emulator.request("PATCH", SERVICE, query=QUERY, body=service(), content_type=APPLY)
    emulator.request("PATCH", SERVICE, query=QUERY, body=service(), content_type=APPLY)
    emulator.request("GET", SERVICE)
    assert heard == [emulator.version]


def test_the_audit_log_says_who_did_what(emulator: Emulator) -> None:
    emulator.request("PATCH", SERVICE, query=QUERY, body=service(), content_type=APPLY, user="operator")
    emulator.request("PATCH", SERVICE, query=QUERY, body=service(), content_type=APPLY)
    emulator.request("GET", SERVICE + "x")
    assert [(r.method, r.user, r.status, r.stored, r.version) for r in emulator.requests] == [
        ("PATCH", "operator", 201, True, emulator.version),
        ("PATCH", "slipway", 200, False, 0),
        ("GET", "slipway", 404, False, 0),
    ]


def test_what_is_handed_out_does_not_change(emulator: Emulator) -> None:
    first = emulator.request("PATCH", SERVICE, query=QUERY, body=service(), content_type=APPLY).body
    labels = {"metadata": {"labels": {"a": "b"}}}
    emulator.request("PATCH", SERVICE, body=labels, content_type="application/merge-patch+json")
    assert "labels" not in first["metadata"]


def test_a_kind_that_comes_later() -> None:
    kinds = {kind.full: kind for kind in default_kinds()}
    late = kinds.pop("pytorchjobs.kubeflow.org")
    emulator = Emulator(kinds.values(), wall=lambda: 0.0)
    path = "/apis/kubeflow.org/v1/namespaces/default/pytorchjobs"
    refused = emulator.request("POST", path, body=gang())
    error = from_answer(refused.status, refused.body, refused.headers)
    assert (error.refused, "does not have this kind" in error.message) == (True, True)
    assert emulator.request("GET", "/apis/kubeflow.org/v1").status == 404
    with pytest.raises(Refusal):
        emulator.list(late.full, None, "")
    emulator.serve(late)
    assert emulator.request("POST", path, body=gang()).status == 201
    listed = emulator.request("GET", "/apis/kubeflow.org/v1").body["resources"]
    assert [each["name"] for each in listed] == ["pytorchjobs"]
    emulator.withdraw(late.full)
    assert emulator.request("GET", path).status == 404


def test_the_same_requests_give_the_same_world() -> None:
    def world() -> list[object]:
        emulator = Emulator(default_kinds(), wall=lambda: 1_790_000_000.0)
        for number in range(5):
            emulator.request("POST", JOBS, body=job(f"job-{number}"))
        emulator.request("POST", "/api/v1/namespaces/default/pods", body=GENERATED)
        return [emulator.list(kind.full, None, "") for kind in default_kinds()]

    assert world() == world()


GENERATED = {"metadata": {"generateName": "p-"}, "spec": {"containers": [{"name": "main", "image": "image"}]}}


def definition(rule: str) -> Kind:
    made = bare_definition(PYTORCH_JOB)
    spec = made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["x-kubernetes-validations"] = [{"rule": rule, "message": "no"}]
    return from_definition(made)


@pytest.mark.parametrize("rule", ["self.all(x, x > 1)", "self.a.b().c", "size(self, 1) > 2"])
def test_a_rule_that_cannot_be_evaluated_is_not_passed_over(rule: str) -> None:
    with pytest.raises(Unsupported):
        definition(rule)


@pytest.mark.parametrize(
    ("rule", "value", "holds"),
    [
        ("-7 / 2 == -3 && -7 % 2 == -1", {}, True),
        ("1 + 2 * 3 == 7 && (1 + 2) * 3 == 9", {}, True),
        ("has(self.a) ? self.a > 1 : true", {}, True),
        ("has(self.a) ? self.a > 1 : true", {"a": 1}, False),
        ("self.a == 1 || self.missing == 2", {"a": 1}, True),
        ("self.missing == 2 || self.a == 1", {"a": 1}, True),
        ("!has(self.a.b)", {"a": {}}, True),
        ("self.a != 'x'", {"a": "y"}, True),
        (r"self.a.matches(r'^a$')", {"a": "a\n"}, False),
        ("self.a.matches(self.b)", {"a": "xay", "b": "a|b"}, True),
        ("self.a.matches(self.b)", {"a": "xay", "b": "^a"}, False),
    ],
)
def test_rules(rule: str, value: dict[str, object], holds: bool) -> None:
    assert compiled(rule).holds(value) is holds


def test_an_absent_field_is_an_error() -> None:
    with pytest.raises(Failed):
        compiled("self.missing == 2").holds({})


@pytest.mark.parametrize("pattern", ["(", "(?=a)"])
def test_so_is_what_is_no_pattern_of_re2s(pattern: str) -> None:
    with pytest.raises(Failed, match="error parsing regexp"):
        compiled("''.matches(self)").holds(pattern)
