"""From Kubernetes objects to records."""

from typing import Any

import pytest

from slipway.app import default_planners
from slipway.kube.kinds import DEPLOYMENT, INFERENCE_SERVICE, OWNERS, PYTORCH_JOB, Resource
from slipway.plan.observed import Observed
from slipway.reconcile import observe
from slipway.reconcile.packed import pack

from .build import DEFAULTS, body


def test_a_child_keeps_the_few_fields_of_its_status() -> None:
    status = {"conditions": [], "readyReplicas": 2, "observedGeneration": 3, "collisionCount": 1, "loadBalancer": {}}
    meta = {"generation": 3, "ownerReferences": [{"uid": "other"}, {"uid": "ours", "controller": True}]}
    child = observe.child(DEPLOYMENT, body(DEPLOYMENT, "d", status=status, metadata=meta))
    assert child.status == {"conditions": [], "readyReplicas": 2, "observedGeneration": 3}
    assert (child.generation, child.owner_uid, child.ref.plural) == (3, "ours", "deployments.apps")


@pytest.mark.parametrize(
    ("spec", "suspended"),
    [
        ({"runPolicy": {"suspend": True}}, True),
        ({"runPolicy": {"suspend": False}}, False),
        ({"runPolicy": {}}, False),
        ({"runPolicy": None}, False),
        ({"runPolicy": "x"}, False),
        (None, False),
    ],
)
def test_whether_a_gang_is_held_back(spec: Any, suspended: bool) -> None:
    assert observe.child(PYTORCH_JOB, body(PYTORCH_JOB, "g", spec=spec)).suspended is suspended


@pytest.mark.parametrize(
    ("references", "controlled"),
    [(None, False), ([], False), ([{"uid": "a"}], False), ([{"uid": "a"}, {"uid": "b", "controller": True}], True)],
)
def test_whether_a_child_has_a_controller(references: list[dict[str, Any]] | None, controlled: bool) -> None:
    meta = {"ownerReferences": references}
    assert observe.child(DEPLOYMENT, body(DEPLOYMENT, "d", metadata=meta)).controlled is controlled


@pytest.mark.parametrize(
    ("references", "uid"),
    [(None, ""), ([], ""), ([{"uid": "a"}], "a"), ([{"uid": "a"}, {"uid": "b", "controller": True}], "b")],
)
def test_whose_child_it_is(references: list[dict[str, Any]] | None, uid: str) -> None:
    assert observe.owner_uid({"metadata": {"ownerReferences": references}}) == uid


def test_an_owner_is_whole() -> None:
    meta = {"generation": 4, "deletionTimestamp": "2026-01-01T00:00:00Z"}
    owner = observe.owner(body(INFERENCE_SERVICE, "s", version=9, spec={"replicas": 0}, metadata=meta))
    assert (owner.generation, owner.deleting, owner.resource_version) == (4, True, "9")
    assert (owner.spec, owner.status) == ({"replicas": 0}, {})


@pytest.mark.parametrize("resource", OWNERS, ids=lambda resource: resource.kind)
def test_of_what_is_refused_for_its_size_little_is_kept_and_the_size_is_told(resource: Resource) -> None:
    """Else whoever makes some hundred of the largest fills the memory of the operator, which serves all."""
    meta = {"annotations": {"a": "y" * 250_000}, "labels": {f"label-{n}": "x" * 60 for n in range(10_000)}}
    spec = {"podTemplate": {"spec": {"x": "y" * 1_400_000}}}
    owner = observe.owner(body(resource, "large", spec=spec, metadata=meta))
    assert len(pack(owner)) < 200
    status = default_planners()[resource.kind](Observed(owner), 0.0, DEFAULTS).status
    accepted = next(each for each in status["conditions"] if each["type"] == "Accepted")
    assert accepted["status"] == "False"
    assert "spec: 1400033 bytes are more than the 131072 that it may have" in accepted["message"]
