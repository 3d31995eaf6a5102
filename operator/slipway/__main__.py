"""The command line: `slipway`, also installed as `kubectl-slipway`.

What is decided here: what each subcommand reads and prints, and its exit code: 0 done, 1 what was asked for is wrong (a
stale file, an invalid resource or one that the operator would refuse, an unreachable cluster, a file or an output that
cannot be written), 2 the command line itself is, or its file is nothing that can be read as YAML text. Whoever reads
only the first lines of an output has made no error. Each subcommand imports what it needs when it runs, so that
generating files needs neither kopf nor a cluster client.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .cli.generated import Generated
    from .cli.preview import Preview
    from .plan.observed import Obj

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

CRDS_DIRECTORY = Path("charts/slipway-crds/templates")
REFERENCE_FILE = Path("docs/api.md")
RBAC_DIRECTORY = Path("charts/slipway/templates")
ACCELERATORS_DIRECTORY = Path("charts/slipway/files")
NUMBER_MAX, NUMBER_MIN = 10**9, 10**-6  # of options: what comes of them stays a number, and is no week's work
HOW = (
    "with default settings and no cluster; claims that they name are looked for in the files. Exits with 1 where the"
    " operator would not accept one of them. Does not check the API server's own rules on values and on fields together"
    " (CEL): `kubectl apply --dry-run=server -f FILE` does."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand. Returns the exit code."""
    arguments = parser().parse_args(argv)
    command: str = arguments.command
    try:
        return int(COMMANDS[command](arguments))
    except ModuleNotFoundError as error:
        if command not in OF_THE_OPERATOR or (error.name or "").split(".")[0] == "slipway":
            raise
        print(
            f"slipway {command}: no module {error.name}: install it with `pip install 'slipway[operator]'`",
            file=sys.stderr,
        )
        return 1
    except OSError as error:
        if command == "run":
            raise
        print(f"slipway {command}: {error}", file=sys.stderr)
        return 1


@contextmanager
def _writing() -> Iterator[None]:
    """To standard output. That nobody reads it any more is no error, that it cannot be written is one."""
    try:
        yield
    except BrokenPipeError:
        _write_no_more()
    except OSError as error:
        _write_no_more()
        raise OSError(error.errno, error.strerror, "standard output") from error


def _write_no_more() -> None:
    """Python would try once more to write what is left, when it ends, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(text: str) -> None:
    with _writing():
        print(text, end="", flush=True)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="slipway", description="Distributed AI on Kubernetes: train, serve.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("run", help="run the operator (in a pod, or against the kubeconfig's cluster)")
    _generator(commands.add_parser("crds", help="print, write or check the CustomResourceDefinitions"), CRDS_DIRECTORY)
    commands.choices["crds"].add_argument("--docs", type=_path, metavar="FILE", help="write the API reference here too")
    _generator(commands.add_parser("rbac", help="print, write or check the chart's roles"), RBAC_DIRECTORY)
    classes = commands.add_parser("accelerators", help="print the GPUs that Slipway knows, as Accelerator objects")
    _generator(classes, ACCELERATORS_DIRECTORY)
    _plan_options(_of_file(commands, "plan", "say what the operator would do for the resources in a file"))
    _render_options(_of_file(commands, "render", "print what the operator would make for the resources in a file"))
    engines = commands.add_parser("engines", help="list the engines, their versions and what they do under Slipway")
    engines.add_argument("--output", type=_path, metavar="FILE", help="write the table into this page's block instead")
    engines.add_argument("--check", action="store_true", help="fail when docs/serving.md's block is stale")
    listing = commands.add_parser("status", help="list TrainingJobs and InferenceServices with their reasons")
    listing.add_argument("-n", "--namespace", help="only this namespace (all when left out)")
    listing.add_argument("-w", "--watch", action="store_true", help="go on, with how far the training is; ends with ^C")
    return top


def _of_file(commands: "Subparsers", name: str, text: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=f"{text}, {HOW}")
    files = "YAML; - is standard input; may come several times: all files together are looked at"
    command.add_argument(
        "-f", "--filename", type=_name, required=True, action="append", dest="filenames", metavar="FILE", help=files
    )
    return command


def _plan_options(command: argparse.ArgumentParser) -> None:
    what = (
        "train: the memory that a TrainingJob needs, and how its processes had best share the work;"
        " serve: the GPUs that a model (config.json, its directory or an InferenceService) had best be served on"
    )
    command.add_argument("what", nargs="?", choices=["train", "serve"], help=what)
    command.add_argument("--gpu", metavar="NAME", help="with train: this GPU, whatever the file says")
    command.add_argument("-o", "--output", choices=["table", "json"], help="with train or serve: table when left out")
    serve = command.add_argument_group("with serve")
    serve.add_argument(
        "--accelerator", action="append", metavar="NAME", help="a GPU to look at; may come several times"
    )
    serve.add_argument("--gpus", type=_whole, default=8, metavar="N", help="how many there are (8)")
    serve.add_argument("--gpus-per-node", type=_whole, default=8, metavar="N", help="how many of them in a node (8)")
    serve.add_argument("--prompt-tokens", type=_whole, default=1024, metavar="N", help="of a request (1024)")
    serve.add_argument("--output-tokens", type=_whole, default=256, metavar="N", help="of a request (256)")
    serve.add_argument("--rate", type=_positive, metavar="R", help="requests a second that are to be answered")
    serve.add_argument("--ttft-ms", type=_positive, metavar="MS", help="the longest time to the first token")
    serve.add_argument("--itl-ms", type=_positive, metavar="MS", help="the longest time between tokens")
    serve.add_argument("--engine", choices=["vllm", "sglang"], help="the InferenceService's, or vllm")
    serve.add_argument("--utilization", type=_share, metavar="F", help="of a GPU's memory that the engine may use")
    serve.add_argument("--kv-cache-dtype", metavar="TYPE", help="auto, or fp8 for half of it")
    serve.add_argument("--batched-tokens", type=_whole, metavar="N", help="the most that a step computes")
    serve.add_argument("--price", type=_positive, metavar="DOLLARS", help="of one GPU for an hour")
    serve.add_argument("--config", type=_path, metavar="PATH", help="config.json of an InferenceService's model")


def _name(text: str) -> str:
    if "\0" in text:
        raise argparse.ArgumentTypeError(f"{text!r}: holds the character NUL, which no file's name does")
    return text


def _path(text: str) -> Path:
    return Path(_name(text))


def _whole(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= NUMBER_MAX:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a whole number above zero, at most {NUMBER_MAX}")
    return int(text)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not NUMBER_MIN <= number <= NUMBER_MAX:
        allowed = f"from {NUMBER_MIN:f} to {NUMBER_MAX}"
        raise argparse.ArgumentTypeError(f"{text!r}: must be a number above zero, {allowed}")
    return number


def _share(text: str) -> float:
    number = _positive(text)
    if number > 1:
        raise argparse.ArgumentTypeError(f"{text!r}: must be at most 1")
    return number


def _render_options(command: argparse.ArgumentParser) -> None:
    targets = "slurm: an sbatch script; torchrun: a script for this machine; kubernetes when left out"
    command.add_argument("--target", choices=["kubernetes", "slurm", "torchrun"], default="kubernetes", help=targets)
    command.add_argument("--run", action="store_true", help="with torchrun: run it at once")


def _generator(command: argparse.ArgumentParser, directory: Path) -> None:
    where = command.add_mutually_exclusive_group()
    where.add_argument("--output", type=_path, metavar="DIR", help="write them here")
    where.add_argument("--check", action="store_true", help=f"fail when {directory} differs from what is generated")


def crds(arguments: argparse.Namespace) -> int:
    from .api.crd import OWNED, REGENERATE, crd_files
    from .api.reference import reference
    from .cli.generated import Generated

    files = crd_files()
    if arguments.check:
        page = Generated(REFERENCE_FILE.parent, {REFERENCE_FILE.name: reference()}, REGENERATE)
        return _check(Generated(CRDS_DIRECTORY, files, REGENERATE, owns=OWNED), page)
    if arguments.docs:
        Generated(arguments.docs.parent, {arguments.docs.name: reference()}, REGENERATE).write()
    return _write_or_print(arguments.output, files, REGENERATE, owns=OWNED)


def rbac(arguments: argparse.Namespace) -> int:
    from .api.rbac import OWNED, REGENERATE, rbac_files
    from .cli.generated import Generated

    if arguments.check:
        return _check(Generated(RBAC_DIRECTORY, rbac_files(), REGENERATE, owns=OWNED))
    return _write_or_print(arguments.output, rbac_files(), REGENERATE, owns=OWNED)


def accelerators(arguments: argparse.Namespace) -> int:
    from .cli.generated import Generated
    from .plan.capacity.devices import REGENERATE, built_in_text

    files = {"accelerators.yaml": built_in_text()}
    if arguments.check:
        return _check(Generated(ACCELERATORS_DIRECTORY, files, REGENERATE))
    return _write_or_print(arguments.output, files, REGENERATE, owns="")


def _write_or_print(directory: Path | None, files: dict[str, str], regenerate: str, *, owns: str) -> int:
    from .cli.generated import Generated

    if directory is None:
        _tell("---\n".join(files.values()))
    else:
        for deleted in Generated(directory, files, regenerate, owns=owns).write():
            print(f"deleted {deleted}: it is no longer generated", file=sys.stderr)
    return 0


def _check(*generated: "Generated") -> int:
    differences = "".join(each.difference() for each in generated)
    if not differences:
        return 0
    _tell(differences)
    print(f"Generated files differ from what their source says. Run: {generated[0].regenerate}", file=sys.stderr)
    return 1


def plan(arguments: argparse.Namespace) -> int:
    from .cli import preview, trainplan, trainplantable

    if arguments.gpu and arguments.what != "train":
        return _misused("--gpu belongs to `slipway plan train`")
    if arguments.what != "serve" and (misplaced := _of_serve(arguments)):
        return _misused(f"{misplaced} belongs to `slipway plan serve`")
    if arguments.what == "serve":
        return _plan_serve(arguments)
    if arguments.what == "train":
        show = trainplan.as_json if arguments.output == "json" else trainplantable.as_table
        return _of_files(arguments.filenames, lambda present: show(trainplan.plans(present, arguments.gpu)))
    if arguments.output:
        return _misused("-o belongs to `slipway plan train` and `slipway plan serve`")
    return _of_previews(arguments.filenames, preview.summary)


def _of_serve(arguments: argparse.Namespace) -> str | None:
    """An option of serve's that is not as its default."""
    command = parser().parse_args(["plan", "-f", "-"])
    common = {"command", "what", "gpu", "output", "filenames"}
    changed = (
        name for name, value in vars(arguments).items() if name not in common and value != getattr(command, name)
    )
    return next((f"--{name.replace('_', '-')}" for name in changed), None)


def _plan_serve(arguments: argparse.Namespace) -> int:
    """Of a file, or of a model's directory. What other files hold stands beside it: Accelerators, a TrainingJob."""
    from .cli import serveplan, serveplantable

    show = serveplan.as_json if arguments.output == "json" else serveplantable.as_table
    filename, *others = arguments.filenames
    beside: list[Obj] = []
    if unreadable := _collected(others, beside):
        return unreadable
    path = Path(filename)
    path = path / "config.json" if path.is_dir() else path
    file = None if filename == "-" else path
    return _of_text(str(path), lambda text: show(serveplan.plans(text, file, arguments, beside)))


def render(arguments: argparse.Namespace) -> int:
    from .cli import preview, targets

    if arguments.run and arguments.target != "torchrun":
        return _misused("--run belongs to --target torchrun")
    if arguments.target == "kubernetes":
        code = _of_previews(arguments.filenames, preview.rendered)
    else:
        code = _of_files(arguments.filenames, targets.run if arguments.run else targets.SCRIPTS[arguments.target])
    if code == 0:  # not on standard output, which may be piped to kubectl or a shell
        print(preview.UNCHECKED, end="", file=sys.stderr)
    return code


def _of_previews(filenames: Sequence[str], show: "Callable[[Sequence[Preview]], str]") -> int:
    """Prints what is made of the files' previews; a resource that the operator would refuse is a failure."""
    from .cli import preview

    refusals: list[str] = []

    def shown(present: "list[Obj]") -> str:
        previews = preview.preview(present, preview.operator())
        refusals.extend(preview.refusals(previews))
        return show(previews)

    code = _of_files(filenames, shown)
    for refusal in refusals:
        print(f"{', '.join(filenames)}: {refusal}", file=sys.stderr)
    return 1 if refusals else code


def _of_files(filenames: Sequence[str], show: "Callable[[list[Obj]], str]") -> int:
    """Prints what is made of the objects of all files together."""
    present: list[Obj] = []
    return _collected(filenames, present) or _shown(", ".join(filenames), lambda: show(present))


def _collected(filenames: Sequence[str], present: "list[Obj]") -> int:
    """Adds the objects of all files to `present`. Each file that cannot be read is told."""
    from .cli.documents import documents

    def collect(text: str) -> str:
        present.extend(documents(text))
        return ""

    return max((_of_text(filename, collect) for filename in filenames), default=0)


def _of_text(filename: str, show: Callable[[str], str]) -> int:
    """Prints what is made of a file's text."""

    def text() -> str:
        return sys.stdin.read() if filename == "-" else Path(filename).read_text(encoding="utf-8")

    return _shown(filename, lambda: show(text()))


def _shown(where: str, make: Callable[[], str]) -> int:
    """Prints what is made of what is in the files `where`."""
    from .cli.documents import InvalidFile

    try:
        shown = make()
    except (OSError, InvalidFile) as error:
        print(f"{where}: {error}", file=sys.stderr)
        return 1
    except UnicodeDecodeError as error:
        return _unreadable(where, f"not UTF-8, from byte {error.start} on: save it as UTF-8")
    except RecursionError:
        return _unreadable(where, "its values are nested too deeply to be read")
    _tell(shown)
    return 0


def _unreadable(filename: str, why: str) -> int:
    print(f"{filename}: {why}", file=sys.stderr)
    return 2


def _misused(message: str) -> int:
    print(f"slipway: {message}", file=sys.stderr)
    return 2


def status(arguments: argparse.Namespace) -> int:
    from .cli import listing

    try:
        if arguments.watch:
            _watch(arguments.namespace)
        else:
            _tell(listing.status(arguments.namespace))
    except listing.Unreadable as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _watch(namespace: str | None) -> None:
    """Until nobody looks any more, which is no error."""
    from .cli import watching

    try:
        with _writing():
            watching.watch(namespace, sys.stdout, sys.stderr)
    except KeyboardInterrupt:
        return


def engines(arguments: argparse.Namespace) -> int:
    from .cli import engines as of_engines

    if not arguments.check and not arguments.output:
        _tell(of_engines.as_table())
        return 0
    try:
        page = of_engines.page(arguments.output or of_engines.PAGE)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    if arguments.check:
        return _check(page)
    page.write()
    return 0


def run(_: argparse.Namespace) -> int:
    return int(importlib.import_module("slipway.app").main() or 0)


OF_THE_OPERATOR = ("run", "status")  # which need more than the distribution's own dependencies
COMMANDS = {
    "run": run,
    "crds": crds,
    "rbac": rbac,
    "accelerators": accelerators,
    "plan": plan,
    "render": render,
    "engines": engines,
    "status": status,
}

if __name__ == "__main__":
    sys.exit(main())
