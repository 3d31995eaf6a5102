from __future__ import annotations

from pathlib import Path

import pytest
from bed import addons, base, catalog
from bed.images import build_command, check_addons
from bed.modes import Mode
from bed.places import CLUSTER_DIR, IMAGES, REPOSITORY
from bed.shell import Failure

KUBEADM_LIST = """registry.k8s.io/kube-apiserver:v1.34.4
registry.k8s.io/kube-proxy:v1.34.4
registry.k8s.io/coredns/coredns:v1.12.1
registry.k8s.io/pause:3.10.1
registry.k8s.io/etcd:3.6.5-0
"""


def test_the_control_planes_images_have_the_names_that_kubeadm_asks_for() -> None:
    images = {image.tag: image for image in catalog.control_plane_images(KUBEADM_LIST)}
    assert images["registry.k8s.io/coredns/coredns:v1.12.1"].path == "/coredns"
    assert images["registry.k8s.io/etcd:3.6.5-0"].path == "/usr/local/bin/etcd"
    assert "registry.k8s.io/kube-proxy:v1.34.4" not in images


def test_the_node_pauses_with_the_image_that_it_carries() -> None:
    listed = next(tag for tag in KUBEADM_LIST.split() if "pause" in tag)
    assert f'sandbox_image = "{listed}"' in (IMAGES / "node" / "containerd.toml").read_text()


def test_addon_images_run_as_somebody_other_than_root() -> None:
    images = [image for addon in catalog.ADDON_IMAGES.values() for image in addon]
    assert len(images) == 4
    assert all("USER 65532" in image.dockerfile() for image in images)


def test_every_image_has_its_dockerfile_and_every_component_its_stages() -> None:
    for image in catalog.FILE_IMAGES.values():
        text = image.dockerfile.read_text()
        for key, value in image.args:
            assert f"ARG {key}=" in text, f"{image.name}: its Dockerfile knows no {key}"
            if key == "COMPONENT":
                assert f" AS lock-{value}\n" in text
                assert f" AS run-{value}\n" in text


def test_images_of_one_dockerfile_have_stamps_of_their_own() -> None:
    operator, gateway = catalog.FILE_IMAGES["operator"], catalog.FILE_IMAGES["gateway"]
    assert operator.dockerfile == gateway.dockerfile
    assert operator.stamp() != gateway.stamp()


def test_an_image_changes_with_the_one_below_it() -> None:
    assert catalog.FILE_IMAGES["trainer"].on == catalog.FILE_IMAGES["vllm"].on == "torch"
    assert catalog.FILE_IMAGES["simulated-engine"].on == "gateway"


def test_whatever_a_dockerfile_copies_is_let_through_to_the_build() -> None:
    through = tuple(
        line.removeprefix("!") for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line[0] == "!"
    )
    for image in catalog.FILE_IMAGES.values():
        for line in image.dockerfile.read_text().splitlines():
            if line.startswith("COPY ") and "--from=" not in line:
                for source in line.split()[1:-1]:
                    assert f"{source}/".startswith(tuple(f"{path}/" for path in through)), f"{image.name}: {source}"


def test_builds_use_the_hosts_network_and_carry_their_stamp(tmp_path: Path) -> None:
    command = build_command("a:1", "abc", tmp_path / "Dockerfile", tmp_path, [("BASE", "b:1")])
    assert "--network=host" in command
    assert f"{base.STAMP_LABEL}=abc" in command
    assert command[-1] == str(tmp_path)


def test_every_image_that_the_manifests_name_is_replaced_by_a_built_one() -> None:
    built = {image.tag for addon in catalog.ADDON_IMAGES.values() for image in addon}
    replaced = addons.images_of("keda", Mode.BUILT) + addons.images_of("training-operator", Mode.BUILT)
    assert {f"{image['newName']}:{image['newTag']}" for image in replaced} == built


def test_published_keda_is_at_the_pinned_version() -> None:
    assert {image["newTag"] for image in addons.images_of("keda", Mode.PUBLISHED)} == {"2.21.0"}


def test_the_manifests_leave_open_only_what_is_filled() -> None:
    filled = addons.values("source", Mode.PUBLISHED)
    for path in (CLUSTER_DIR / "addons").rglob("*.yaml"):
        for word in path.read_text().split():
            if word.startswith("$") and word[1:2].isupper():
                assert word[1:].split("/")[0] in filled, f"{path.name}: {word}"


def test_an_unknown_addon_is_named_with_those_that_there_are() -> None:
    with pytest.raises(Failure, match=r"no such add-on: kueue\. There are: prometheus, training-operator, keda"):
        check_addons(["training-operator", "kueue"])
