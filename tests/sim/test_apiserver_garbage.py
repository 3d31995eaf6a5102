"""The owner-reference collector and the namespace controller of the emulator: no API server has them to compare with.

The words are those of Kubernetes' documentation of garbage collection; a pass is one look at everything.
"""

from typing import Any

import pytest

from .apiserver import Emulator, default_kinds
from .conformance import OURS, gang, job, pod, service, with_meta

NAMESPACE = "default"
JOBS = f"{OURS}/namespaces/{NAMESPACE}/trainingjobs"
GANGS = f"/apis/kubeflow.org/v1/namespaces/{NAMESPACE}/pytorchjobs"
SERVICES = f"/api/v1/namespaces/{NAMESPACE}/services"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
Obj = dict[str, Any]


@pytest.fixture
def emulator() -> Emulator:
    return Emulator(default_kinds(), wall=lambda: 1_790_000_000.0)


def made(emulator: Emulator, path: str, body: Obj) -> Obj:
    answer = emulator.request("POST", path, body=body)
    assert answer.status == 201, answer.body
    return answer.body


def owned_by(*owners: Obj, **more: Any) -> Obj:
    references = [
        {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            **more,
        }
        for owner in owners
    ]
    return {"ownerReferences": references}


def delete(emulator: Emulator, path: str, policy: str = "Background") -> None:
    assert emulator.request("DELETE", path, body={"propagationPolicy": policy}).status == 200


def names(emulator: Emulator, resource: str) -> list[str]:
    return [body["metadata"]["name"] for body in emulator.list(resource, None, "")[0]]


def test_nothing_is_collected_while_the_owner_stands(emulator: Emulator) -> None:
    owner = made(emulator, JOBS, job())
    made(emulator, GANGS, with_meta(gang(), **owned_by(owner)))
    version = emulator.version
    assert emulator.collect_garbage() == []
    assert emulator.version == version


def test_a_dependent_goes_after_its_owner_and_its_own_a_pass_later(emulator: Emulator) -> None:
    owner = made(emulator, JOBS, job())
    child = made(emulator, GANGS, with_meta(gang(), **owned_by(owner)))
    made(emulator, PODS, with_meta(pod(), **owned_by(child)))
    delete(emulator, f"{JOBS}/job")
    collected = emulator.collect_garbage()
    expected = [("pytorchjobs.kubeflow.org", "gang", child["metadata"]["uid"])]
    assert [(each.full, each.name, each.uid) for each in collected] == expected
    assert [each.name for each in emulator.collect_garbage()] == ["pod"]
    assert names(emulator, "pytorchjobs.kubeflow.org") + names(emulator, "pods") == []


def test_a_successor_of_the_same_name_is_another_owner(emulator: Emulator) -> None:
    owner = made(emulator, JOBS, job())
    made(emulator, GANGS, with_meta(gang(), **owned_by(owner)))
    delete(emulator, f"{JOBS}/job")
    made(emulator, JOBS, job())
    assert [each.name for each in emulator.collect_garbage()] == ["gang"]


def test_one_owner_of_two_is_enough_and_the_dangling_reference_goes(emulator: Emulator) -> None:
    first, second = made(emulator, JOBS, job("one")), made(emulator, JOBS, job("two"))
    made(emulator, SERVICES, with_meta(service(), **owned_by(first, second)))
    delete(emulator, f"{JOBS}/one")
    assert emulator.collect_garbage() == []
    answer = emulator.request("GET", f"{SERVICES}/web")
    assert [each["name"] for each in answer.body["metadata"]["ownerReferences"]] == ["two"]


def test_an_owner_in_another_namespace_is_none(emulator: Emulator) -> None:
    owner = made(emulator, JOBS, job())
    path = "/api/v1/namespaces/kube-system/services"
    made(emulator, path, with_meta(service(), **owned_by(owner)))
    assert [each.name for each in emulator.collect_garbage()] == ["web"]


def test_a_finalizer_holds_a_dependent(emulator: Emulator) -> None:
    owner = made(emulator, JOBS, job())
    made(emulator, GANGS, with_meta(gang(), finalizers=["example.com/hold"], **owned_by(owner)))
    delete(emulator, f"{JOBS}/job")
    emulator.collect_garbage()
    assert emulator.collect_garbage() == []
    held = emulator.request("GET", f"{GANGS}/gang").body
    assert held["metadata"]["deletionTimestamp"]


def test_a_running_pod_has_its_grace(emulator: Emulator) -> None:
    owner = made(emulator, JOBS, job())
    made(emulator, PODS, with_meta(pod(nodeName="node"), **owned_by(owner)))
    delete(emulator, f"{JOBS}/job")
    emulator.collect_garbage()
    assert emulator.request("GET", f"{PODS}/pod").body["metadata"]["deletionGracePeriodSeconds"] == 30


@pytest.mark.parametrize("blocks", [True, False])
def test_foreground_the_dependents_go_first(emulator: Emulator, blocks: bool) -> None:
    owner = made(emulator, JOBS, job())
    references = owned_by(owner, blockOwnerDeletion=blocks)
    made(emulator, GANGS, with_meta(gang(), finalizers=["example.com/hold"], **references))
    delete(emulator, f"{JOBS}/job", "Foreground")
    emulator.collect_garbage()
    emulator.collect_garbage()
    assert names(emulator, "trainingjobs.slipway.dev") == (["job"] if blocks else [])
    patch = {"metadata": {"finalizers": None}}
    emulator.request("PATCH", f"{GANGS}/gang", body=patch, content_type="application/merge-patch+json")
    emulator.collect_garbage()
    assert names(emulator, "trainingjobs.slipway.dev") + names(emulator, "pytorchjobs.kubeflow.org") == []


def test_orphans_stay(emulator: Emulator) -> None:
    owner = made(emulator, JOBS, job())
    made(emulator, GANGS, with_meta(gang(), **owned_by(owner)))
    delete(emulator, f"{JOBS}/job", "Orphan")
    assert emulator.collect_garbage() == []
    assert names(emulator, "trainingjobs.slipway.dev") == []
    assert "ownerReferences" not in emulator.request("GET", f"{GANGS}/gang").body["metadata"]


def test_a_namespace_takes_everything_with_it(emulator: Emulator) -> None:
    made(emulator, JOBS, job())
    made(emulator, PODS, pod(nodeName="node"))
    delete(emulator, "/api/v1/namespaces/default")
    refused = emulator.request("POST", SERVICES, body=service())
    assert (refused.status, "it is being terminated" in refused.body["message"]) == (403, True)
    emulator.collect_garbage()
    assert names(emulator, "namespaces") == ["default", "kube-system"], "a pod still has its grace"
    emulator.request("DELETE", f"{PODS}/pod", body={"gracePeriodSeconds": 0})
    emulator.collect_garbage()
    assert names(emulator, "namespaces") == ["kube-system"]
