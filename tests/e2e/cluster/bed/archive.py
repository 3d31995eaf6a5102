"""Turn what `docker save` wrote into an archive with only the layers that a node lacks.

Torch's layer is gigabytes and changes once a month; the source above it is kilobytes and changes all day. containerd
imports an OCI layout whose missing blobs it already has, so those are left out.
"""

from __future__ import annotations

import hashlib
import io
import json
import posixpath
import tarfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class Blob:
    """One piece of an image: where it lies in the saved archive, and what it is."""

    member: str
    digest: str
    size: int
    media_type: str

    def descriptor(self) -> dict[str, Any]:
        """Return how an OCI manifest names it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


def digest_of(data: bytes) -> str:
    """Return the digest by which containerd knows these bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(name)
    return file.read()


def _layer(archive: tarfile.TarFile, member: str, diff_id: str) -> Blob:
    """Describe a layer.

    Newer engines name it by its digest. Older ones use an id of their own, and then it is a plain tar, whose digest is
    the diff id, or a symbolic link to one that occurred before.
    """
    info = archive.getmember(member)
    if info.issym():
        info = archive.getmember(posixpath.normpath(posixpath.join(posixpath.dirname(member), info.linkname)))
    digest = f"sha256:{member.rsplit('/', 1)[1]}" if member.startswith("blobs/sha256/") else diff_id
    file = archive.extractfile(info)
    compressed = file is not None and file.read(2) == GZIP_MAGIC
    return Blob(info.name, digest, info.size, f"{LAYER}+gzip" if compressed else LAYER)


def thin(saved: Path, tag: str, present: Collection[str], out: IO[bytes]) -> list[Blob]:
    """Write one image of `saved` to `out` in OCI form, without the layers in `present`; return those written."""
    with tarfile.open(saved) as archive, tarfile.open(fileobj=out, mode="w|") as target:
        [entry] = [each for each in json.loads(_read(archive, "manifest.json")) if tag in each["RepoTags"]]
        config = _read(archive, entry["Config"])
        diff_ids = json.loads(config)["rootfs"]["diff_ids"]
        layers = [_layer(archive, member, diff_id) for member, diff_id in zip(entry["Layers"], diff_ids, strict=True)]
        config_blob = Blob(entry["Config"], digest_of(config), len(config), CONFIG)
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config_blob.descriptor()}
        manifest = json.dumps({**document, "layers": [layer.descriptor() for layer in layers]}).encode()
        _add(target, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        _add(target, "index.json", _index(manifest, tag))
        for blob in (config, manifest):
            _add(target, _blob_path(digest_of(blob)), blob)
        written = [layer for layer in {layer.digest: layer for layer in layers}.values() if layer.digest not in present]
        for layer in written:
            info = tarfile.TarInfo(_blob_path(layer.digest))
            info.size = layer.size
            target.addfile(info, archive.extractfile(layer.member))
    return written


def _index(manifest: bytes, tag: str) -> bytes:
    described = {"mediaType": MANIFEST, "digest": digest_of(manifest), "size": len(manifest)}
    named = {**described, "annotations": {"io.containerd.image.name": tag}}
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [named]}).encode()


def _blob_path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _add(target: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    target.addfile(info, io.BytesIO(data))
