"""The real API server with Slipway's CRDs, and how a case asks it."""

import json
from pathlib import Path
from typing import Any

import pytest
from controlplane.apiserver import ApiServer
from crdtable import COLLECTIONS, Obj

CHART = Path(__file__).parents[2] / "charts" / "slipway-crds" / "templates"


@pytest.fixture(scope="session")
def crds(kube_api: ApiServer) -> ApiServer:
    """The API server once it serves both kinds from the committed files."""
    kube_api.kubectl("apply", "--server-side", "-f", str(CHART))
    kube_api.kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", str(CHART))
    for (
        collection
    ) in COLLECTIONS.values():  # waits until the storage is open: kubectl repeats a 429, a plain GET would not
        kube_api.kubectl("get", "--raw", collection)
    return kube_api


@pytest.fixture
def make(crds: ApiServer) -> "Maker":
    return Maker(crds)


class Maker:
    """Creates objects under names that no other test has; dry runs leave nothing behind."""

    count = 0

    def __init__(self, server: ApiServer) -> None:
        self.server = server

    def dry_run(self, body: Obj) -> tuple[int, str]:
        """Status and message of a strict create that stores nothing."""
        query = "?fieldValidation=Strict&dryRun=All"
        status, answer = self.server.request("POST", COLLECTIONS[body["kind"]] + query, body)
        return status, str(answer.get("message", ""))

    def create(self, body: Obj) -> Obj:
        """The stored object, under a new name."""
        Maker.count += 1
        named = body | {"metadata": {"name": f"case-{Maker.count}"}}
        status, answer = self.server.request("POST", COLLECTIONS[body["kind"]] + "?fieldValidation=Strict", named)
        assert status == 201, json.dumps(answer)
        return answer

    def merge(self, stored: Obj, change: Obj, subresource: str = "", *, dry_run: bool = False) -> tuple[int, Obj]:
        """A strict merge patch of the object, or of its `/status` or `/scale`."""
        path = f"{COLLECTIONS[stored['kind']]}/{stored['metadata']['name']}{subresource}?fieldValidation=Strict"
        return self.server.request(
            "PATCH", path + ("&dryRun=All" if dry_run else ""), change, content_type="application/merge-patch+json"
        )

    def read(self, stored: Obj, subresource: str = "") -> Obj:
        path = f"{COLLECTIONS[stored['kind']]}/{stored['metadata']['name']}{subresource}"
        status, answer = self.server.request("GET", path)
        assert status == 200, answer
        return answer

    def kubectl(self, *arguments: str) -> str:
        return self.server.kubectl(*arguments)

    def seen(self, stored: Obj, *arguments: str) -> Any:  # noqa: ANN401
        return json.loads(self.kubectl("get", stored["kind"], stored["metadata"]["name"], "-o", "json", *arguments))
