"""The table of core/v1's types against the API server that describes them, and against its decoder.

What is shown: the table is the server's own; what the operator calls a wrong type the server refuses to read; and what
the operator lets through it reads.
"""

import json
import runpy
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from slipway.plan.pod.types import core, mistyped
from tests.controlplane.apiserver import ApiServer

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "pod-types.py"))
TEMPLATES = "/api/v1/namespaces/default/podtemplates?dryRun=All&fieldValidation=Strict"
UNREADABLE = 400

Way = tuple[str, ...]  # names of fields from the PodSpec on; a list or a map on the way has one entry

WRONG: dict[str, list[Any]] = {
    "string": [5, True, {}, [], 0.5],
    "boolean": ["true", 1, 0, [], ""],
    "int32": ["5", 1.5, True, [], 2**31, -(2**31) - 1],
    "int64": ["5", 1.5, True, {}, 2**63],
    "quantity": ["two", "", "1GiB", "1 Gi", "--1", "1e", True, [], {}],
    "int-or-string": [True, 1.5, [], {}, 2**31],
    "[": [{}, "x", 5, True],
    "{": [[], "x", 5, True],
    "struct": [[], "x", 5, True],
}
RIGHT: dict[str, list[Any]] = {
    "string": ["", "x"],
    "boolean": [True, False],
    "int32": [0, -(2**31), 2**31 - 1],
    "int64": [0, -(2**63), 2**63 - 1],
    "quantity": [1, 0.5, "0", ".", "-1", "+.5", "5.", "1n", "1u", "1k", "1Ei", "1E", "1E3", "1e-3", " 1Gi "],
    "int-or-string": [80, "http", ""],
    "[": [[], None],
    "{": [{}, None],
    "struct": [{}, None],
}


def family(spelled: str) -> str:
    return spelled[0] if spelled[0] in "[{" else spelled if spelled in WRONG else "struct"


def fields() -> Iterator[tuple[Way, str]]:
    """Every field of every type once, by a shortest way, and how its type is spelled."""
    seen, waiting = {"PodSpec"}, [("PodSpec", Way())]
    while waiting:
        kind, way = waiting.pop(0)
        for name, spelled in core()[kind].items():
            yield (*way, name), spelled
            below = spelled.strip("[]{}")
            if below in core() and below not in seen:
                seen.add(below)
                waiting.append((below, (*way, name)))
    assert seen == set(core())


FIELDS = dict(fields())


def spec_with(way: Way, value: Any) -> Any:
    for depth in range(len(way), 0, -1):
        value = {way[depth - 1]: value}
        spelled = FIELDS.get(way[: depth - 1], "")
        value = [value] if spelled.startswith("[") else {"key": value} if spelled.startswith("{") else value
    return value


def answer(server: ApiServer, spec: Any) -> tuple[int, str]:
    body = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "types"}, "template": {"spec": spec}}
    status, said = server.request("POST", TEMPLATES, body)
    return status, str(said.get("message", ""))


def test_the_table_is_the_servers_own(kube_api: ApiServer) -> None:
    status, document = kube_api.request("GET", "/openapi/v3/api/v1")
    assert status == 200
    committed = resources.files("slipway.plan.pod").joinpath("podtypes.json").read_text(encoding="utf-8")
    assert SCRIPT["render"](SCRIPT["table"](document)) == committed


@pytest.mark.parametrize("way", FIELDS, ids=".".join)
def test_a_value_of_another_type_is_refused_by_both(kube_api: ApiServer, way: Way) -> None:
    spec = spec_with(way, WRONG[family(FIELDS[way])][0])
    assert len(list(mistyped(spec, "spec"))) == 1
    assert answer(kube_api, spec)[0] == UNREADABLE


ONE_OF_EACH = {family(spelled): way for way, spelled in FIELDS.items()}


@pytest.mark.parametrize("kind", WRONG)
def test_each_wrong_value_is_refused_by_both_and_each_right_one_by_neither(kube_api: ApiServer, kind: str) -> None:
    way = ONE_OF_EACH[kind]
    for value in WRONG[kind]:
        spec = spec_with(way, value)
        assert len(list(mistyped(spec, "spec"))) == 1, value
        assert answer(kube_api, spec)[0] == UNREADABLE, value
    for value in RIGHT[kind]:
        spec = spec_with(way, value)
        assert list(mistyped(spec, "spec")) == [], value
        status, said = answer(kube_api, spec)
        assert status != UNREADABLE, f"{json.dumps(value)}: {said}"
