"""A pod in which two volumes are of one claim would never start, so it has one, with every mount on it."""

from copy import deepcopy
from typing import Any

import pytest

from slipway.plan.observed import Obj
from slipway.plan.pod.oneclaim import one_volume_a_claim
from slipway.plan.pod.template import merged


def volume(name: str, claim: str, **source: Any) -> Obj:
    return {"name": name, "persistentVolumeClaim": {"claimName": claim, **source}}


def mount(name: str, path: str, **fields: Any) -> Obj:
    return {"name": name, "mountPath": path, **fields}


def pod(volumes: list[Obj], *mounts: Obj, **containers: Any) -> Obj:
    return {"containers": [{"name": "main", "volumeMounts": list(mounts)}], "volumes": volumes, **containers}


def test_other_volumes_stay_as_they_are() -> None:
    spec = pod([{"name": "tmp", "emptyDir": {}}, volume("a", "one"), volume("b", "two")], mount("a", "/a"))
    before = deepcopy(spec)
    assert one_volume_a_claim(spec) == before
    assert one_volume_a_claim({"containers": []}) == {"containers": []}


def test_the_first_volume_is_mounted_wherever_the_others_were() -> None:
    init = [{"name": "check", "volumeMounts": [mount("b", "/b", subPath="x")]}]
    spec = pod([volume("a", "one"), volume("other", "two"), volume("b", "one")], mount("b", "/b"), initContainers=init)
    before = deepcopy(spec)
    found = one_volume_a_claim(spec)
    assert found["volumes"] == [volume("a", "one"), volume("other", "two")]
    assert found["containers"][0]["volumeMounts"] == [mount("a", "/b")]
    assert found["initContainers"][0]["volumeMounts"] == [mount("a", "/b", subPath="x")]
    assert spec == before, "the argument is not changed"


def test_a_writer_can_write_and_a_reader_cannot() -> None:
    """Whichever comes first."""
    reads, writes = volume("data", "one", readOnly=True), volume("output", "one")
    mounts = (mount("data", "/data"), mount("output", "/output"))
    for volumes in ([reads, writes], [writes, reads]):
        found = one_volume_a_claim(pod(volumes, *mounts))
        first = volumes[0]["name"]
        assert found["volumes"] == [volume(first, "one")]
        assert found["containers"][0]["volumeMounts"] == [mount(first, "/data", readOnly=True), mount(first, "/output")]


def test_readers_alone_keep_the_volume_read_only() -> None:
    """A claim that allows no writer may not be mounted otherwise."""
    both = [volume("a", "one", readOnly=True), volume("b", "one", readOnly=True)]
    assert one_volume_a_claim(pod(both))["volumes"] == both[:1]


@pytest.mark.parametrize(
    "odd", [3, None, "volume", {"name": 3}, {"name": []}, {"name": "a", "persistentVolumeClaim": 3}]
)
def test_shapes_that_are_none_are_left_to_the_api_server(odd: Any) -> None:
    both = [volume("a", "one"), volume("b", "one")]
    spec = {"containers": [odd, {"name": "main", "volumeMounts": [odd]}], "volumes": [odd, *both]}
    assert odd in one_volume_a_claim(spec)["volumes"]
    assert one_volume_a_claim({"volumes": odd, "containers": odd}) == {"volumes": odd, "containers": odd}


def test_a_users_volume_of_our_claim_is_ours() -> None:
    rendered = {"metadata": {}, "spec": pod([volume("output", "one")], mount("output", "/slipway/output"))}
    user = {
        "spec": {
            "volumes": [volume("mine", "one")],
            "containers": [{"name": "main", "volumeMounts": [mount("mine", "/mine")]}],
        }
    }
    spec = merged(rendered, user, main="main")["spec"]
    assert spec["volumes"] == [volume("output", "one")]
    assert [each["name"] for each in spec["containers"][0]["volumeMounts"]] == ["output", "output"]
