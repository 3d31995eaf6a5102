"""Which programs the bed builds, from which pinned Go module. The versions themselves are in modules/*/go.mod."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from bed.places import MODULES

KUBERNETES_MODULE = "k8s.io/kubernetes"


@dataclass(frozen=True)
class Program:
    """One Go main package."""

    name: str
    module_dir: str
    package: str


def _kubernetes(name: str) -> Program:
    return Program(name, "kubernetes", f"{KUBERNETES_MODULE}/cmd/{name}")


def _cni(kind: str, name: str) -> Program:
    return Program(name, "cni", f"github.com/containernetworking/plugins/plugins/{kind}/{name}")


# In the order they are wanted: what API tests need first, KEDA last because it takes longest. Benchmarks alone need
# kwok and the unthrottled training-operator: `up` builds neither.
PROGRAMS = (
    _kubernetes("kube-apiserver"),
    _kubernetes("kubectl"),
    Program("etcd", "etcd", "go.etcd.io/etcd/server/v3"),
    Program("helm", "helm", "helm.sh/helm/v3/cmd/helm"),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kube-scheduler"),
    _kubernetes("kube-proxy"),
    _kubernetes("kubeadm"),
    _kubernetes("kubelet"),
    Program("kind", "kind", "sigs.k8s.io/kind"),
    Program("pause", "pause", "slipway.dev/testbed/pause"),
    _cni("main", "bridge"),
    _cni("main", "loopback"),
    _cni("ipam", "host-local"),
    _cni("meta", "portmap"),
    # One module for both, so that they share one client-go: it is most of what either compiles.
    Program("coredns", "nodeaddons", "slipway.dev/testbed/nodeaddons/coredns"),
    Program("local-path-provisioner", "nodeaddons", "github.com/rancher/local-path-provisioner"),
    Program("training-operator", "training-operator", "github.com/kubeflow/training-operator/cmd/training-operator.v1"),
    Program("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok"),
    Program(
        "training-operator-unthrottled",
        "training-operator-unthrottled",
        "slipway.dev/testbed/training-operator-unthrottled",
    ),
    Program("keda", "keda", "github.com/kedacore/keda/v2/cmd/operator"),
    Program("keda-adapter", "keda", "github.com/kedacore/keda/v2/cmd/adapter"),
    Program("keda-admission-webhooks", "keda", "github.com/kedacore/keda/v2/cmd/webhooks"),
)
BY_NAME = {program.name: program for program in PROGRAMS}
CNI_PLUGINS = tuple(program.name for program in PROGRAMS if program.module_dir == "cni")


def pinned_version(module_dir: str, module: str, *, modules: Path = MODULES) -> str:
    """Return the version at which modules/<module_dir>/go.mod requires a module.

    Raises KeyError when it does not.
    """
    text = (modules / module_dir / "go.mod").read_text()
    found = re.search(rf"^\s*(?:require )?{re.escape(module)} (v\S+)", text, re.MULTILINE)
    if not found:
        raise KeyError(f"{module} is not required by modules/{module_dir}/go.mod")
    return found[1]


def kubernetes_version() -> str:
    """Return the Kubernetes version, such as v1.34.4."""
    return pinned_version("kubernetes", KUBERNETES_MODULE)


def ldflags(program: Program) -> str:
    """Return the linker flags: no symbols, and the version where the program refuses to work without one."""
    flags = "-s -w"
    if program.module_dir == "kubernetes":
        version = kubernetes_version()
        major, minor, _ = version.lstrip("v").split(".", 2)
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
            stamped = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
            flags += "".join(f" -X {package}.{name}={value}" for name, value in stamped.items())
    if program.name == "helm":
        flags += f" -X helm.sh/helm/v3/internal/version.version={pinned_version('helm', 'helm.sh/helm/v3')}"
        # Without a cluster helm judges a chart's kubeVersion by these; their default is 1.20.
        major, minor, _ = kubernetes_version().lstrip("v").split(".", 2)
        for package in ("helm.sh/helm/v3/pkg/chartutil", "helm.sh/helm/v3/pkg/lint/rules"):
            flags += f" -X {package}.k8sVersionMajor={major} -X {package}.k8sVersionMinor={minor}"
    return flags
