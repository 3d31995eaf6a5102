"""Build the catalogue's images, each only when the engine does not already have a current one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from bed import base, catalog
from bed.catalog import FileImage, ProgramImage
from bed.gobuild import GoBuilder
from bed.places import IMAGES, REPOSITORY, Places
from bed.programs import CNI_PLUGINS, kubernetes_version
from bed.shell import Failure, Shell
from bed.steps import Steps

BUILD_SECONDS = 3600
BUILD_CACHE = "10GB"


def build_command(tag: str, stamp: str, dockerfile: Path, context: Path, args: Iterable[tuple[str, str]]) -> list[str]:
    """Return the docker command for one image. The host's network: a bridge may have no way to the registries."""
    command = ["docker", "build", "--network=host", "--progress=plain", "--tag", tag, "--file", str(dockerfile)]
    command += ["--label", f"{base.STAMP_LABEL}={stamp}"]
    for key, value in args:
        command += ["--build-arg", f"{key}={value}"]
    return [*command, str(context)]


def check_images(names: Iterable[str]) -> None:
    """Refuse a name that no image has."""
    if unknown := sorted(set(names) - {*catalog.FILE_IMAGES, "node", "addons"}):
        raise Failure(f"no such image: {', '.join(unknown)}. There are: {', '.join(catalog.FILE_IMAGES)}, node, addons")


def check_addons(names: Iterable[str]) -> None:
    """Refuse a name that no add-on has."""
    if unknown := sorted(set(names) - set(catalog.ADDONS)):
        raise Failure(f"no such add-on: {', '.join(unknown)}. There are: {', '.join(catalog.ADDONS)}")


class ImageBuilder:
    """Builds images with the engine that runs."""

    def __init__(self, places: Places, shell: Shell, steps: Steps, go: GoBuilder) -> None:
        """`go` makes the programs that images are made of."""
        self._places, self._shell, self._steps, self._go = places, shell, steps, go

    def base(self) -> None:
        """Make sure that the base image is there."""
        if not self._is_current(base.TAG, base.base_stamp()):
            base.build_base(self._places, self._shell, self._steps)

    def program(self, image: ProgramImage) -> None:
        """Make sure that one Go program's image is there."""
        if self._is_current(image.tag, image.stamp()):
            return
        self._go.build([image.program])
        with self._steps.step(f"image {image.tag}"):
            context = self._context(image.name)
            _link(self._places.bin / image.program, context / image.program)
            (context / "Dockerfile").write_text(image.dockerfile())
            self._docker_build(image.tag, image.stamp(), context / "Dockerfile", context, ())

    def file(self, name: str) -> None:
        """Make sure that one image of images/ is there, and the one that it stands on."""
        image = catalog.FILE_IMAGES[name]
        if self._is_current(image.tag, image.stamp()):
            self._steps.skip(f"image {image.tag}", "current")
            return
        self._below(image)
        with self._steps.step(f"image {image.tag}"):
            below = catalog.FILE_IMAGES[image.on].tag if image.on else base.TAG
            args = (("BASE", below), *image.args)
            self._docker_build(image.tag, image.stamp(), image.dockerfile, REPOSITORY, args)

    def addons(self, names: Sequence[str] = catalog.ADDONS) -> list[str]:
        """Make sure that these add-ons' images are there; return their tags."""
        images = [image for name in names for image in catalog.ADDON_IMAGES[name]]
        if programs := [image.program for image in images if not self._is_current(image.tag, image.stamp())]:
            self._go.build(programs)  # all at once: programs of one module share one build
        for image in images:
            self.program(image)
        files = [name for name in names if name in catalog.FILE_IMAGES]
        for name in files:
            self.file(name)
        return [image.tag for image in images] + [catalog.FILE_IMAGES[name].tag for name in files]

    def drop_unused(self, *, engine_is_ours: bool) -> None:
        """Delete what rebuilding left over: nameless images of ours and, where nobody else builds, old build cache."""
        self._shell.ok(["docker", "image", "prune", "--force", "--filter", f"label={base.STAMP_LABEL}"])
        if engine_is_ours:
            self._shell.ok(
                ["docker", "builder", "prune", "--force", f"--keep-storage={BUILD_CACHE}"], timeout_seconds=300
            )

    def node(self) -> str:
        """Make sure that the node image is there, with the control plane's images inside; return its tag."""
        stamp = catalog.node_stamp()
        if self._is_current(catalog.NODE_TAG, stamp):
            self._steps.skip(f"image {catalog.NODE_TAG}", "current")
            return catalog.NODE_TAG
        self._go.build(catalog.NODE_CONTENTS)
        self.base()
        version = kubernetes_version()
        listed = self._shell.run(
            [self._places.bin / "kubeadm", "config", "images", "list", "--kubernetes-version", version]
        )
        inside = [*catalog.control_plane_images(listed), catalog.PROVISIONER]
        for image in inside:
            self.program(image)
        proxy_tag = next(tag for tag in listed.split() if "/kube-proxy:" in tag)
        self._kube_proxy(proxy_tag, stamp)
        context = self._context("node")
        shutil.copytree(IMAGES / "node", context, dirs_exist_ok=True)
        for directory, names in (("bin", catalog.NODE_PROGRAMS), ("cni", CNI_PLUGINS)):
            (context / directory).mkdir()
            for name in names:
                _link(self._places.bin / name, context / directory / name)
        (context / "version").write_text(version)
        with self._steps.step("node image: pack the control plane's images"):
            tags = [image.tag for image in inside] + [proxy_tag, base.TAG]
            self._shell.run(["docker", "save", "--output", context / "images.tar", *tags])
        with self._steps.step(f"image {catalog.NODE_TAG}"):
            args = (("BASE", base.TAG), ("SERVICE_CIDR", catalog.SERVICE_CIDR), ("POD_CIDR", catalog.POD_CIDR))
            self._docker_build(catalog.NODE_TAG, stamp, context / "Dockerfile", context, args)
        shutil.rmtree(context)
        return catalog.NODE_TAG

    def _kube_proxy(self, tag: str, stamp: str) -> None:
        with self._steps.step(f"image {tag}"):
            context = self._context("kube-proxy")
            _link(self._places.bin / "kube-proxy", context / "kube-proxy")
            self._docker_build(tag, stamp, IMAGES / "kube-proxy" / "Dockerfile", context, (("BASE", base.TAG),))

    def _below(self, image: FileImage) -> None:
        if image.on:
            self.file(image.on)
        else:
            self.base()

    def _is_current(self, tag: str, stamp: str) -> bool:
        label = f'{{{{index .Config.Labels "{base.STAMP_LABEL}"}}}}'
        try:
            return self._shell.run(["docker", "image", "inspect", "--format", label, tag]).strip() == stamp
        except Failure:
            return False

    def _docker_build(
        self, tag: str, stamp: str, dockerfile: Path, context: Path, args: Iterable[tuple[str, str]]
    ) -> None:
        command = build_command(tag, stamp, dockerfile, context, args)
        self._shell.run(command, env={"DOCKER_BUILDKIT": "1"}, timeout_seconds=BUILD_SECONDS)

    def _context(self, name: str) -> Path:
        context = self._places.scratch / "context" / name
        shutil.rmtree(context, ignore_errors=True)
        context.mkdir(parents=True)
        return context


def _link(source: Path, target: Path) -> None:
    """Give a file a second name: programs are a hundred megabytes, and both names are on the cache's file system."""
    os.link(source, target)
