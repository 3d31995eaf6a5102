"""`slipway status`: all of Slipway's resources in a cluster with the reasons of their conditions, read once.

With `--watch` see watching.py.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from kubernetes.aio import client

from ..api.common import GROUP, VERSION
from ..api.crd import REPORTED
from ..kube import connect
from ..kube.connect import NAME_ONE
from ..plan.observed import Obj

HEAD = ("NAMESPACE", "KIND", "NAME", "READY", "REASON", "CONDITIONS", "MESSAGE")
NOT_FOUND, TOO_MANY_REQUESTS = 404, 429
ATTEMPTS = 5
RETRY_SECONDS = 1.0
MESSAGE_MAX = 120  # characters; `kubectl describe` has the rest


class Unreadable(RuntimeError):
    """The cluster did not answer with the resources; the message says which and why."""


class Busy(Unreadable):
    """The API server asked to be asked again."""


def status(namespace: str | None) -> str:
    """The table, of one namespace or of all. Raises Unreadable."""
    return table(asyncio.run(read_all(namespace)))


async def read_all(namespace: str | None) -> list[Obj]:
    """Slipway's resources, as the kubeconfig (or the pod's account) may see them. Raises Unreadable."""
    async with connected() as custom:
        return [item for kind in REPORTED for item in (await read(custom, kind.plural, namespace))["items"]]


@asynccontextmanager
async def connected() -> AsyncIterator[Any]:
    """kubernetes.aio's CustomObjectsApi. Raises Unreadable where nothing says how to reach a cluster."""
    async with await _client() as api:
        yield client.CustomObjectsApi(api)


async def _client() -> Any:  # noqa: ANN401 - of a library that is not typed
    try:
        with connect.explained():
            return client.ApiClient(await connect.load_configuration())
    except connect.Unconfigured as error:
        raise Unreadable(str(error)) from error


async def read(custom: Any, plural: str, namespace: str | None) -> Obj:  # noqa: ANN401
    """The list of one kind. A busy server is asked again: it says 429 while it opens the storage of a new kind.

    Raises Unreadable.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return await _once(custom, plural, namespace)
        except Busy:
            await asyncio.sleep(RETRY_SECONDS)
    return await _once(custom, plural, namespace)


async def _once(custom: Any, plural: str, namespace: str | None) -> Obj:  # noqa: ANN401
    try:
        listed = await _list(custom, plural, namespace)
    except client.ApiException as error:
        raise (Busy if error.status == TOO_MANY_REQUESTS else Unreadable)(explained(plural, error)) from error
    except (OSError, aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
        raise Unreadable(f"the API server does not answer: {error}") from error
    except (aiohttp.ClientError, ValueError, RecursionError) as error:  # no HTTP, no JSON, a redirection without an end
        raise Unreadable(_stranger(plural, f"{type(error).__name__}: {error}")) from error
    if not _is_list(listed):
        raise Unreadable(_stranger(plural, "it is no list of them"))
    return listed


def _stranger(plural: str, why: str) -> str:
    return f"the answer about {plural}.{GROUP} is none of a Kubernetes API server ({plain(why)}): {NAME_ONE}"


def _is_list(answer: object) -> bool:
    """Whether all is there that an API server's list always has, and that is looked at."""
    if not isinstance(answer, dict) or not isinstance(answer.get("items"), list):
        return False
    return "resourceVersion" in _metadata(answer) and all(
        isinstance(item, dict) and "kind" in item and {"namespace", "name"} <= _metadata(item).keys()
        for item in answer["items"]
    )


def _metadata(body: Obj) -> Obj:
    metadata = body.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


async def _list(custom: Any, plural: str, namespace: str | None) -> Obj:  # noqa: ANN401
    if namespace is None:
        listed: Obj = await custom.list_cluster_custom_object(GROUP, VERSION, plural)
    else:
        listed = await custom.list_namespaced_custom_object(GROUP, VERSION, namespace, plural)
    return listed


def explained(plural: str, error: Any) -> str:  # noqa: ANN401
    """An ApiException in a sentence, with what to do about it."""
    hint = ": install the CRDs (charts/slipway-crds)" if error.status == NOT_FOUND else ""
    return f"cannot list {plural}.{GROUP}: {error.status} {error.reason}{hint}"


def table(items: Iterable[Obj]) -> str:
    """One line for each resource, in columns as wide as they need."""
    rows = [HEAD, *(_row(item) for item in items)]
    if len(rows) == 1:
        return "No TrainingJob and no InferenceService.\n"
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines) + "\n"


def _row(item: Obj) -> tuple[str, ...]:
    conditions: list[Mapping[str, str]] = item.get("status", {}).get("conditions", [])
    ready = next((each for each in conditions if each["type"] == "Ready"), {})
    others = ",".join(f"{each['type']}={each['reason']}" for each in conditions if each["type"] != "Ready")
    return (
        item["metadata"]["namespace"],
        item["kind"],
        item["metadata"]["name"],
        ready.get("status", "Unknown"),
        ready.get("reason", "NotSeenYet"),
        others or "-",
        plain(ready.get("message", "")),
    )


def plain(text: str) -> str:
    """On one line, without control characters: a message may quote a tenant, whose escapes are not for a terminal."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= MESSAGE_MAX else line[: MESSAGE_MAX - 3] + "..."
