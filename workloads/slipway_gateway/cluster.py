"""The way to the API server: address, certificates and token from kubernetes.aio, requests by aiohttp.

kubernetes.aio's own watch builds a model object per event; the gateway wants plain JSON, bookmarks and its own retries.
"""

import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from aiohappyeyeballs import AddrInfoType
from kubernetes.aio import client, config
from kubernetes.aio.client.rest import RESTClientObject

from .sockets import tune_socket

LIST_SECONDS = 60.0
CONNECT_SECONDS = 10.0
WATCH_GRACE_SECONDS = 15.0  # beyond the time after which the API server ends a watch by itself
RECURSION_LIMIT = 25_000
IN_CLUSTER_VARIABLE = "KUBERNETES_SERVICE_HOST"


class Expired(Exception):
    """410: the resource version is too old; list again."""


class Unavailable(Exception):
    """The API server refused or failed; try again later."""


async def configuration(kubeconfig: Path | None) -> Any:  # noqa: ANN401
    """Of kubernetes.aio: from the file if one is given, else from the pod, else from the user's kubeconfig.

    Raises ValueError where none of them leads anywhere.
    """
    found = client.Configuration()
    try:
        await _load(found, kubeconfig)
    except config.ConfigException as problem:
        raise ValueError(f"no way to an API server ({problem}): give --kubeconfig, or --routes") from problem
    return found


async def _load(found: Any, kubeconfig: Path | None) -> None:  # noqa: ANN401
    if kubeconfig is not None:
        await config.load_kube_config(config_file=str(kubeconfig), client_configuration=found)
    elif os.environ.get(IN_CLUSTER_VARIABLE):
        config.load_incluster_config(client_configuration=found)
    else:
        await config.load_kube_config(client_configuration=found)


class Cluster:
    """List and watch as JSON. Close it when done."""

    def __init__(self, configuration: Any) -> None:  # noqa: ANN401
        self._configuration = configuration
        context = RESTClientObject(configuration).ssl_context
        connector = aiohttp.TCPConnector(ssl=context, socket_factory=_socket)
        self._session = aiohttp.ClientSession(connector=connector)

    async def close(self) -> None:
        await self._session.close()

    async def list(self, path: str, parameters: dict[str, str]) -> dict[str, Any]:
        """One page. Raises Expired, Unavailable."""
        limits = aiohttp.ClientTimeout(total=LIST_SECONDS)
        async with self._get(path, parameters, limits) as response:
            found = decode(await response.read())
        if not isinstance(found, dict):
            raise Unavailable(f"GET {path} answered something else than a list")
        return found

    async def watch(self, path: str, parameters: dict[str, str], seconds: int) -> AsyncIterator[dict[str, Any]]:
        """Events as they come, until the API server ends the watch after `seconds`. Raises Expired, Unavailable."""
        limits = aiohttp.ClientTimeout(total=seconds + WATCH_GRACE_SECONDS, sock_connect=CONNECT_SECONDS)
        watching = {**parameters, "watch": "1", "timeoutSeconds": str(seconds)}
        async with self._get(path, watching, limits) as response:
            rest = b""
            async for piece in response.content.iter_any():
                *lines, rest = (rest + piece).split(b"\n")  # an object may be larger than any line buffer
                for line in lines:
                    if line.strip():
                        yield _event(line)

    @asynccontextmanager
    async def _get(
        self, path: str, parameters: dict[str, str], limits: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A response of status 200; whatever goes wrong until its end becomes Expired or Unavailable."""
        url = self._configuration.host.rstrip("/") + path
        try:
            headers = await self._headers()
            async with self._session.get(url, params=parameters, headers=headers, timeout=limits) as response:
                await _check(response)
                yield response
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as problem:
            raise Unavailable(f"GET {path}: {problem!r}") from problem

    async def _headers(self) -> dict[str, str]:
        """Fresh for each request: the token in a pod is replaced about hourly."""
        found = {"accept": "application/json"}
        for setting in (await self._configuration.auth_settings()).values():
            if setting["in"] == "header" and setting["value"]:
                found[setting["key"]] = setting["value"]
        return found


async def _check(response: aiohttp.ClientResponse) -> None:
    if response.status == 410:
        raise Expired
    if response.status != 200:
        text = (await response.text())[:500]
        raise Unavailable(f"GET {response.url.path} answered {response.status}: {text}")


def decode(text: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """JSON, however deep. Raises ValueError.

    orjson stops at 1,024 levels and the API server at ten thousand, in fields that are open: one such InferenceService,
    of anybody's, must not keep the gateway from learning of all others.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(max(limit, RECURSION_LIMIT))
        try:
            return json.loads(text)
        finally:
            sys.setrecursionlimit(limit)


def _event(line: bytes) -> dict[str, Any]:
    event = decode(line)
    if event["type"] == "ERROR":
        if event["object"].get("code") == 410:
            raise Expired
        raise Unavailable(f"the watch ended with {event['object'].get('message', event['object'])}")
    found: dict[str, Any] = event
    return found


def _socket(address: AddrInfoType) -> socket.socket:
    """A dead API server is noticed by keep-alive probes, not when the watch would have ended."""
    family, kind, protocol, _, _ = address
    found = socket.socket(family, kind, protocol)
    found.setblocking(False)
    if family in (socket.AF_INET, socket.AF_INET6):
        tune_socket(found)
    return found
