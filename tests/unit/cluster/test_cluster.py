from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from bed.cluster import Cluster
from bed.kindconfig import kind_config
from bed.modes import PUBLISHED_NODE, Mode
from bed.places import Places
from bed.shell import Failure
from bed.steps import Steps

from .fake_shell import Answer, FakeShell

NODE = "slipway-control-plane"


def cluster_on(tmp_path: Path, answers: dict[str, Answer]) -> tuple[Cluster, FakeShell]:
    shell = FakeShell(answers)
    return Cluster("slipway", Places(tmp_path), shell, Steps(out=io.StringIO())), shell


def engine_with(*, running: str, all_of_them: str, image: str = "sha256:1") -> dict[str, Answer]:
    def ps(words: list[str]) -> str:
        return all_of_them if "--all" in words else running

    return {
        "docker ps": ps,
        "docker image inspect": "sha256:1\n",
        "docker inspect": f"{image}\n" * len(all_of_them.split()),
    }


def test_a_ready_cluster_is_left_alone(tmp_path: Path) -> None:
    cluster, shell = cluster_on(tmp_path, engine_with(running=NODE, all_of_them=NODE))
    cluster.up(mode=Mode.BUILT, image="node:1", nodes=1)
    assert not shell.ran("kind create")
    assert not shell.ran("kind delete")


def test_a_stopped_cluster_is_started_again(tmp_path: Path) -> None:
    cluster, shell = cluster_on(tmp_path, engine_with(running="", all_of_them=NODE))
    cluster.up(mode=Mode.BUILT, image="node:1", nodes=1)
    assert shell.ran("docker start") == [f"docker start {NODE}"]
    assert not shell.ran("kind create")


@pytest.mark.parametrize(
    "answers",
    [
        engine_with(running=NODE, all_of_them=NODE, image="sha256:2"),
        engine_with(running=NODE, all_of_them=f"{NODE} slipway-worker"),
        {**engine_with(running="", all_of_them=NODE), "docker start": Failure("cannot")},
        {**engine_with(running=NODE, all_of_them=NODE), "kind export": Failure("half-made")},
    ],
    ids=["another image", "another size", "does not start", "half-made"],
)
def test_what_cannot_be_used_is_replaced(tmp_path: Path, answers: dict[str, Answer]) -> None:
    cluster, shell = cluster_on(tmp_path, answers)
    cluster.up(mode=Mode.BUILT, image="node:1", nodes=1)
    assert shell.ran("kind delete cluster --name slipway")
    assert shell.ran("kind create cluster --name slipway --image node:1")


def test_no_command_touches_the_users_kubeconfig(tmp_path: Path) -> None:
    cluster, shell = cluster_on(tmp_path, engine_with(running="", all_of_them=""))
    cluster.up(mode=Mode.BUILT, image="node:1", nodes=1)
    cluster.delete()
    for command in shell.ran("kind create") + shell.ran("kind delete") + shell.ran("kubectl"):
        assert f"--kubeconfig {tmp_path}/slipway.kubeconfig" in command


def test_a_failed_create_ends_with_what_the_node_said(tmp_path: Path) -> None:
    answers: dict[str, Answer] = {"kind create": Failure("timed out"), "docker logs": "no space left"}
    cluster, _ = cluster_on(tmp_path, {**engine_with(running="", all_of_them=""), **answers})
    cluster._shell.answers["docker ps"] = NODE  # type: ignore[attr-defined]
    with pytest.raises(Failure, match=r"(?s)timed out.*no space left"):
        cluster._create(mode=Mode.BUILT, image="node:1", nodes=1)


def test_the_configuration_has_a_control_plane_and_workers(tmp_path: Path) -> None:
    config = json.loads(kind_config(mode=Mode.BUILT, nodes=3, patches=tmp_path))
    assert [node["role"] for node in config["nodes"]] == ["control-plane", "worker", "worker"]


def test_only_the_home_made_node_makes_its_own_cgroups(tmp_path: Path) -> None:
    for mode, expected in ((Mode.BUILT, True), (Mode.PUBLISHED, False)):
        config = kind_config(mode=mode, nodes=1, patches=tmp_path)
        assert ("KubeletConfiguration" in config) is expected


def test_the_stock_node_image_is_used_where_images_are_published(tmp_path: Path) -> None:
    cluster, shell = cluster_on(tmp_path, engine_with(running="", all_of_them=""))
    cluster.up(mode=Mode.PUBLISHED, image=PUBLISHED_NODE, nodes=2)
    assert shell.ran(f"kind create cluster --name slipway --image {PUBLISHED_NODE}")
    assert "cgroupfs" not in str(shell.stdin)
