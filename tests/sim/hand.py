"""A client for everybody but the operator: one request at a time, without a network, that says when it is refused."""

from typing import Any

from slipway.kube.client import APPLY, JSON, MERGE
from slipway.kube.kinds import ACCELERATOR, TABLE, Resource, collection_path
from slipway.plan.observed import Obj

from .apiserver import Emulator, definitions
from .apiserver.kinds import ADMISSION, QUOTA
from .apiserver.server import DEFINITIONS

RESOURCES = {**TABLE, **{(each.api_version, each.kind): each for each in (QUOTA, *ADMISSION)}}
BY_FULL = {resource.full: resource for resource in RESOURCES.values()}
AT_CLUSTER_SCOPE = frozenset(resource.full for resource in (ACCELERATOR, *ADMISSION))


class Refused(Exception):
    """The API server said no to somebody who is not the operator."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status, self.message = status, message


class Hand:
    """Requests as `user`. `resource` is `plural.group`, as everywhere."""

    def __init__(self, api: Emulator, user: str) -> None:
        self._api, self._user = api, user

    def get(self, resource: str, namespace: str, name: str) -> Obj | None:
        answer = self._api.request("GET", path(resource, namespace, name), user=self._user)
        return answer.body if answer.status == 200 else None

    def list(self, resource: str, namespace: str | None = None, selector: str = "") -> list[Obj]:
        """Nothing of a kind that is not served."""
        return self._api.list(resource, namespace, selector)[0] if self._api.serves(resource) else []

    def create(self, body: Obj) -> Obj:
        resource, namespace = RESOURCES[body["apiVersion"], body["kind"]], body["metadata"].get("namespace", "")
        return self._do("POST", collection_path(resource.api_version, resource.plural, namespace), body)

    def install(self, resource: str) -> None:
        """Make the CRD of a kind."""
        self._do("POST", DEFINITIONS, next(each for each in definitions() if each["metadata"]["name"] == resource))

    def uninstall(self, resource: str) -> None:
        """Delete the CRD of a kind, and so everything of it."""
        self._do("DELETE", f"{DEFINITIONS}/{resource}", {})

    def merge(self, resource: str, namespace: str, name: str, patch: Obj, subresource: str = "") -> Obj:
        below = f"/{subresource}" if subresource else ""
        return self._do("PATCH", path(resource, namespace, name) + below, patch, MERGE)

    def apply(self, body: Obj, manager: str) -> Obj:
        resource, metadata = RESOURCES[body["apiVersion"], body["kind"]], body["metadata"]
        where = path(resource.full, metadata["namespace"], metadata["name"])
        return self._do("PATCH", where, body, APPLY, {"fieldManager": manager, "force": "true"})

    def replace(self, resource: str, body: Obj, subresource: str = "") -> Obj:
        metadata = body["metadata"]
        below = f"/{subresource}" if subresource else ""
        return self._do("PUT", path(resource, metadata["namespace"], metadata["name"]) + below, body)

    def delete(self, resource: str, namespace: str, name: str, **options: Any) -> None:
        self._do("DELETE", path(resource, namespace, name), {"apiVersion": "v1", "kind": "DeleteOptions", **options})

    def _do(
        self, method: str, where: str, body: Obj, content_type: str = JSON, query: dict[str, str] | None = None
    ) -> Obj:
        answer = self._api.request(
            method, where, query=query or {}, body=body, content_type=content_type, user=self._user
        )
        if answer.status >= 400:
            raise Refused(answer.status, str(answer.body.get("message")))
        return answer.body


def path(resource: str, namespace: str, name: str) -> str:
    found: Resource = BY_FULL[resource]
    scope = "" if resource in AT_CLUSTER_SCOPE else namespace
    return f"{collection_path(found.api_version, found.plural, scope)}/{name}"
