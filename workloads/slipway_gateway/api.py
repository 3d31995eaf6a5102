"""OpenAI's API as far as the gateway itself speaks it: which paths exist, which field names the model, the list of
models.

Bodies go on unchanged, byte for byte: only `model` is read, so a field that this gateway has never heard of reaches
the engine.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import msgspec
import orjson

from .errors import Refusal
from .head import Request, values
from .routes import Service, Table

FORWARDED = frozenset({"/v1/chat/completions", "/v1/completions", "/v1/embeddings"})
MODELS = "/v1/models"
POST_ALLOWED = "POST, OPTIONS"
GET_ALLOWED = "GET, HEAD, OPTIONS"


class Named(msgspec.Struct):
    """What is read of a body. All else is looked over for its end and never built: as Python objects a body may be
    thirty times as large, and take seconds of everybody's time. Of a name that comes twice the last counts, as for the
    engines.
    """

    model: msgspec.Raw = msgspec.Raw()


BODY = msgspec.json.Decoder(Named)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gateway says itself. `body` is None where there is none to say (204)."""

    status: int
    body: bytes | None = None
    allow: str | None = None


def is_forwarded(request: Request) -> bool:
    """Whether the request is for an engine. Raises Refusal where path or method do not exist."""
    allowed = _allowed(request.path)
    if request.method not in allowed.split(", "):
        message = f"{request.method} is not allowed on {request.path}: use {allowed}."
        raise Refusal(405, "method_not_allowed", message, allow=allowed)
    return request.method == "POST"


def _allowed(path: str) -> str:
    if path in FORWARDED:
        return POST_ALLOWED
    if path == MODELS or (path.startswith(MODELS + "/") and path != MODELS + "/"):
        return GET_ALLOWED
    if path == "*":
        return "OPTIONS"
    message = f"There is no {path[:200]} here. Use one of {', '.join(sorted(FORWARDED))}, {MODELS}."
    raise Refusal(404, "not_found", message)


def answer(request: Request, table: Table) -> Answer:
    """What the gateway answers itself, without an engine. Raises Refusal for a model that does not exist."""
    if request.method == "OPTIONS":
        return Answer(204, allow=_allowed(request.path))
    if request.path == MODELS:
        found = {"object": "list", "data": [_model(name, service) for name, service in table.names()]}
        return Answer(200, orjson.dumps(found))
    name = unquote(request.path.removeprefix(MODELS + "/"))
    return Answer(200, orjson.dumps(_model(name, table.resolve(name))))


def _model(name: str, service: Service) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": service.record.created, "owned_by": service.key.namespace}


def model_of(request: Request) -> str:
    """`model` of a JSON body. Raises Refusal (400, 415) that names what is missing."""
    encodings = [value.strip().lower() for value in values(request.headers, b"content-encoding")]
    if any(encoding != b"identity" for encoding in encodings):
        raise Refusal(415, "unsupported_encoding", "Send the body without Content-Encoding.")
    try:
        written = bytes(BODY.decode(request.body).model)
        model = orjson.loads(written) if written.startswith(b'"') else ""
    except msgspec.ValidationError:
        raise Refusal(400, "invalid_json", "The request body must be a JSON object.") from None
    except (ValueError, RecursionError) as problem:
        raise Refusal(400, "invalid_json", f"The request body is not valid JSON: {problem}.") from None
    if not model:
        raise Refusal(400, "invalid_model", _not_a_name(written), param="model")
    return str(model)


def _not_a_name(written: bytes) -> str:
    if written in (b"", b"null"):
        return "The field model is missing: name one of GET /v1/models."
    said = written[:40].decode(errors="replace") + ("..." if len(written) > 40 else "")
    return f"The field model must be a non-empty string, and is {said}."
