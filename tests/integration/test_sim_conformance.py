"""The emulated API server held to the real one: every conformance case, and random sequences, on both, compared.

Everything that both answer is compared step by step: status, reason, fields of a refusal, the resulting object and who
owns which of its fields.
"""

import http.client
import itertools
import json
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from tests.controlplane.apiserver import ApiServer
from tests.sim import (  # noqa: F401
    conformance_apply,
    conformance_core,
    conformance_deletes,
    conformance_hindered,
    conformance_objects,
    conformance_random,
    conformance_watch,
)
from tests.sim.apiserver import definitions
from tests.sim.apiserver.shapes import TYPES
from tests.sim.apiserver.typemaker import types_in
from tests.sim.conformance import CASES, Bench, Call, Note, Obj
from tests.sim.emulated import EmulatedServer

SEEDS = range(3)
STEPS = 200
_numbers = itertools.count()


class RealServer:
    """The real server behind conformance.Call, over one connection."""

    def __init__(self, server: ApiServer) -> None:
        self._headers = {"Authorization": f"Bearer {server.token}"}
        tls = ssl.create_default_context(cafile=str(server.ca_file))
        self._connection = http.client.HTTPSConnection(urlsplit(server.url).netloc, context=tls, timeout=60)

    def close(self) -> None:
        self._connection.close()

    def call(
        self, method: str, path: str, query: dict[str, str], body: Obj | None, content_type: str
    ) -> tuple[int, Obj]:
        target = f"{path}?{urlencode(query)}" if query else path
        data = None if body is None else json.dumps(body)
        self._connection.request(method, target, data, self._headers | {"Content-Type": content_type})
        response = self._connection.getresponse()
        text = response.read().decode()
        if query.get("watch"):
            return response.status, {"events": [json.loads(line) for line in text.splitlines()]}
        try:
            return response.status, dict(json.loads(text))
        except ValueError:
            return response.status, {"message": text}


@pytest.fixture(scope="module")
def real(kube_api: ApiServer) -> Iterator[RealServer]:
    """The real server with the very CRDs of the emulated one."""
    crds: Any = {"apiVersion": "v1", "kind": "List", "items": list(definitions())}
    kube_api.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(crds))
    names = [f"crd/{each['metadata']['name']}" for each in definitions()]
    kube_api.kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)
    for each in definitions():
        version = each["spec"]["versions"][0]["name"]
        kube_api.kubectl("get", "--raw", f"/apis/{each['spec']['group']}/{version}/{each['spec']['names']['plural']}")
    server = RealServer(kube_api)
    yield server
    server.close()


@pytest.fixture(scope="module")
def emulated() -> EmulatedServer:
    return EmulatedServer(managed_fields=True)


def bench(call: Call, namespace: str) -> Bench:
    status, answer = call("POST", "/api/v1/namespaces", {}, {"metadata": {"name": namespace}}, "application/json")
    assert status == 201, answer
    return Bench(call, namespace)


def assert_same(emulated: list[Note], real: list[Note]) -> None:
    for step, (ours, theirs) in enumerate(itertools.zip_longest(emulated, real)):
        assert ours == theirs, f"step {step}:\nemulated {ours}\nreal     {theirs}"


@pytest.mark.parametrize("name", CASES)
def test_case(real: RealServer, emulated: EmulatedServer, name: str) -> None:
    namespace = f"conformance-{next(_numbers)}"
    notes = []
    for call in (emulated.call, real.call):
        made = bench(call, namespace)
        CASES[name](made)
        notes.append(made.notes)
    assert_same(*notes)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("plural", conformance_random.KINDS)
def test_random_sequence(real: RealServer, emulated: EmulatedServer, plural: str, seed: int) -> None:
    namespace = f"random-{next(_numbers)}"
    notes = []
    for call in (emulated.call, real.call):
        made = bench(call, namespace)
        conformance_random.run(made, seed, plural, STEPS)
        notes.append(made.notes)
    assert_same(*notes)
    assert sum(note.status in (200, 201) for note in notes[0]) > STEPS / 4, "the sequence does next to nothing"


MARKS = ("kept", "always", "null")  # what the Go types add
DOCUMENTS = (
    "api/v1",
    "apis/apps/v1",
    "apis/coordination.k8s.io/v1",
    "apis/discovery.k8s.io/v1",
    "apis/events.k8s.io/v1",
)


def test_the_types_are_those_of_the_server(real: RealServer) -> None:
    """types.json is made by hand with typemaker.py: this says when it has to be made again."""
    served: dict[str, Obj] = {}
    for document in DOCUMENTS:
        _, answer = real.call("GET", f"/openapi/v3/{document}", {}, None, "application/json")
        served |= answer["components"]["schemas"]
    known = json.loads(TYPES.read_text())
    assert {name: unmarked(schema) for name, schema in known.items()} == types_in(served)


def unmarked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: unmarked(below) for key, below in value.items() if key not in MARKS or isinstance(below, dict)}
    return value
