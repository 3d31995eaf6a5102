"""The kind cluster's configuration: JSON, which is YAML too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bed.catalog import POD_CIDR, SERVICE_CIDR
from bed.modes import Mode

PATCHES_INSIDE = "/kind/patches"


def kubeadm_patches(mode: Mode) -> list[dict[str, Any]]:
    """Return what differs from kind's own kubeadm configuration.

    Small CPU requests, so that two cores have room for pods; an etcd that does not wait for the disk, because nothing
    here outlives the machine; and, on the home-made node, a kubelet that makes its own cgroups, without systemd.
    """
    patches: list[dict[str, Any]] = [
        {"kind": "InitConfiguration", "patches": {"directory": PATCHES_INSIDE}},
        {"kind": "ClusterConfiguration", "etcd": {"local": {"extraArgs": {"unsafe-no-fsync": "true"}}}},
    ]
    if mode is Mode.BUILT:
        patches.append({"kind": "KubeletConfiguration", "cgroupDriver": "cgroupfs", "cgroupRoot": "/kubelet"})
    return patches


def kind_config(*, mode: Mode, nodes: int, patches: Path) -> str:
    """Return the configuration for `kind create cluster --config -`. The first node is the control plane."""
    mount = {"hostPath": str(patches), "containerPath": PATCHES_INSIDE, "readOnly": True}
    roles = ["control-plane"] + ["worker"] * (nodes - 1)
    config = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"podSubnet": POD_CIDR, "serviceSubnet": SERVICE_CIDR, "apiServerAddress": "127.0.0.1"},
        "kubeadmConfigPatches": [json.dumps(patch) for patch in kubeadm_patches(mode)],
        "nodes": [{"role": role, "extraMounts": [mount]} for role in roles],
    }
    return json.dumps(config, indent=1)
