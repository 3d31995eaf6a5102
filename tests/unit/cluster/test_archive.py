from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
from bed.archive import digest_of, thin

BASE, SOURCE = b"base layer", b"source layer"
TAG = "slipway.local/x:dev"


def saved_by_docker(path: Path, *, modern: bool, layers: tuple[bytes, ...] = (BASE, SOURCE)) -> Path:
    """Write what `docker save` does: before version 25 with ids of its own, after it as blobs."""
    config = json.dumps({"rootfs": {"diff_ids": [digest_of(layer) for layer in layers]}}).encode()
    names = [
        f"blobs/sha256/{hashlib.sha256(layer).hexdigest()}" if modern else f"id{i}/layer.tar"
        for i, layer in enumerate(layers)
    ]
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [TAG], "Layers": names}]).encode()
    with tarfile.open(path, "w") as archive:
        for name, data in [*zip(names, layers, strict=True), ("config.json", config), ("manifest.json", manifest)]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def contents(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive.getmembers()}  # type: ignore[union-attr]


def blob(files: dict[str, bytes], digest: str) -> bytes:
    return files[f"blobs/{digest.replace(':', '/')}"]


@pytest.mark.parametrize("modern", [False, True])
def test_a_whole_image_is_a_complete_oci_layout(tmp_path: Path, modern: bool) -> None:
    out = io.BytesIO()
    thin(saved_by_docker(tmp_path / "saved.tar", modern=modern), TAG, set(), out)
    files = contents(out.getvalue())
    [described] = json.loads(files["index.json"])["manifests"]
    manifest = json.loads(blob(files, described["digest"]))
    assert described["annotations"] == {"io.containerd.image.name": TAG}
    assert [blob(files, layer["digest"]) for layer in manifest["layers"]] == [BASE, SOURCE]
    for layer in (*manifest["layers"], manifest["config"], described):
        data = blob(files, layer["digest"])
        assert (digest_of(data), len(data)) == (layer["digest"], layer["size"])


@pytest.mark.parametrize("modern", [False, True])
def test_layers_that_the_node_has_are_named_but_not_moved(tmp_path: Path, modern: bool) -> None:
    out = io.BytesIO()
    written = thin(saved_by_docker(tmp_path / "saved.tar", modern=modern), TAG, {digest_of(BASE)}, out)
    files = contents(out.getvalue())
    manifest = json.loads(blob(files, json.loads(files["index.json"])["manifests"][0]["digest"]))
    assert [layer.digest for layer in written] == [digest_of(SOURCE)]
    assert [layer["digest"] for layer in manifest["layers"]] == [digest_of(BASE), digest_of(SOURCE)]
    assert BASE not in files.values()


def test_a_layer_that_occurs_twice_is_moved_once(tmp_path: Path) -> None:
    out = io.BytesIO()
    written = thin(saved_by_docker(tmp_path / "saved.tar", modern=False, layers=(BASE, BASE)), TAG, set(), out)
    assert len({layer.digest for layer in written}) == 1
    assert list(contents(out.getvalue()).values()).count(BASE) == 1


def test_a_linked_layer_of_an_older_engine_is_followed(tmp_path: Path) -> None:
    config = json.dumps({"rootfs": {"diff_ids": [digest_of(BASE)]}}).encode()
    manifest = json.dumps([{"Config": "c", "RepoTags": ["a:b"], "Layers": ["two/layer.tar"]}]).encode()
    with tarfile.open(tmp_path / "saved.tar", "w") as archive:
        for name, data in (("one/layer.tar", BASE), ("c", config), ("manifest.json", manifest)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("two/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, "../one/layer.tar"
        archive.addfile(link)
    out = io.BytesIO()
    assert [layer.digest for layer in thin(tmp_path / "saved.tar", "a:b", set(), out)] == [digest_of(BASE)]
    assert BASE in contents(out.getvalue()).values()
