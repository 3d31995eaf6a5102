"""What the index keeps: packed and unpacked it is the same, also where a user writes what orjson does not take."""

from typing import Any

import orjson
import pytest

from slipway.kube import wire
from slipway.kube.kinds import PYTORCH_JOB, ref
from slipway.plan.observed import Child, Class, Container, Owner, Pod
from slipway.reconcile.packed import Record, pack, unpack


def nested(levels: int) -> Any:
    value: Any = "deep"
    for _ in range(levels):
        value = {"x": [value]}
    return value


OWNER = Owner("ns", "job", "uid", 3, "17", False, {"nodes": 2, "half": 0.5}, {"conditions": []})
POD = Pod(
    namespace="ns",
    name="pod",
    uid="uid",
    labels={"a": "b"},
    phase="Running",
    reason="",
    message="",
    node="n",
    ready=True,
    deleting=False,
    created=1_800_000_000.25,
    started=None,
    scheduled=True,
    unschedulable_message="",
    containers=(
        Container("init", ready=False, restarts=0, state="terminated", exit_code=0),
        Container("main", ready=True, restarts=2, state="running", last_reason="OOMKilled", last_exit_code=137),
    ),
)
CHILD = Child(
    ref=ref(PYTORCH_JOB, "ns", "job-0"),
    uid="uid",
    resource_version="9",
    generation=1,
    labels={},
    owner_uid="owner",
    deleting=True,
    created=0.0,
    status={"replicaStatuses": {"Master": {"active": 1}}},
    controlled=False,
    additions=("container 'istio-proxy'",),
)


@pytest.mark.parametrize("record", [OWNER, POD, CHILD, Class("mine", {"memoryGib": "80"})])
def test_nothing_is_lost(record: Record) -> None:
    assert unpack(pack(record)) == record
    assert pack(unpack(pack(record))) == pack(record), "equal records have equal bytes"


def test_what_is_unpacked_belongs_to_nobody_else() -> None:
    packed = pack(OWNER)
    one = unpack(packed)
    assert isinstance(one, Owner)
    one.spec["nodes"] = 3
    assert unpack(packed) == OWNER


@pytest.mark.parametrize("spec", [nested(200), {"big": 2**70}, {"half": "\ud83d"}], ids=["deep", "big", "surrogate"])
def test_what_orjson_refuses_is_packed_all_the_same(spec: Any) -> None:
    with pytest.raises(TypeError):
        orjson.dumps(spec)
    owner = Owner("ns", "job", "uid", 1, "1", False, spec, {})
    assert wire.canonical(spec) == wire.canonical(spec)
    if "half" in spec:  # no UTF-8 at all: told, and kept out of the index
        with pytest.raises(UnicodeEncodeError):
            pack(owner)
        return
    unpacked = unpack(pack(owner))
    assert isinstance(unpacked, Owner)
    assert unpacked.name == "job"


def test_canonical_text_does_not_depend_on_the_order_of_keys() -> None:
    assert wire.canonical({"b": 1, "a": {"d": 2, "c": 3}}) == b'{"a":{"c":3,"d":2},"b":1}'


def test_characters_beyond_the_first_plane_are_not_escaped() -> None:
    assert wire.dumps({"m": "🚂"}) == '{"m":"🚂"}'.encode()


def test_what_is_no_json_is_an_error() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        wire.loads(b"<html>")
