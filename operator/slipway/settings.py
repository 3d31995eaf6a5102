"""The one reader of the environment: every variable that changes what the operator does is named here.

Two kinds of variables are read elsewhere because a library owns them: `KUBECONFIG` and `KUBERNETES_SERVICE_*`
(kubernetes.aio), and `OTEL_*` (the OpenTelemetry SDK); of the latter, only whether an endpoint is set matters here.
A missing or malformed variable stops the start, and the message names it: a wrong image found at start is cheaper than
one found in a pod.
"""

import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar, get_args

from .api.common import Accelerator
from .plan.outcome import Defaults

T = TypeVar("T")

PULL_POLICIES = ("Always", "IfNotPresent", "Never")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
LOG_FORMATS = ("json", "text")
ACCELERATORS: tuple[str, ...] = get_args(Accelerator)
PRICE = re.compile(rf"({'|'.join(ACCELERATORS)}) *= *([0-9]{{1,9}}(?:\.[0-9]{{1,6}})?)")
CURRENCY_MAX = 8  # characters: api.trainingjob.Allocation


class SettingsError(ValueError):
    """A variable is missing or malformed; the message names the variable and says what to do."""


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """Leader election. A leader stops writing `renew_deadline_seconds` after its last successful renewal, which is
    earlier than others may take over (`duration_seconds`); the difference absorbs requests in flight."""

    namespace: str
    name: str
    identity: str
    duration_seconds: float
    renew_deadline_seconds: float
    retry_seconds: float


@dataclass(frozen=True, slots=True)
class Settings:
    defaults: Defaults
    namespace: str
    pod_name: str
    pod_ip: str  # "" outside a cluster: then no leader address is published
    watch_namespaces: tuple[str, ...]  # empty: all
    lease: LeaseSettings
    leader_service: str
    writes_per_second: float
    write_burst: int
    concurrency: int  # visits at once
    progress_seconds: float  # at most one status write for progress in this time, per job
    health_port: int
    progress_port: int
    log_level: str
    log_format: str
    tracing: bool


class Reader:
    """Reads typed variables and remembers what is wrong, so that all mistakes are reported at once."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.problems: list[str] = []

    def text(self, name: str, default: str = "") -> str:
        return self._environment.get(name, "").strip() or default

    def required(self, name: str) -> str:
        value = self.text(name)
        if not value:
            self.problems.append(f"{name} is not set: give it a value")
        return value

    def one_of(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        value = self.text(name, default)
        if value not in allowed:
            self.problems.append(f"{name} is {value!r}: use one of {', '.join(allowed)}")
        return value

    def positive(self, name: str, parse: Callable[[str], T], default: T) -> T:
        """A number above zero; `parse` is int or float."""
        value = self.text(name)
        if not value:
            return default
        try:
            number = parse(value)
        except ValueError:
            number = None
        # `not (n > 0)` also refuses NaN, and infinity is no duration.
        if number is None or not 0 < float(number) < float("inf"):  # type: ignore[arg-type]
            self.problems.append(f"{name} is {value!r}: use a number above 0")
            return default
        return number

    def prices(self, name: str) -> tuple[tuple[str, Decimal], ...]:
        """What a device costs for an hour, by accelerator, written `nvidia=2.49,cpu=0.04`."""
        parts = [part.strip() for part in self.text(name).split(",") if part.strip()]
        matches = [match for part in parts if (match := PRICE.fullmatch(part))]
        found = [(match[1], Decimal(match[2])) for match in matches]
        if len(found) < len(parts) or len(dict(found)) < len(found):
            example = ",".join(f"{accelerator}=1.25" for accelerator in ACCELERATORS)
            self.problems.append(f"{name} is {self.text(name)!r}: write one decimal for each accelerator, as {example}")
        return tuple(found)

    def word(self, name: str, default: str, longest: int) -> str:
        value = self.text(name, default)
        if len(value) > longest or not value.isprintable() or " " in value:
            self.problems.append(f"{name} is {value!r}: use a word of at most {longest} characters")
        return value


def from_environment(environment: Mapping[str, str] | None = None, *, unique: str) -> Settings:
    """Settings from the process environment. `unique` makes this process's lease identity its own.

    Raises SettingsError with all problems in one message.
    """
    reader = Reader(os.environ if environment is None else environment)
    settings = _read(reader, unique)
    if reader.problems:
        raise SettingsError("the operator's environment is not usable: " + "; ".join(reader.problems))
    return settings


def _read(reader: Reader, unique: str) -> Settings:
    pod_name = reader.text("POD_NAME", socket.gethostname())
    namespace = reader.required("SLIPWAY_NAMESPACE")
    return Settings(
        defaults=_defaults(reader),
        namespace=namespace,
        pod_name=pod_name,
        pod_ip=reader.text("POD_IP"),
        watch_namespaces=tuple(sorted({n.strip() for n in reader.text("SLIPWAY_WATCH_NAMESPACES").split(",")} - {""})),
        lease=_lease(reader, namespace=namespace, identity=f"{pod_name}_{unique}"),
        leader_service=reader.text("SLIPWAY_LEADER_SERVICE", "slipway-leader"),
        writes_per_second=reader.positive("SLIPWAY_WRITES_PER_SECOND", float, 1000.0),
        write_burst=reader.positive("SLIPWAY_WRITE_BURST", int, 2000),
        concurrency=reader.positive("SLIPWAY_CONCURRENCY", int, 32),
        progress_seconds=reader.positive("SLIPWAY_PROGRESS_SECONDS", float, 30.0),
        health_port=reader.positive("SLIPWAY_HEALTH_PORT", int, 8080),
        progress_port=reader.positive("SLIPWAY_PROGRESS_PORT", int, 8090),
        log_level=reader.one_of("SLIPWAY_LOG_LEVEL", LOG_LEVELS, "INFO"),
        log_format=reader.one_of("SLIPWAY_LOG_FORMAT", LOG_FORMATS, "json"),
        tracing=bool(reader.text("OTEL_EXPORTER_OTLP_ENDPOINT") or reader.text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")),
    )


def _defaults(reader: Reader) -> Defaults:
    return Defaults(
        trainer_image=reader.required("SLIPWAY_TRAINER_IMAGE"),
        engine_sidecar_image=reader.required("SLIPWAY_ENGINE_IMAGE"),
        vllm_images=(
            ("cpu", reader.required("SLIPWAY_VLLM_CPU_IMAGE")),
            ("nvidia", reader.required("SLIPWAY_VLLM_NVIDIA_IMAGE")),
        ),
        sglang_images=(
            ("cpu", reader.text("SLIPWAY_SGLANG_CPU_IMAGE")),
            ("nvidia", reader.text("SLIPWAY_SGLANG_NVIDIA_IMAGE")),
        ),
        progress_url=reader.text("SLIPWAY_PROGRESS_URL"),
        gateway_url=reader.text("SLIPWAY_GATEWAY_URL"),
        prometheus_url=reader.text("SLIPWAY_PROMETHEUS_URL"),
        image_pull_policy=reader.one_of("SLIPWAY_IMAGE_PULL_POLICY", PULL_POLICIES, "IfNotPresent"),
        device_hour_prices=reader.prices("SLIPWAY_DEVICE_HOUR_PRICES"),
        currency=reader.word("SLIPWAY_CURRENCY", "USD", CURRENCY_MAX),
    )


def _lease(reader: Reader, *, namespace: str, identity: str) -> LeaseSettings:
    lease = LeaseSettings(
        namespace=namespace,
        name=reader.text("SLIPWAY_LEASE_NAME", "slipway"),
        identity=identity,
        duration_seconds=reader.positive("SLIPWAY_LEASE_DURATION_SECONDS", float, 15.0),
        renew_deadline_seconds=reader.positive("SLIPWAY_LEASE_RENEW_DEADLINE_SECONDS", float, 10.0),
        retry_seconds=reader.positive("SLIPWAY_LEASE_RETRY_SECONDS", float, 2.0),
    )
    if not lease.retry_seconds < lease.renew_deadline_seconds < lease.duration_seconds:
        reader.problems.append(
            "SLIPWAY_LEASE_RETRY_SECONDS must be below SLIPWAY_LEASE_RENEW_DEADLINE_SECONDS, and that below "
            "SLIPWAY_LEASE_DURATION_SECONDS: two operators could write at once otherwise"
        )
    if lease.duration_seconds != int(lease.duration_seconds) or lease.duration_seconds < 2:
        reader.problems.append(
            "SLIPWAY_LEASE_DURATION_SECONDS must be whole and at least 2: a Lease counts in seconds, and 1 says that it"
            " was given up"
        )
    return lease
