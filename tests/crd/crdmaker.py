"""How a case asks the API server: strict creates, merge patches and reads, in the namespace `default`."""

import json

from tests.controlplane.apiserver import ApiServer

from .crdtable import COLLECTIONS, Obj


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
