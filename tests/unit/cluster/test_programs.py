from __future__ import annotations

import re
from pathlib import Path

import pytest
from bed import gobuild, toolchain
from bed.places import MODULES
from bed.programs import BY_NAME, PROGRAMS, kubernetes_version, ldflags, pinned_version
from bed.shell import Failure


def test_every_program_is_pinned_by_a_committed_module() -> None:
    for program in PROGRAMS:
        text = (MODULES / program.module_dir / "go.mod").read_text()
        # A program of the bed's own is pinned by what its source imports.
        module = "github.com/coredns/coredns" if program.name == "coredns" else program.package
        assert module.split("/cmd/")[0].split("/v3")[0].split("/plugins/plugins")[0] in text, program.name


def test_the_go_that_is_asked_for_is_what_the_modules_need() -> None:
    asked = [re.findall(r"^go (\d+)\.(\d+)", each.read_text(), re.M) for each in MODULES.glob("*/go.mod")]
    assert "{}.{}".format(*max((int(a), int(b)) for [(a, b)] in asked)) == toolchain.GO_VERSION
    assert toolchain.RELEASE.startswith(f"{toolchain.GO_VERSION}.")
    page = (Path(__file__).parents[3] / "docs/testbed.md").read_text()
    assert f"no Go {toolchain.GO_VERSION} or newer" in page


def test_coredns_has_the_plugins_of_kubeadms_corefile() -> None:
    source = (MODULES / "nodeaddons" / "coredns" / "main.go").read_text()
    directives = (
        "errors",
        "health",
        "ready",
        "kubernetes",
        "metrics",
        "forward",
        "cache",
        "loop",
        "reload",
        "loadbalance",
    )
    assert [name for name in directives if f'coredns/plugin/{name}"' not in source] == []


def test_kubernetes_staging_modules_are_of_the_same_release() -> None:
    text = (MODULES / "kubernetes" / "go.mod").read_text()
    minor = kubernetes_version().removeprefix("v1.")
    replaced = [line for line in text.splitlines() if "=> k8s.io/" in line]
    assert len(replaced) > 25
    assert all(line.endswith(f" v0.{minor}") for line in replaced)


def test_kubernetes_programs_carry_their_version() -> None:
    assert f"k8s.io/component-base/version.gitVersion={kubernetes_version()}" in ldflags(BY_NAME["kubeadm"])


def test_a_pin_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"example\.com/none"):
        pinned_version("kind", "example.com/none")


def test_programs_of_one_module_are_built_together_and_in_order() -> None:
    batches = gobuild.batches(gobuild.choose(["kubelet", "helm", "kube-apiserver"]))
    assert [[program.name for program in batch] for batch in batches] == [["kube-apiserver", "kubelet"], ["helm"]]


def test_an_unknown_program_is_named_with_those_that_there_are() -> None:
    with pytest.raises(Failure, match=r"no such program: kubecuddle.*kubectl"):
        gobuild.choose(["kubecuddle"])


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("go.etcd.io/etcd/server/v3", "server"),
        ("helm.sh/helm/v3/cmd/helm", "helm"),
        ("github.com/kubeflow/training-operator/cmd/training-operator.v1", "training-operator.v1"),
    ],
)
def test_the_file_that_go_writes_for_a_package(package: str, name: str) -> None:
    assert gobuild.binary_name(package) == name


def test_a_changed_pin_changes_the_stamp(tmp_path: Path) -> None:
    program = BY_NAME["kind"]
    (tmp_path / "kind").mkdir()
    (tmp_path / "kind" / "go.mod").write_text("module a\n")
    before = gobuild.program_stamp(program, modules=tmp_path)
    (tmp_path / "kind" / "go.mod").write_text("module b\n")
    assert gobuild.program_stamp(program, modules=tmp_path) != before
