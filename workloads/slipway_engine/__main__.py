"""The command: `python3 -m slipway_engine check` before an engine starts, and `watch` beside it.

Exit codes: 0 the model is whole, or the watched engine ended after a stop; 1 the model cannot be served; 2 the command
line is wrong; 3 the watched engine was wedged and has been ended for it. Of 1 and 3 the termination message says why.
"""

import argparse
import asyncio
import contextlib
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from .modelcheck import adapter_problem, problem

DEFAULT_TERMINATION_LOG = Path("/dev/termination-log")
TERMINATION_BYTES_MAX = 4096  # what Kubernetes keeps of it
WEDGED_EXIT = 3  # the operator knows it by slipway.plan.inference.wedges


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    options = parser().parse_args(arguments)
    if options.command == "check":
        return check(options.model, options.adapter, options.termination_log)
    return watch(options)


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="slipway_engine", description="Beside an inference engine.", allow_abbrev=False
    )
    commands = found.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="verify a Hugging Face model directory", allow_abbrev=False)
    check.add_argument("--model", type=Path, required=True, metavar="DIR")
    check.add_argument("--adapter", type=Path, metavar="DIR", help="of an adapter for the model")
    check.add_argument("--termination-log", type=Path, default=DEFAULT_TERMINATION_LOG, metavar="FILE")
    watch = commands.add_parser("watch", help="readiness by generated tokens", allow_abbrev=False)
    watch.add_argument("--engine", type=http_url, required=True, metavar="URL", help="http://127.0.0.1:8000")
    watch.add_argument("--model", required=True, metavar="NAME", help="the name that the engine serves it under")
    watch.add_argument("--port", type=port, default=8001)
    watch.add_argument("--interval", type=seconds, default=2.5, metavar="SECONDS", help="between looks")
    watch.add_argument(
        "--idle-interval", type=seconds, default=10.0, metavar="SECONDS", help="before an idle engine is asked"
    )
    watch.add_argument(
        "--wedge-seconds", type=seconds, default=10.0, metavar="SECONDS", help="without a token that is owed"
    )
    watch.add_argument("--startup-seconds", type=seconds, default=1800.0, metavar="SECONDS", help="for the first token")
    watch.add_argument("--termination-log", type=Path, default=DEFAULT_TERMINATION_LOG, metavar="FILE")
    return found


def check(model: Path, adapter: Path | None, termination_log: Path) -> int:
    """0, or 1 with one sentence on stderr and in the termination log."""
    found = problem(model) or (adapter_problem(adapter) if adapter else None)
    if found is None:
        return 0
    last_words(found, termination_log)
    return 1


def last_words(said: str, termination_log: Path) -> None:
    sys.stderr.write(said + "\n")
    with contextlib.suppress(OSError):  # outside Kubernetes there is none, and the exit code says it all the same
        termination_log.write_bytes(said.encode(errors="backslashreplace")[:TERMINATION_BYTES_MAX])


def watch(options: argparse.Namespace) -> int:
    # Imported here, so that the model's check starts without an HTTP server.
    from .heartbeat import Settings
    from .watch import serve

    if options.wedge_seconds < 2 * options.interval:
        parser().error("--wedge-seconds must be at least twice --interval: a silence is noticed by looking")
    settings = Settings(
        interval_seconds=options.interval,
        idle_interval_seconds=options.idle_interval,
        wedge_seconds=options.wedge_seconds,
        startup_seconds=options.startup_seconds,
    )
    verdict = asyncio.run(serve(url=options.engine, model=options.model, port=options.port, settings=settings))
    if not verdict:
        return 0
    last_words(verdict, options.termination_log)
    return WEDGED_EXIT


def http_url(text: str) -> str:
    if not text.startswith("http://") or len(text) == len("http://"):
        raise argparse.ArgumentTypeError(f"{text} is no http:// address, which is all that an engine in the pod speaks")
    return text


def port(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port between 1 and 65535")
    return number


def seconds(text: str) -> float:
    number = float(text)
    if not 0.05 <= number <= 86400:
        raise argparse.ArgumentTypeError(f"{text} is not between 0.05 and 86400 seconds")
    return number


if __name__ == "__main__":
    sys.exit(main())
