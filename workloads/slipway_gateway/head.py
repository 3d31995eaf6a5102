"""Heads of messages: which framings are believed, and which headers cross the gateway.

llhttp refuses most of what smuggling needs (both lengths, repeated lengths, folded lines, bare LF). What it lets
through is refused here: codings other than one `chunked`, chunked HTTP/1.0, a missing or repeated Host, versions that
it cannot mean. Headers for one hop stop here in both directions (RFC 9110, 7.6.1).
"""

import secrets
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus

from .errors import Refusal, malformed

Headers = list[tuple[bytes, bytes]]  # names in small letters: they are made so once, as they are read

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
OURS = HOP_BY_HOP | {b"host", b"content-length", b"expect", b"x-request-id"}  # written anew towards the replica
JUDGED = frozenset({b"host", b"transfer-encoding", b"content-length", b"expect", b"x-request-id"})
REQUEST_ID_MAX = 128
HEADERS_MAX = 256
REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}


@dataclass(slots=True)
class Request:
    """A request as read from a client. `target` is as written; `path` is without query, and only ASCII."""

    method: str = ""
    target: bytes = b""
    path: str = ""
    version: str = "1.1"
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    keep: bool = True
    request_id: bytes = b""
    started: float = 0.0  # when its first byte came, on the gateway's clock, in seconds
    expects_continue: bool = False
    size: int = 0  # bytes of request line and headers

    @property
    def forwarded_target(self) -> bytes:
        """In origin form, as a replica wants it: path and query."""
        return origin_form(self.target)


def values(headers: Headers, name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]


def origin_form(target: bytes) -> bytes:
    """`/path?query` of a target in origin or absolute form; `*` stays. Raises Refusal for any other."""
    if target.startswith(b"/") or target == b"*":
        return target
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        raise malformed("The request target must be a path such as /v1/chat/completions.")
    _, slash, path = rest.partition(b"/")
    return slash + path if slash else b"/"


def check(request: Request, body_limit_bytes: int) -> None:
    """Complete `request` from its headers. Raises Refusal for a head that must not be believed or a body too large."""
    if request.version not in ("1.0", "1.1"):
        raise Refusal(505, "http_version", "This server speaks HTTP/1.0 and HTTP/1.1.", close=True)
    judged = _judged(request.headers)
    _check_host(request, judged.get(b"host", []))
    _check_framing(request, judged.get(b"transfer-encoding", []), judged.get(b"content-length", []), body_limit_bytes)
    _check_expect(request, judged.get(b"expect", []))
    request.path = origin_form(request.target).partition(b"?")[0].decode("latin-1")
    request.request_id = request_id(judged.get(b"x-request-id", []))


def _judged(headers: Headers) -> dict[bytes, list[bytes]]:
    """The values of the few headers that this module looks at, found in one pass."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        if name in JUDGED:
            found.setdefault(name, []).append(value)
    return found


def _check_host(request: Request, hosts: list[bytes]) -> None:
    if len(hosts) > 1 or (not hosts and request.version == "1.1"):
        raise malformed("A request must have exactly one Host header.")


def _check_framing(request: Request, codings: list[bytes], lengths: list[bytes], body_limit_bytes: int) -> None:
    if codings and (lengths or request.version == "1.0"):
        raise malformed("Transfer-Encoding cannot stand beside Content-Length, nor in HTTP/1.0.")
    if codings and [coding.strip().lower() for coding in codings] != [b"chunked"]:
        raise malformed("Transfer-Encoding must be chunked, and nothing else.")
    if len(lengths) > 1 or any(not length.strip(b" \t").isdigit() for length in lengths):
        raise malformed("Content-Length must be one decimal number.")
    if lengths and int(lengths[0]) > body_limit_bytes:
        raise too_large(body_limit_bytes)


def _check_expect(request: Request, expected: list[bytes]) -> None:
    if not expected or request.version == "1.0":
        return
    if any(value.strip().lower() != b"100-continue" for value in expected):
        raise Refusal(417, "expectation_failed", "Expect may only be 100-continue.", close=True)
    request.expects_continue = True


def too_large(body_limit_bytes: int) -> Refusal:
    message = f"The request body is larger than {body_limit_bytes} bytes, which this gateway takes at most."
    return Refusal(413, "request_too_large", message, close=True)


def request_id(given: list[bytes]) -> bytes:
    """The client's X-Request-Id where it is one short visible word, else a new one of 32 hex digits."""
    if len(given) == 1 and 0 < len(given[0]) <= REQUEST_ID_MAX and all(0x21 <= byte <= 0x7E for byte in given[0]):
        return given[0]
    return secrets.token_hex(16).encode()


def _nominated(headers: Headers) -> frozenset[bytes]:
    """Header names that Connection says are for this hop. The length is not among them, whatever it says: a response
    whose end nothing marks would leave the client waiting.
    """
    named = values(headers, b"connection")
    if not named:
        return frozenset()
    return frozenset(name.strip().lower() for name in b",".join(named).split(b",")) - {b"content-length"}


def crossing(headers: Headers, ours: frozenset[bytes]) -> Headers:
    """The headers that go on to the next hop: those that are neither in `ours` nor named by Connection."""
    stopped = ours | _nominated(headers)
    return [header for header in headers if header[0] not in stopped]


def is_event_stream(headers: Headers) -> bool:
    """Whether the body is server-sent events as they are, so that an event may be added."""
    kinds = values(headers, b"content-type")
    return (
        bool(kinds) and kinds[0].lower().startswith(b"text/event-stream") and not values(headers, b"content-encoding")
    )


def towards_replica(request: Request, host: str) -> bytes:
    """The head of the request as a replica gets it: the body is whole by now, so its length is known."""
    lines = [b"%s %s HTTP/1.1" % (request.method.encode(), request.forwarded_target), b"host: " + host.encode()]
    lines += [b"%s: %s" % header for header in crossing(request.headers, OURS)]
    lines.append(b"x-request-id: " + request.request_id)
    lines.append(b"content-length: %d\r\n\r\n" % len(request.body))
    return b"\r\n".join(lines)


def head_without_upgrade(request: Request) -> bytes:
    """The head as its client wrote it, less the offers of other protocols: a server may ignore them (RFC 9110, 7.8)."""
    lines = [b"%s %s HTTP/%s" % (request.method.encode(), request.target, request.version.encode())]
    lines += [b"%s: %s" % header for header in request.headers if header[0] != b"upgrade"]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def status_line(status: int) -> bytes:
    return b"HTTP/1.1 %d %s" % (status, REASONS.get(status, b""))


def response_head(status: int, headers: Headers, *, keep: bool, version: str) -> bytes:
    """A response's head. Connection says what the client cannot guess from its version."""
    lines = [status_line(status)]
    lines += [b"%s: %s" % header for header in headers]
    if not keep:
        lines.append(b"connection: close")
    elif version == "1.0":
        lines.append(b"connection: keep-alive")
    return b"\r\n".join(lines) + b"\r\n\r\n"


def date() -> bytes:
    return formatdate(usegmt=True).encode()
