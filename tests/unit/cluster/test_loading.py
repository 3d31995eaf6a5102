from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from bed.archive import digest_of
from bed.cluster import Cluster
from bed.loading import Loader
from bed.places import Places
from bed.shell import Failure
from bed.steps import Steps

from .fake_shell import Answer, FakeShell

NODE = "slipway-control-plane"
TAG, OTHER = "slipway.local/x:dev", "slipway.local/y:dev"
LAYER = b"layer"


def save(words: list[str]) -> str:
    """Do what `docker save --output FILE TAG...` does."""
    config = json.dumps({"rootfs": {"diff_ids": [digest_of(LAYER)]}}).encode()
    tags = words[words.index("--output") + 2 :]
    images = [{"Config": "c", "RepoTags": [tag], "Layers": ["one/layer.tar"]} for tag in tags]
    with tarfile.open(words[words.index("--output") + 1], "w") as archive:
        for name, data in (("one/layer.tar", LAYER), ("c", config), ("manifest.json", json.dumps(images).encode())):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return ""


def loader(tmp_path: Path, *, loaded: str, nodes: str = NODE) -> tuple[Loader, FakeShell]:
    answers: dict[str, Answer] = {
        "docker ps": nodes,
        "docker image inspect": "sha256:new\n",
        "docker save": save,
        f"docker exec {NODE} sh -c cat": loaded,
    }
    shell, places, steps = FakeShell(answers), Places(tmp_path), Steps(out=io.StringIO())
    return Loader(Cluster("slipway", places, shell, steps), places, shell, steps), shell


def test_an_image_that_the_node_has_is_not_saved(tmp_path: Path) -> None:
    load, shell = loader(tmp_path, loaded=f"sha256:new {TAG}\n")
    load.load([TAG])
    assert not shell.ran("docker save")


def test_a_changed_image_is_imported_recorded_and_the_old_one_dropped(tmp_path: Path) -> None:
    load, shell = loader(tmp_path, loaded=f"sha256:old {TAG}\n")
    # The record that the real node would now hold.
    recorded = iter([f"sha256:old {TAG}\n", f"sha256:new {TAG}\n"])
    shell.answers[f"docker exec {NODE} sh -c cat"] = lambda words: next(recorded)
    load.load([TAG])
    assert len(shell.fed) == 1
    assert LAYER in shell.fed[0]
    assert any(f"echo 'sha256:new {TAG}'" in command for command in shell.commands)
    assert shell.ran(f"docker exec {NODE} ctr --namespace=k8s.io images rm") == [
        f"docker exec {NODE} ctr --namespace=k8s.io images rm sha256:old"
    ]
    assert not (tmp_path / "scratch" / "saved.tar").exists()


def test_images_are_saved_together_and_loaded_one_by_one(tmp_path: Path) -> None:
    load, shell = loader(tmp_path, loaded="")
    load.load([TAG, OTHER])
    assert len(shell.ran("docker save")) == 1
    named = [b'"io.containerd.image.name": "' + tag.encode() for tag in (TAG, OTHER)]
    assert [[name in fed for name in named] for fed in shell.fed] == [[True, False], [False, True]]


def test_what_another_tag_still_means_is_kept(tmp_path: Path) -> None:
    load, shell = loader(tmp_path, loaded=f"sha256:old {TAG}\nsha256:old {OTHER}\n")
    load.load([TAG])
    assert not shell.ran(f"docker exec {NODE} ctr --namespace=k8s.io images rm")


def test_a_cluster_that_is_not_up_is_said_so(tmp_path: Path) -> None:
    load, _ = loader(tmp_path, loaded="", nodes="")
    with pytest.raises(Failure, match="run `up` first"):
        load.load([TAG])
