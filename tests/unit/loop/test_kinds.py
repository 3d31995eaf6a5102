"""Where each kind is in the API, and the address that the leader publishes."""

import pytest

from slipway.kube.kinds import (
    DEPLOYMENT,
    LEASE,
    SERVICE,
    collection_path,
    object_path,
    ref,
    ref_of,
)
from slipway.kube.leader_slice import leader_slice
from slipway.plan.observed import Ref

from .build import body


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (ref(SERVICE, "ns", "a"), "/api/v1/namespaces/ns/services/a"),
        (ref(DEPLOYMENT, "ns", "a"), "/apis/apps/v1/namespaces/ns/deployments/a"),
        (
            Ref("storage.k8s.io/v1", "StorageClass", "storageclasses.storage.k8s.io", "", "fast"),
            "/apis/storage.k8s.io/v1/storageclasses/fast",
        ),
    ],
)
def test_paths(target: Ref, path: str) -> None:
    assert object_path(target) == path
    assert path == f"{collection_path(target.api_version, target.plural, target.namespace)}/{target.name}"


def test_a_kind_that_the_table_lacks_is_named() -> None:
    with pytest.raises(ValueError, match=r"'Secret' of 'v1' is not in kube/kinds.py"):
        ref_of({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}})
    assert ref_of(body(DEPLOYMENT, "x")).plural == "deployments.apps"
    assert LEASE.full == "leases.coordination.k8s.io"


def test_the_leaders_address() -> None:
    made = leader_slice(service="slipway-leader", namespace="slipway", address="fd00::1", port=8090)
    assert made["addressType"] == "IPv6"
    assert made["metadata"]["name"] == "slipway-leader"
    assert made["metadata"]["labels"]["kubernetes.io/service-name"] == "slipway-leader"
    with pytest.raises(ValueError, match="not-an-address"):
        leader_slice(service="s", namespace="n", address="not-an-address", port=1)
