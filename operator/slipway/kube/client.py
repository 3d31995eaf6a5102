"""Requests to the API server, without a model layer: JSON in, JSON out, ApiError for everything else.

Nothing is retried here. Whoever asks knows what may be repeated: the queue repeats a visit, the lease its renewal.
"""

import asyncio
from collections.abc import Mapping

import aiohttp

from ..plan.observed import Obj, Ref
from ..telemetry.metrics import Metrics
from . import connect, wire
from .errors import NOT_FOUND, UNAUTHORIZED, ApiError, from_answer
from .kinds import POD, TOKEN_REVIEW, collection_path, object_path, resource_of

JSON = "application/json"
APPLY = "application/apply-patch+yaml"  # JSON is YAML
MERGE = "application/merge-patch+json"

DRY_RUN = {"dryRun": "All", "fieldValidation": "Strict"}  # else a field that the server lacks is dropped unsaid

TIMEOUT_SECONDS = 30.0
CONNECT_SECONDS = 5.0
CONNECTIONS = 64
UNTIMED = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)  # `request` bounds the whole


class KubeClient:
    """One connection pool to one API server. `await close()` when done."""

    def __init__(self, configuration: connect.Connection, metrics: Metrics) -> None:
        self.configuration = configuration
        self._metrics = metrics
        self._base = str(configuration.host).rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            tls = connect.ssl_context(self.configuration) if self._base.startswith("https") else False
            connector = aiohttp.TCPConnector(limit=CONNECTIONS, ssl=tls)
            self._session = aiohttp.ClientSession(connector=connector, headers={"User-Agent": "slipway"})
        return self._session

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Obj | None = None,
        content_type: str = JSON,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> Obj:
        """The answer's JSON. Raises ApiError: with the server's status, or 0 when no answer came in time.

        `timeout_seconds` bounds everything, the wait for a free connection included: a write that has not begun when
        the lease runs out never begins.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                status, text, headers = await self._exchange(method, path, query, body, content_type)
        except TimeoutError:
            self._metrics.requests.labels(method=method, code="timeout").inc()
            raise ApiError(0, "Timeout", f"{method} {path}: no answer within {timeout_seconds:.1f} s") from None
        except (aiohttp.ClientError, OSError) as error:
            self._metrics.requests.labels(method=method, code="error").inc()
            raise ApiError(0, "Unreachable", f"{method} {path}: {error or type(error).__name__}") from error
        self._metrics.requests.labels(method=method, code=str(status)).inc()
        answer = _parse(text)
        if status == UNAUTHORIZED:  # for whoever repeats the request
            connect.reload(self.configuration)
        if status >= 400 or not isinstance(answer, dict):
            titled = {name.title(): value for name, value in headers.items()}
            raise from_answer(status, answer, titled, request=f"{method} {path}")
        return answer

    async def _exchange(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Obj | None, content_type: str
    ) -> tuple[int, bytes, Mapping[str, str]]:
        headers = {"Accept": JSON}
        if token := await connect.authorization(self.configuration):
            headers["Authorization"] = token
        data = None
        if body is not None:
            headers["Content-Type"] = content_type
            data = wire.dumps(body)
        async with self._open().request(
            method,
            self._base + path,
            params=query,
            data=data,
            headers=headers,
            timeout=UNTIMED,
        ) as response:
            return response.status, await response.read(), response.headers

    async def get(self, target: Ref, *, timeout_seconds: float = TIMEOUT_SECONDS) -> Obj | None:
        """The object as it is now, or None when there is none (or no such kind)."""
        try:
            return await self.request("GET", object_path(target), timeout_seconds=timeout_seconds)
        except ApiError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    async def list_pods(self, namespace: str, selector: str) -> list[Obj]:
        """Pods as they are now (a consistent read), without pages: callers ask for one owner's."""
        path = collection_path(POD.api_version, POD.plural, namespace)
        answer = await self.request("GET", path, query={"labelSelector": selector})
        return list(answer.get("items") or [])

    async def serves(self, api_version: str, plural: str) -> bool:
        """Whether the cluster serves a kind now."""
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        try:
            answer = await self.request("GET", root)
        except ApiError as error:
            if error.status == NOT_FOUND:
                return False
            raise
        return any(r.get("name") == plural for r in answer.get("resources") or [])

    async def apply(
        self, target: Ref, body: Obj, *, manager: str, subresource: str = "", timeout_seconds: float = TIMEOUT_SECONDS
    ) -> Obj:
        """Server-side apply, forced: our fields are ours."""
        path = object_path(target) + (f"/{subresource}" if subresource else "")
        query = {"fieldManager": manager, "force": "true"}
        return await self.request(
            "PATCH", path, query=query, body=body, content_type=APPLY, timeout_seconds=timeout_seconds
        )

    async def create(
        self, body: Obj, *, manager: str = "", dry_run: bool = False, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> Obj:
        resource = resource_of(body)
        path = collection_path(resource.api_version, resource.plural, body.get("metadata", {}).get("namespace", ""))
        query = ({"fieldManager": manager} if manager else {}) | (DRY_RUN if dry_run else {})
        return await self.request("POST", path, query=query, body=body, timeout_seconds=timeout_seconds)

    async def replace(self, target: Ref, body: Obj, *, timeout_seconds: float = TIMEOUT_SECONDS) -> Obj:
        """PUT: with a resourceVersion in the body, only if nobody else wrote since."""
        return await self.request("PUT", object_path(target), body=body, timeout_seconds=timeout_seconds)

    async def merge(self, target: Ref, body: Obj, *, timeout_seconds: float = TIMEOUT_SECONDS) -> Obj:
        return await self.request(
            "PATCH", object_path(target), body=body, content_type=MERGE, timeout_seconds=timeout_seconds
        )

    async def delete(
        self, target: Ref, uid: str, *, version: str = "", timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        """Delete this very object, with `version` in this very state: another one of the name is left alone (409)."""
        preconditions = {"uid": uid} | ({"resourceVersion": version} if version else {})
        options = {"preconditions": preconditions, "propagationPolicy": "Background"}
        body = {"apiVersion": "v1", "kind": "DeleteOptions"} | options
        await self.request("DELETE", object_path(target), body=body, timeout_seconds=timeout_seconds)

    async def review_token(self, token: str, audience: str) -> Obj:
        """The status of a TokenReview for `token`, asked for one audience."""
        body = {
            "apiVersion": TOKEN_REVIEW.api_version,
            "kind": TOKEN_REVIEW.kind,
            "spec": {"token": token, "audiences": [audience]},
        }
        answer = await self.create(body, timeout_seconds=10.0)
        return dict(answer.get("status") or {})


def _parse(text: bytes) -> object:
    try:
        return wire.loads(text)
    except ValueError:
        return text.decode(errors="replace")
