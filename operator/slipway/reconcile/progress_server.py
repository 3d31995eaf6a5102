"""POST /v1/progress: rank 0 tells how far it is, with its pod's own token, so that pods need no RBAC.

Answers: 204; 401 not a valid token for us; 403 not a pod of a job; 400 bad body; 429 (the pod reports too often, or
its address sent too many invalid tokens) and 503 with Retry-After. The cheap checks come first, and the
body is believed only after the token.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from ..kube.errors import ApiError
from ..kube.kinds import TRAINING_JOB
from ..plan.labels import TRAINING_JOB as TRAINING_JOB_LABEL
from ..plan.observed import Pod, Reported
from ..telemetry.metrics import Metrics
from ..telemetry.port import Limits
from .index import Index
from .keys import Key
from .limiter import Limiter
from .progress import ProgressStore
from .tokens import Tokens, TooManyFailed

PATH = "/v1/progress"
LIMITS = Limits(connections=512, per_address=64)  # pods may share an address behind a translation
BODY_BYTES = 4096
TOKEN_BYTES = 4096
PER_SECOND, BURST = 1.0, 10.0  # reports per pod
COUNT = Annotated[int, Field(ge=0, le=2**53)]
SECONDS = Annotated[str, Field(max_length=24, pattern=r"^[0-9]{1,12}(\.[0-9]{1,9})?$")]
PERCENT = Annotated[str, Field(max_length=12, pattern=r"^[0-9]{1,3}(\.[0-9]{1,6})?$")]
RANK = Annotated[int, Field(ge=0, lt=1000 * 16)]  # the most that spec.nodes and spec.perNode make
NODE = Annotated[str, Field(max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]


class Report(BaseModel):
    """The body. Decimals are strings, as in the API; unknown fields are refused."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, strict=True)

    step: COUNT
    total_steps: COUNT = 0
    loss: (
        Annotated[str, Field(max_length=24, pattern=r"^(-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]{1,3})?|nan|inf|-inf)$")] | None
    ) = None
    tokens_per_second: COUNT | None = None
    last_checkpoint_step: COUNT | None = None
    step_seconds_p50: SECONDS | None = None
    step_seconds_p99: SECONDS | None = None
    mfu_percent: PERCENT | None = None
    productive_seconds: SECONDS | None = None
    checkpoint_seconds: SECONDS | None = None
    bad_rows: COUNT | None = None
    slow_rank: RANK | None = None
    slow_node: NODE | None = None


@dataclass(frozen=True, slots=True)
class Denied(Exception):
    """An answer other than 204."""

    status: int
    message: str
    retry_after_seconds: int | None = None


class ProgressServer:
    def __init__(
        self,
        index: Index,
        store: ProgressStore,
        tokens: Tokens,
        metrics: Metrics,
        *,
        leading: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._index, self._store, self._tokens, self._metrics = index, store, tokens, metrics
        self._leading, self._wall = leading, wall
        self._limiter = Limiter(clock, per_second=PER_SECOND, burst=BURST)

    def application(self) -> web.Application:
        application = web.Application(client_max_size=BODY_BYTES)
        application.router.add_post(PATH, self._handle)
        return application

    async def _handle(self, request: web.Request) -> web.Response:
        try:
            await self._take(request)
            response = web.Response(status=204)
        except Denied as denied:
            seconds = denied.retry_after_seconds
            headers = {} if seconds is None else {"Retry-After": str(seconds)}
            response = web.json_response({"error": denied.message}, status=denied.status, headers=headers)
        self._metrics.progress.labels(str(response.status)).inc()
        return response

    async def _take(self, request: web.Request) -> None:
        if not self._leading():
            raise Denied(503, "this replica does not lead: ask again, the address follows the leader", 2)
        pod = await self._pod(_bearer(request), request.remote or "")
        if not self._limiter.take(pod.uid):
            raise Denied(429, f"pod {pod.name} reports too often: at most {PER_SECOND:.0f} per second", 1)
        report = await _body(request)
        key = Key(TRAINING_JOB.kind, pod.namespace, pod.labels[TRAINING_JOB_LABEL])
        owner = self._index.owner(key)
        if owner is None:
            raise Denied(403, f"there is no TrainingJob {key.namespace}/{key.name}")
        reported = Reported(pod_uid=pod.uid, received=self._wall(), **report.model_dump())
        self._store.report(key, owner.uid, reported)

    async def _pod(self, token: str, address: str) -> Pod:
        try:
            caller = await self._tokens.caller(token, address)
        except ApiError as error:
            raise Denied(503, f"the token could not be checked: {error}", 5) from error
        except TooManyFailed:
            raise Denied(429, "too many tokens from this address were not valid: come back later", 1) from None
        if caller is None:
            raise Denied(401, "the token is not valid here: send a service account token for our audience")
        pod = self._index.pod(caller.namespace, caller.pod_name)
        if pod is None or pod.uid != caller.pod_uid or TRAINING_JOB_LABEL not in pod.labels:
            raise Denied(403, "the token is not bound to a pod of a TrainingJob")
        return pod


def _bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > TOKEN_BYTES:
        raise Denied(401, "send the pod's token: Authorization: Bearer <token>")
    return token


async def _body(request: web.Request) -> Report:
    try:
        return Report.model_validate_json(await request.read())
    except web.HTTPRequestEntityTooLarge:
        raise Denied(400, f"the body is larger than {BODY_BYTES} bytes") from None
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors()[:3])
        raise Denied(400, f"the body is not a progress report: {found}") from None
