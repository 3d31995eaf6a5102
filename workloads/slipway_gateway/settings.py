"""Settings: the one reader of flags and environment. Every limit and time-out of the gateway has its default here.

A flag `--hold-seconds` is also the variable `SLIPWAY_GATEWAY_HOLD_SECONDS`; the flag wins. Each default says its unit
in its name. Nothing is read later than at start.
"""

import argparse
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

VARIABLE_PREFIX = "SLIPWAY_GATEWAY_"
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Listen:
    """An address to listen on, written `host:port` or `[host]:port`; port 0 takes any free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Listen":
        host, colon, port = text.rpartition(":")
        if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise ValueError(f"{text!r} is not host:port with a port from 0 to 65535")
        return cls(host.strip("[]"), int(port))


@dataclass(frozen=True, slots=True)
class Settings:
    listen: Annotated[Listen, "address of /v1/*"] = Listen("0.0.0.0", 8000)  # noqa: S104
    admin: Annotated[Listen, "address of /healthz, /readyz and /metrics"] = Listen("0.0.0.0", 8081)  # noqa: S104
    routes: Annotated[Path | None, "read routes from this YAML file instead of Kubernetes"] = None
    kubeconfig: Annotated[Path | None, "kubeconfig to use outside a cluster"] = None

    hold_seconds: Annotated[float, "how long a request waits for a first ready replica before 503"] = 300.0
    hold_max: Annotated[int, "requests held per service before 429"] = 1000
    hold_max_bytes: Annotated[int, "bytes of bodies held in all before 429"] = 256 * MEBIBYTE

    body_limit_bytes: Annotated[int, "largest request body before 413"] = 16 * MEBIBYTE
    bodies_max_bytes: Annotated[int, "bytes of request bodies in memory at once before 503"] = 320 * MEBIBYTE
    head_limit_bytes: Annotated[int, "largest request line and headers together before 431"] = 32 * 1024
    connections_max: Annotated[int, "client connections before 503"] = 10_000

    head_seconds: Annotated[float, "how long a request's headers may take before 408"] = 10.0
    body_seconds: Annotated[float, "how long a request's body may take before 408"] = 60.0
    idle_seconds: Annotated[float, "how long a connection without a request stays open"] = 75.0
    stall_seconds: Annotated[float, "how long a client may leave its response unread before it is cut off"] = 60.0
    linger_seconds: Annotated[float, "how long a refused client's bytes are read away, so that it sees the answer"] = (
        2.0
    )

    connect_seconds: Annotated[float, "how long connecting to a replica may take before another is tried"] = 2.0
    response_seconds: Annotated[float, "how long a replica may be silent before 504"] = 600.0
    retries: Annotated[int, "further replicas to try while no byte of a response has come"] = 2
    upstream_idle_seconds: Annotated[
        float, "how long a connection to a replica is kept; vLLM closes its own after 5"
    ] = 4.0
    upstream_idle_max: Annotated[int, "idle connections kept per replica"] = 256

    drain_delay_seconds: Annotated[float, "after SIGTERM, how long new connections are still taken"] = 5.0
    drain_seconds: Annotated[float, "after that, how long requests in flight may go on"] = 120.0
    sweep_seconds: Annotated[float, "how often time-outs are looked at: they are late by this much at most"] = 0.5
    access_log: Annotated[bool, "one JSON line per request on standard output"] = True

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, float) and not math.isfinite(value):  # nothing is above or below NaN
                raise ValueError(f"{flag_of(each.name)} is {value}: it must be a finite number")
            if isinstance(value, int | float) and not isinstance(value, bool) and value < 0:
                raise ValueError(f"{flag_of(each.name)} is {value}: it must not be negative")
        if self.sweep_seconds == 0:
            raise ValueError("--sweep-seconds is 0: it must be above 0")


DEFAULTS = {each.name: each.default for each in fields(Settings)}


def flag_of(name: str) -> str:
    return "--" + name.replace("_", "-")


def variable_of(name: str) -> str:
    return VARIABLE_PREFIX + name.upper()


def _switch(text: str) -> bool:
    if text not in ("on", "off"):
        raise ValueError(f"{text!r} is neither on nor off")
    return text == "on"


def _read(name: str, text: str) -> object:
    """The value that `text` means, by the kind of the default. Raises ValueError that names flag and variable."""
    default = DEFAULTS[name]
    kind: Callable[[str], object] = Path
    if isinstance(default, Listen):
        kind = Listen.parse
    elif isinstance(default, bool):
        kind = _switch
    elif default is not None:
        kind = type(default)
    try:
        return kind(text)
    except ValueError as problem:
        raise ValueError(f"{flag_of(name)} ({variable_of(name)}): {problem}") from problem


def _shown(default: object) -> object:
    if isinstance(default, Listen):
        return f"{default.host}:{default.port}"
    return "on" if default is True else default


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="slipway_gateway", description="One OpenAI address for every InferenceService."
    )
    hints = get_type_hints(Settings, include_extras=True)
    for name, default in DEFAULTS.items():
        said = f"{hints[name].__metadata__[0]} (default {_shown(default)}; {variable_of(name)})"
        found.add_argument(flag_of(name), default=argparse.SUPPRESS, metavar="VALUE", help=said)
    return found


def load(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from flags, then variables, then defaults. A value that cannot be read ends the program, with a
    sentence.
    """
    reading = parser()
    given = {name: environment[variable_of(name)] for name in DEFAULTS if variable_of(name) in environment}
    given |= vars(reading.parse_args(arguments))
    try:
        values: dict[str, Any] = {name: _read(name, text) for name, text in given.items()}
        return Settings(**values)
    except ValueError as problem:
        reading.error(str(problem))
