"""Claims: addresses, access modes, and why one cannot be used."""

from typing import Any

import pytest

from slipway.plan import volumes
from slipway.plan.conditions import Finding
from slipway.plan.observed import Ref
from slipway.plan.volumes import ClaimPath

from .training.builders import claim


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("pvc://data", ClaimPath("data", "")),
        ("pvc://data/", ClaimPath("data", "")),
        ("pvc://data/a/b", ClaimPath("data", "a/b")),
        ("pvc://data//a/./b/", ClaimPath("data", "a/b")),
        ("pvc://data/..a/b..", ClaimPath("data", "..a/b..")),
    ],
)
def test_an_address_in_a_claim(uri: Any, expected: Any) -> None:
    assert volumes.parse_pvc(uri) == expected


@pytest.mark.parametrize("uri", ["file:///data", "pvc://", "pvc:///a", "data"])
def test_an_address_that_is_none(uri: Any) -> None:
    with pytest.raises(ValueError, match=f"^'{uri}' is no claim address: write pvc://claim/path$"):
        volumes.parse_pvc(uri)


def test_an_address_that_climbs_out() -> None:
    with pytest.raises(ValueError, match=r"^'pvc://data/a/../b' leaves its claim: write the path without '\.\.'$"):
        volumes.parse_pvc("pvc://data/a/../b")


@pytest.mark.parametrize(
    ("modes", "readers", "writers"),
    [
        (["ReadWriteMany"], "many", "many"),
        (["ReadOnlyMany"], "many", "none"),
        (["ReadWriteOnce"], "node", "node"),
        (["ReadWriteOncePod"], "pod", "pod"),
        (["ReadWriteOnce", "ReadOnlyMany"], "many", "node"),
        (["ReadWriteOncePod", "ReadWriteOnce"], "node", "node"),
        ([], "none", "none"),
        (None, "none", "none"),
    ],
)
def test_where_pods_may_read_and_write(modes: Any, readers: Any, writers: Any) -> None:
    body = {"spec": {"accessModes": modes}}
    assert (volumes.readers(body), volumes.writers(body)) == (readers, writers)


def test_a_claim_without_a_spec_has_no_modes() -> None:
    assert volumes.modes({}) == frozenset()


@pytest.mark.parametrize(
    ("body", "finding"),
    [
        (
            None,
            Finding(
                "ClaimNotFound",
                "spec.x: the namespace has no PersistentVolumeClaim 'data': create it, or name another",
            ),
        ),
        (
            claim(deletionTimestamp="2027-01-15T08:00:00Z"),
            Finding(
                "ClaimTerminating",
                "spec.x: PersistentVolumeClaim 'data' is being deleted: name another, or create it again",
            ),
        ),
        (
            {"spec": {"volumeMode": "Block"}},
            Finding(
                "ClaimNotMountable",
                "spec.x: PersistentVolumeClaim 'data' is a block device: use one with volumeMode Filesystem",
            ),
        ),
        ({"spec": {"volumeMode": "Filesystem"}}, None),
        (claim(), None),
        ({}, None),
    ],
)
def test_why_a_claim_cannot_be_used(body: Any, finding: Any) -> None:
    assert volumes.unusable("data", body, field="spec.x") == finding


def test_volumes_as_json() -> None:
    assert volumes.claim_volume("v", "c") == {"name": "v", "persistentVolumeClaim": {"claimName": "c"}}
    assert volumes.claim_volume("v", "c", read_only=True) == {
        "name": "v",
        "persistentVolumeClaim": {"claimName": "c", "readOnly": True},
    }
    assert volumes.empty_dir("v") == {"name": "v", "emptyDir": {}}
    assert volumes.empty_dir("v", in_memory=True) == {"name": "v", "emptyDir": {"medium": "Memory"}}
    assert volumes.empty_dir("v", size_limit="1Gi") == {"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}


def test_mounts_as_json() -> None:
    assert volumes.mount("v", "/x") == {"name": "v", "mountPath": "/x"}
    assert volumes.mount("v", "/x", sub_path="a", read_only=True) == {
        "name": "v",
        "mountPath": "/x",
        "subPath": "a",
        "readOnly": True,
    }


def test_a_claim_is_addressed_by_its_plural() -> None:
    assert volumes.claim_ref("team", "c") == Ref("v1", "PersistentVolumeClaim", "persistentvolumeclaims", "team", "c")
