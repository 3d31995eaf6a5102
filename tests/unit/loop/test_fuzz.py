"""Any object that an API server might hand us, valid or not: a visit ends, in few steps, with a status or a refusal.

The whole way is walked: index, the product's own plans, writes, status. The API server is the FAKE one, so what is
shown is that nothing crashes, hangs or writes without an end, not what Kubernetes makes of it.
"""

import asyncio
import string
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.api.crd import crd_files
from slipway.app import default_planners
from slipway.kube.kinds import INFERENCE_SERVICE, OWNERS, TRAINING_JOB, Resource
from slipway.reconcile.keys import Key
from slipway.reconcile.trouble import MISTAKE

from .bench import Bench
from .build import body
from .fakeapi import FakeApi, serving

EXAMPLES = 25  # each is a server of its own
REQUESTS_MAX = 40  # of one visit; the longest honest one takes 14

NAMES = st.sampled_from(["main", "pytorch", "output", "x", "", "init-pytorch", "A" * 300, "\u0000", "\U0001f600"])
TEXT = st.one_of(NAMES, st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
NUMBERS = st.one_of(st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), st.just(1e308))
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXT)
POD_FIELDS = st.sampled_from(
    ["containers", "initContainers", "volumes", "env", "name", "tolerations", "securityContext", "affinity", "image",
     "volumeMounts", "mountPath", "ports", "resources", "lifecycle", "projected", "sources", "capabilities", "add",
     "labels", "annotations", "hostNetwork", "priorityClassName"]
)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(POD_FIELDS, TEXT), inner, max_size=4)
    ),
    max_leaves=25,
)


def deep(levels: int) -> Any:
    value: Any = "x"
    for level in range(levels):
        value = {"a": value} if level % 2 else [value]
    return value


def of_schema(schema: Any) -> st.SearchStrategy[Any]:
    """Mostly what the CRD's schema allows, and now and then anything at all."""
    return st.one_of(_valid(schema), _valid(schema), _valid(schema), ANYTHING)


def _valid(schema: Any) -> st.SearchStrategy[Any]:
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return st.one_of(ANYTHING, st.integers(1, 400).map(deep), st.dictionaries(POD_FIELDS, ANYTHING, max_size=5))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    return _of_type(schema)


def _of_type(schema: Any) -> st.SearchStrategy[Any]:
    kind = schema.get("type")
    if kind == "object" and "properties" in schema:
        required = set(schema.get("required", ()))
        parts = {name: of_schema(part) for name, part in schema["properties"].items()}
        mandatory = {name: part for name, part in parts.items() if name in required}
        optional = {name: part for name, part in parts.items() if name not in required}
        return st.fixed_dictionaries(mandatory, optional=optional)
    if kind == "object":
        return st.dictionaries(TEXT, of_schema(schema.get("additionalProperties") or {}), max_size=3)
    if kind == "array":
        return st.lists(of_schema(schema.get("items", {})), max_size=4)
    if kind == "integer":
        return st.integers(int(schema.get("minimum", 0)), int(schema.get("maximum", 2**40)))
    if kind == "string" and "pattern" in schema:
        return st.one_of(st.from_regex(schema["pattern"], fullmatch=True, alphabet=string.printable), TEXT)
    return {"string": TEXT, "boolean": st.booleans()}.get(kind, ANYTHING)


def schema_of(resource: Resource, part: str) -> Any:
    made = yaml.safe_load(crd_files()[f"{resource.full}.yaml"])
    return made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][part]


def objects(resource: Resource) -> st.SearchStrategy[tuple[Resource, Any, Any]]:
    spec, status = of_schema(schema_of(resource, "spec")), of_schema(schema_of(resource, "status"))
    return st.tuples(st.just(resource), spec, st.one_of(st.just({}), status))


async def visit(resource: Resource, spec: Any, status: Any) -> FakeApi:
    """Two visits to one object, and one to another of another namespace, which must be none the worse for it."""
    fake = FakeApi()
    async with serving(fake) as client:
        bench = Bench(client, fake)
        planners = default_planners()
        bench.reconciler._planners = planners
        path = f"{resource.plural}/fuzz"
        for namespace, given_spec, given_status in (("ns", spec, status), ("other", {"command": ["x"]}, {})):
            kind = resource if namespace == "ns" else TRAINING_JOB
            one = body(kind, path.rpartition("/")[2], namespace=namespace, spec=given_spec, status=given_status)
            where = f"/apis/{kind.api_version}/namespaces/{namespace}/{kind.plural}/fuzz"
            bench.index.record(kind, "ADDED", fake.put(where, one))
            for _ in range(2):
                fake.clear()
                await bench.reconciler.visit(Key(kind.kind, namespace, "fuzz"))
                assert len(fake.requests) <= REQUESTS_MAX
                bench.index.record(kind, "MODIFIED", fake.objects[where])
        assert any("/other/" in path and "pytorchjobs" in path for path in fake.objects)
    return fake


@pytest.mark.parametrize("resource", OWNERS, ids=lambda each: each.kind)
def test_any_object_is_visited_to_the_end(resource: Resource) -> None:
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(objects(resource))
    def check(one: tuple[Resource, Any, Any]) -> None:
        fake = asyncio.run(visit(*one))
        told = str([each.get("status") for path, each in fake.objects.items() if path.endswith("/fuzz")])
        assert MISTAKE not in told, "a mistake of the operator's"

    check()


@pytest.mark.parametrize(
    "spec",
    [
        None, {}, {"podTemplate": None}, {"command": ["x"], "podTemplate": {"spec": deep(300)}},
        {"command": ["x"], "podTemplate": {"spec": {"affinity": deep(45)}}},
        {"command": ["x"], "nodes": 10**30}, {"command": ["x"], "nodes": 1000},
        {"command": ["x"] * 10_000}, {"command": ["y" * 200_000]},
        {"command": ["x"], "podTemplate": {"spec": {"containers": [{}] * 5000}}},
        {"command": ["x"], "podTemplate": {"spec": {"tolerations": [{"key": str(n)} for n in range(4000)]}}},
        {"model": {"from": {"trainingJob": ""}}}, {"model": {"uri": "pvc://" + "/" * 5000}},
        {"model": {"uri": "pvc://m"}, "engineArgs": ["-" * n for n in range(200)]},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("resource", [TRAINING_JOB, INFERENCE_SERVICE], ids=lambda each: each.kind)
async def test_what_is_known_to_be_awkward(resource: Resource, spec: Any) -> None:
    fake = await visit(resource, spec, {})
    told = str([each.get("status") for path, each in fake.objects.items() if path.endswith("/fuzz")])
    assert MISTAKE not in told
