"""The commands, and the order in which each does its steps."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext

from bed import base, catalog, modes
from bed.addons import Addons
from bed.cluster import Cluster
from bed.engine import Engine
from bed.gobuild import GoBuilder
from bed.images import ImageBuilder, check_addons, check_images
from bed.loading import Loader
from bed.lock import held
from bed.modes import Mode
from bed.places import Places, from_environment
from bed.setup import install_packages
from bed.shell import Failure, RealShell, Shell
from bed.status import print_status
from bed.steps import Steps, numbered

CLUSTER_PROGRAMS = ("kubectl", "kind", "helm")
# What works on the engine or the cluster, so that nobody may take those away meanwhile.
ALONE = ("images", "up", "addons", "load", "down")


class Bed:
    """One command's objects, made once."""

    def __init__(self, options: argparse.Namespace, places: Places, shell: Shell, steps: Steps) -> None:
        """Nothing is started yet."""
        self.options, self.places, self.shell, self.steps = options, places, shell, steps
        self.go = GoBuilder(places, shell, steps)
        self.engine = Engine(places, shell, steps)
        self.images = ImageBuilder(places, shell, steps, self.go)
        self.cluster = Cluster(options.name, places, shell, steps)

    def ready_engine(self) -> Mode:
        """Start the engine if none runs, and say where images come from."""
        self.engine.link_client()
        self.engine.ensure()
        ours = self.engine.is_ours()
        return modes.choose(self.places, self.shell, self.steps, engine_is_ours=ours, asked=self.options.mode)

    def ready_programs(self, mode: Mode) -> None:
        """Make sure of kubectl, kind and helm: where images are published, the user's own will do."""
        needed = [name for name in CLUSTER_PROGRAMS if mode is Mode.BUILT or not shutil.which(name)]
        if needed:
            self.go.build(needed)

    def install_addons(self, mode: Mode, names: Sequence[str]) -> None:
        """Build and load these add-ons' images if they are not published, and install them."""
        if mode is Mode.BUILT:
            tags = [base.TAG, *self.images.addons(names)]
            Loader(self.cluster, self.places, self.shell, self.steps).load(tags)
        Addons(self.cluster, mode, self.places, self.go, self.steps).install(names)


def setup(bed: Bed) -> None:
    """Install what a bare Debian lacks."""
    install_packages(bed.shell, bed.steps)


def build(bed: Bed) -> None:
    """Build Go programs into the cache."""
    bed.go.build(bed.options.names)


def images(bed: Bed) -> None:
    """Build container images: the named ones, or all."""
    check_images(bed.options.names)
    bed.ready_engine()
    for name, place in numbered(bed.options.names or ["node", "addons", *catalog.PRODUCT_IMAGES]):
        bed.steps.say(f"images: {name}{place}")
        match name:
            case "node":
                bed.images.node()
            case "addons":
                bed.images.addons()
            case _:
                bed.images.file(name)
    bed.images.drop_unused(engine_is_ours=bed.engine.is_ours())


def up(bed: Bed) -> None:
    """Make the cluster, and everything that it needs."""
    check_addons(bed.options.addons)
    mode = bed.ready_engine()
    bed.ready_programs(mode)
    image = bed.images.node() if mode is Mode.BUILT else modes.PUBLISHED_NODE
    bed.cluster.up(mode=mode, image=image, nodes=bed.options.nodes)
    if bed.options.addons:
        bed.install_addons(mode, bed.options.addons)
    bed.steps.say(f"kubeconfig: {bed.places.kubeconfig(bed.options.name)}")


def addons(bed: Bed) -> None:
    """Install the add-ons into a cluster that is up."""
    check_addons(bed.options.names)
    mode = bed.ready_engine()
    bed.install_addons(mode, bed.options.names or catalog.ADDONS)


def load(bed: Bed) -> None:
    """Put images into the nodes."""
    bed.ready_engine()
    Loader(bed.cluster, bed.places, bed.shell, bed.steps).load(bed.options.names)


def status(bed: Bed) -> None:
    """Say what there is."""
    print_status(bed.engine, bed.cluster, bed.places, bed.shell, bed.steps)


def down(bed: Bed) -> None:
    """Delete the cluster; with --all also stop the engine that the bed started."""
    if bed.engine.runs():
        with bed.steps.step(f"cluster {bed.options.name}: delete"):
            bed.cluster.delete()
    else:
        bed.cluster.forget()
        why = "no container engine answers; what a stopped one holds of it, the next `up` takes up or replaces"
        bed.steps.skip(f"cluster {bed.options.name}", why)
    if bed.options.all:
        bed.engine.stop()
        bed.steps.say(f"left in the cache, for the next time: {bed.places.cache}; `rm -rf` it to forget everything")


def env(bed: Bed) -> None:
    """Print what a shell needs to use the cluster, for eval."""
    kubeconfig, programs = (
        shlex.quote(str(path)) for path in (bed.places.kubeconfig(bed.options.name), bed.places.bin)
    )
    uv = shlex.quote(str(bed.places.uv_bin))  # where `make setup` puts it if there is none
    sys.stdout.write(f'export KUBECONFIG={kubeconfig}\nexport PATH={programs}:"$PATH":{uv}\n')


COMMANDS: dict[str, Callable[[Bed], None]] = {
    command.__name__: command for command in (setup, build, images, up, addons, load, status, down, env)
}


def nodes(text: str) -> int:
    """Return how many nodes to make; 0 would be a cluster that is deleted and made anew at every `up`."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of nodes: 1 or more")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    top = argparse.ArgumentParser(prog="python3 tests/e2e/cluster", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    for name, function in COMMANDS.items():
        command = commands.add_parser(name, help=function.__doc__, description=function.__doc__)
        command.add_argument("--name", default="slipway", help="the cluster's name")
        command.add_argument(
            "--mode",
            choices=[mode.value for mode in Mode],
            help="where images come from, in this command; else found out",
        )
        if name in ("build", "images", "load", "addons"):
            command.add_argument("names", nargs="+" if name == "load" else "*", help="which ones; all if none is named")
    commands.choices["up"].add_argument(
        "--nodes", type=nodes, default=1, help="how many nodes, the control plane included"
    )
    commands.choices["up"].add_argument(
        "--addons", nargs="*", default=catalog.ADDONS, help=f"which of {', '.join(catalog.ADDONS)}; alone: none"
    )
    commands.choices["down"].add_argument("--all", action="store_true", help="stop the bed's own engine too")
    return top


def main(arguments: list[str]) -> int:
    """Run one command; return the exit status."""
    options = parser().parse_args(arguments)
    places, steps = from_environment(), Steps()
    # The bed's own programs first, and sbin, which an ordinary user's PATH lacks and dockerd needs.
    os.environ["PATH"] = f"{places.bin}:{os.environ['PATH']}:{places.uv_bin}:/usr/sbin:/sbin"
    try:
        with held(places.lock, steps.say) if options.command in ALONE else nullcontext():
            COMMANDS[options.command](Bed(options, places, RealShell(), steps))
    except Failure as failure:
        sys.stderr.write(f"{options.command} failed: {failure}\n")
        return 1
    if options.command not in ("env", "status"):
        steps.summary()
    return 0
