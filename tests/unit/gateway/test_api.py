"""What the gateway answers itself: errors in OpenAI's form, the list of models, methods."""

import json
import tracemalloc
from typing import Any

import pytest

from slipway_gateway.api import model_of
from slipway_gateway.head import Request
from slipway_gateway.routes import ServiceKey

from .harness import BODY, CHAT, Start, get, post

OTHER = ServiceKey("lab", "chat")
EMBED = ServiceKey("lab", "embed")


@pytest.mark.parametrize(
    ("request_bytes", "status", "code", "says"),
    [
        (post(b"{"), 400, "invalid_json", "not valid JSON"),
        (post(b""), 400, "invalid_json", "not valid JSON"),
        (post(b"\xff"), 400, "invalid_json", "not valid JSON"),
        (post(b'{"x":' + b"[" * 100_000), 400, "invalid_json", "not valid JSON"),
        (post(b'{"model": "chat", "x": [1,]}'), 400, "invalid_json", "not valid JSON"),
        (post(b'{"model": "\xff"}'), 400, "invalid_json", "not valid JSON"),
        (post(b"[]"), 400, "invalid_json", "JSON object"),
        (post(b"{}"), 400, "invalid_model", "field model is missing"),
        (post(b'{"model": 5}'), 400, "invalid_model", "string, and is 5."),
        (post(b'{"model": [' + b"[], " * 100_000 + b"1]}"), 400, "invalid_model", "and is [[], [], "),
        (post(b'{"model": null}'), 400, "invalid_model", "field model is missing"),
        (post(b'{"model": ""}'), 400, "invalid_model", "non-empty"),
        (post(b'{"model": "nope"}'), 404, "model_not_found", "The model 'nope' does not exist. GET /v1/models lists"),
        (post(b'{"model": "lab/chat"}'), 404, "model_not_found", "'lab/chat'"),
        (post(BODY, "content-encoding: gzip"), 415, "unsupported_encoding", "Content-Encoding"),
        (post(path="/v1/images/generations"), 404, "not_found", "/v1/chat/completions"),
        (post(path="/v1/chat/completions/"), 404, "not_found", "/v1/chat/completions"),
        (get("/"), 404, "not_found", "/v1/models"),
        (get("/v1/models/"), 404, "not_found", "/v1/models"),
        (get("/v1/models/nope"), 404, "model_not_found", "nope"),
        (get("/v1/chat/completions"), 405, "method_not_allowed", "use POST, OPTIONS"),
        (get("/v1/models", method="DELETE"), 405, "method_not_allowed", "use GET, HEAD, OPTIONS"),
    ],
)
async def test_refusals(start: Start, request_bytes: bytes, status: int, code: str, says: str) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)
    client = await harness.client()
    reply = await client.ask(request_bytes, request_bytes.split(b" ")[0].decode())
    assert (reply.status, reply.error["code"]) == (status, code)
    assert says in reply.error["message"]
    assert reply.error["type"] == "invalid_request_error"
    assert reply.error["param"] == ("model" if code in ("invalid_model", "model_not_found") else None)
    assert reply.header("x-request-id")
    assert (await client.ask(post())).status == 200  # the connection is as good as before
    assert len(engine.seen) == 1


@pytest.mark.parametrize(
    "body",
    [
        b'{"messages": [{"model": "x"}], "model": "chat"}',
        b'{"mod\\u0065l": "chat"}',
        b'{"model": "x", "model": "ch\\u0061t"}',
    ],
    ids=["last", "escaped", "twice"],
)
def test_the_model_is_found_as_an_engine_finds_it(body: bytes) -> None:
    assert model_of(Request(body=body)) == json.loads(body)["model"] == "chat"


def test_finding_the_model_takes_no_memory_for_the_rest_of_the_body() -> None:
    body = b'{"model": "chat", "messages": [' + b"[]," * 100_000 + b"[]]}"
    tracemalloc.start()
    try:
        assert model_of(Request(body=body)) == "chat"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000


@pytest.mark.parametrize(
    ("path", "allow"), [("/v1/completions", "POST, OPTIONS"), ("/v1/models", "GET, HEAD, OPTIONS")]
)
async def test_allow_is_said_on_405_and_options(start: Start, path: str, allow: str) -> None:
    harness = await start()
    assert (await harness.ask(get(path, method="PUT"), "PUT")).header("allow") == allow
    reply = await harness.ask(get(path, method="OPTIONS"), "OPTIONS")
    assert (reply.status, reply.header("allow"), reply.body) == (204, allow, b"")


async def test_head_of_a_post_route_is_405_without_a_body(start: Start) -> None:
    harness = await start()
    client = await harness.client()
    assert (await client.ask(get("/v1/completions", method="HEAD"), "HEAD")).status == 405
    assert (await client.ask(get("/v1/models"), "GET")).status == 200


async def _models(harness: Any) -> list[str]:
    reply = await harness.ask(get("/v1/models"), "GET")
    return [model["id"] for model in json.loads(reply.body)["data"]]


async def test_models_lists_bare_names_only_where_unique_and_services_at_zero(start: Start) -> None:
    harness = await start()
    harness.service(created=1700000000)
    harness.service(key=EMBED)
    assert await _models(harness) == ["embed", "lab/embed", "chat", "team/chat"]
    harness.service(key=OTHER)
    assert await _models(harness) == ["lab/chat", "embed", "lab/embed", "team/chat"]
    harness.table.drop_service(OTHER)
    assert await _models(harness) == ["embed", "lab/embed", "chat", "team/chat"]


@pytest.mark.parametrize("name", ["chat", "team/chat", "team%2Fchat"])
async def test_one_model(start: Start, name: str) -> None:
    harness = await start()
    harness.service(created=1700000000)
    reply = await harness.ask(get(f"/v1/models/{name}"), "GET")
    expected = {"id": name.replace("%2F", "/"), "object": "model", "created": 1700000000, "owned_by": "team"}
    assert json.loads(reply.body) == expected


async def test_ambiguous_name_says_which_to_use_and_the_qualified_one_works(start: Start) -> None:
    harness = await start()
    one, two = await harness.engine(), await harness.engine()
    harness.service(one)
    harness.service(two, key=OTHER)
    reply = await harness.ask(post())
    assert (reply.status, reply.error["code"]) == (404, "model_ambiguous")
    assert "lab/chat, team/chat" in reply.error["message"]
    assert (await harness.ask(post(b'{"model":"lab/chat"}'))).status == 200
    assert (len(one.seen), len(two.seen)) == (0, 1)


async def test_any_namespace_can_take_the_bare_name_and_only_the_qualified_one_is_sure(start: Start) -> None:
    """As docs/security.md warns."""
    harness = await start()
    mine, theirs = await harness.engine(), await harness.engine()
    harness.service(mine)
    harness.service(theirs, key=OTHER)
    assert (await harness.ask(post())).error["code"] == "model_ambiguous"
    assert (await harness.ask(post(b'{"model":"team/chat"}'))).status == 200
    harness.table.drop_service(CHAT)
    assert (await harness.ask(post())).status == 200
    assert (await harness.ask(post(b'{"model":"team/chat"}'))).error["code"] == "model_not_found"
    assert (len(mine.seen), len(theirs.seen)) == (1, 1)


async def test_before_the_first_sync_a_model_may_still_appear(start: Start) -> None:
    harness = await start()
    harness.table.synced = False
    reply = await harness.ask(post())
    assert (reply.status, reply.error["code"], reply.header("retry-after")) == (503, "starting", "1")
    assert reply.error["type"] == "server_error"
    harness.service(await harness.engine())
    assert (await harness.ask(post())).status == 200


async def test_requests_without_a_service_are_counted(start: Start) -> None:
    harness = await start()
    await harness.ask(post())
    await harness.ask(b"\0")
    name = "slipway_gateway_responses_total"
    assert harness.metric(name, inference_namespace="", inference_service="", code="404") == 1
    assert harness.metric(name, inference_namespace="", inference_service="", code="400") == 1
    assert [line["outcome"] for line in harness.logged()] == ["model_not_found", "malformed_request"]


async def test_long_names_are_not_said_back_in_full(start: Start) -> None:
    harness = await start()
    for number in range(30):
        harness.service(key=ServiceKey("n", f"m{number}"))
    reply = await harness.ask(post(json.dumps({"model": "x" * 10_000}).encode()))
    assert len(reply.error["message"]) < 1000
    assert "m0" not in reply.error["message"], "who mistypes a name is not told of everybody's"
    for number in range(30):
        harness.service(key=ServiceKey(f"n{number}", "same"))
    reply = await harness.ask(post(b'{"model": "nowhere/same"}'))
    assert "Did you mean n0/same, n1/same, " in reply.error["message"]
    assert len(reply.error["message"]) < 500
