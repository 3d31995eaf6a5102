"""The API server's answers as errors, and the client's requests: bounded, counted, and never a silent None."""

import asyncio
import time

import pytest

from slipway.kube.client import KubeClient
from slipway.kube.errors import ApiError, from_answer
from slipway.kube.kinds import (
    PYTORCH_JOB,
    SERVICE,
    ref,
)
from slipway.telemetry.metrics import Metrics

from .fakeapi import Connection, FakeApi


@pytest.mark.parametrize(
    ("status", "refused"),
    [
        (400, True),
        (403, True),
        (404, True),
        (413, True),
        (422, True),
        (401, False),
        (408, False),
        (409, False),
        (429, False),
        (500, False),
        (504, False),
        (0, False),
    ],
)
def test_what_counts_as_refused(status: int, refused: bool) -> None:
    assert ApiError(status, "Reason", "message").refused is refused


@pytest.mark.parametrize(
    "message",
    [
        "etcdserver: request is too large",
        "rpc error: code = ResourceExhausted desc = trying to send message larger than max (2200000 vs. 2097152)",
        "Request entity too large: limit is 3145728",
        'Internal error occurred: failed calling webhook "w": connection refused',
        "Internal error occurred: failed to allocate a serviceIP: range is full",
    ],
)
def test_what_a_person_must_mend_is_refused_though_the_server_blames_itself(message: str) -> None:
    assert ApiError(500, "InternalError", message).refused
    assert not ApiError(429, "TooManyRequests", message).refused


@pytest.mark.parametrize(
    ("status", "answer", "headers", "message", "retry_after"),
    [
        (422, {"kind": "Status", "message": "spec.x: required", "reason": "Invalid"}, {}, "spec.x: required", None),
        (404, "404 page not found\n", {}, "install its CustomResourceDefinition", None),
        (
            404,
            {"kind": "Status", "message": "the server could not find the requested resource"},
            {},
            "install its",
            None,
        ),
        (502, "<html>bad gateway</html>", {}, "bad gateway", None),
        (500, {"secret": "of another kind"}, {}, "no message", None),
        (429, "", {"Retry-After": "3"}, "no message", 3.0),
        (429, {"kind": "Status", "details": {"retryAfterSeconds": 7}}, {}, "no message", 7.0),
        (429, "", {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}, "no message", None),
        (429, "", {"Retry-After": "-1"}, "no message", None),
    ],
)
def test_what_an_answer_says(
    status: int, answer: object, headers: dict[str, str], message: str, retry_after: float | None
) -> None:
    error = from_answer(status, answer, headers)
    assert message in error.message
    assert error.retry_after == retry_after


def test_a_message_is_bounded() -> None:
    assert len(ApiError(422, "Invalid", "x" * 10_000).message) == 1024


async def test_an_unreachable_server_is_transient() -> None:
    client = KubeClient(Connection("http://127.0.0.1:1"), Metrics())
    with pytest.raises(ApiError, match="Unreachable: GET /api/v1") as caught:
        await client.request("GET", "/api/v1")
    assert (caught.value.status, caught.value.refused) == (0, False)
    await client.close()


async def test_a_time_out_bounds_the_whole_request(
    client: KubeClient, fake: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> tuple[int, str, dict[str, str]]:
        await asyncio.sleep(60.0)
        raise AssertionError

    monkeypatch.setattr(client, "_exchange", never)
    begun = time.monotonic()
    with pytest.raises(ApiError, match=r"no answer within 0.1 s"):
        await client.request("GET", "/api/v1", timeout_seconds=0.1)
    assert time.monotonic() - begun < 5.0


async def test_requests_are_counted_and_a_missing_object_is_none(fake: FakeApi, client: KubeClient) -> None:
    assert await client.get(ref(SERVICE, "ns", "none")) is None
    assert 'rest_client_requests_total{code="404",method="GET"} 1.0' in client._metrics.exposition().decode()
    fake.fail("GET", 500)
    with pytest.raises(ApiError):
        await client.get(ref(SERVICE, "ns", "none"))


@pytest.mark.parametrize(
    ("answer", "served"), [({"resources": [{"name": "pytorchjobs"}]}, True), ({"resources": []}, False), (None, False)]
)
async def test_whether_a_kind_is_served(
    client: KubeClient, fake: FakeApi, answer: dict[str, object] | None, served: bool
) -> None:
    if answer is not None:
        fake.objects["/apis/kubeflow.org/v1"] = answer
    assert await client.serves(PYTORCH_JOB.api_version, PYTORCH_JOB.plural) is served
