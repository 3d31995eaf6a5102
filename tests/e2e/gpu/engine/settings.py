"""The command line of either engine, as far as the simulation follows it, and the check of the model's directory.

Flags that are known here are parsed and bounded; every other one is accepted unread: whether an engine has it is what
Slipway checks against that engine's own table, which the image does not hold.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Dialect = Literal["vllm", "sglang"]
SLOTS = 4  # few, so that little load makes a queue; the engines' own default is hundreds
CONTEXT_TOKENS = 2048  # of a config.json that says nothing
VLLM_BLOCK_TOKENS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`adapters` are directories by the name that answers as them. `drain_seconds` None: no deadline."""

    dialect: Dialect
    model: Path
    names: tuple[str, ...]
    host: str
    port: int
    slots: int
    context_tokens: int
    kv_tokens: int
    drain_seconds: int | None
    metrics: bool
    adapters: dict[str, Path] = field(default_factory=dict)


class Refused(Exception):
    """The model cannot be served, in one sentence: the engine ends with status 1."""


def read(dialect: Dialect, arguments: Sequence[str]) -> Settings:
    """Raises Refused; a wrong command line is a SystemExit with status 2, as the engines end."""
    options, _ = parser(dialect).parse_known_args([_spelt(dialect, argument) for argument in arguments])
    adapters = dict(options.lora_modules)
    model = Path(options.model)
    context_tokens = _context(options, _config(model))
    for adapter in adapters.values():
        _json(adapter / "adapter_config.json")
    return Settings(
        dialect=dialect,
        model=model,
        names=tuple(options.served_model_name or [options.model]),
        host=options.host,
        port=options.port,
        slots=options.slots,
        context_tokens=context_tokens,
        kv_tokens=_kv(options.kv_tokens, context_tokens, options.slots),
        drain_seconds=options.shutdown_timeout,
        metrics=options.enable_metrics,
        adapters=adapters,
    )


def parser(dialect: Dialect) -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog=f"simulated {dialect}", allow_abbrev=False)
    if dialect == "vllm":
        _vllm(found)
    else:
        _sglang(found)
    return found


def _vllm(found: argparse.ArgumentParser) -> None:
    found.add_argument("model", metavar="MODEL")
    found.add_argument("--host", default="0.0.0.0")
    found.add_argument("--port", type=Whole(1), default=8000)
    found.add_argument("--served-model-name", nargs="+")
    found.add_argument("--max-num-seqs", dest="slots", type=Whole(1), default=SLOTS)
    found.add_argument("--max-model-len", dest="context_tokens", type=Whole(1))
    found.add_argument("--num-gpu-blocks-override", dest="kv_tokens", type=blocks)
    found.add_argument("--shutdown-timeout", type=Whole(0), default=0)
    found.add_argument("--lora-modules", nargs="+", type=adapter, default=[])
    found.set_defaults(enable_metrics=True)


def _sglang(found: argparse.ArgumentParser) -> None:
    found.add_argument("--model-path", "--model", dest="model", required=True)
    found.add_argument("--host", default="127.0.0.1")
    found.add_argument("--port", type=Whole(1), default=30000)
    found.add_argument("--served-model-name", nargs=1)
    found.add_argument("--max-running-requests", dest="slots", type=Whole(1), default=SLOTS)
    found.add_argument("--context-length", dest="context_tokens", type=Whole(1))
    found.add_argument("--max-total-tokens", dest="kv_tokens", type=Whole(1))
    found.add_argument("--enable-metrics", action="store_true")
    found.set_defaults(shutdown_timeout=None, lora_modules=[])


class Whole:
    """Of argparse: a whole number of at least `least`."""

    def __init__(self, least: int) -> None:
        self.least = least
        self.__name__ = f"whole number of at least {least}"  # argparse shows it

    def __call__(self, text: str) -> int:
        if int(text) < self.least:
            raise ValueError
        return int(text)


def blocks(text: str) -> int:
    return Whole(1)(text) * VLLM_BLOCK_TOKENS


def adapter(text: str) -> tuple[str, Path]:
    name, _, directory = text.partition("=")
    if not name or not directory:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=DIRECTORY")
    return name, Path(directory)


def _spelt(dialect: Dialect, argument: str) -> str:
    """vLLM reads `_` as `-` in a flag."""
    if dialect == "sglang" or not argument.startswith("--"):
        return argument
    flag, equals, value = argument.partition("=")
    return flag.replace("_", "-") + equals + value


def _config(model: Path) -> dict[str, Any]:
    if not model.is_dir():
        raise Refused(f"{model} is no directory: the simulated engine asks no hub")
    return _json(model / "config.json")


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise Refused(f"{path} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise Refused(f"{path} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise Refused(f"{path} is no JSON object")
    return found


def _context(options: argparse.Namespace, config: dict[str, Any]) -> int:
    """The longest prompt and answer together: the flag's, which may not exceed what the model was made for."""
    made_for: int = config.get("max_position_embeddings") or options.context_tokens or CONTEXT_TOKENS
    asked: int = options.context_tokens or made_for
    if asked > made_for:
        raise Refused(f"a context of {asked} tokens is more than config.json's max_position_embeddings, {made_for}")
    return asked


def _kv(asked: int | None, context_tokens: int, slots: int) -> int:
    """Tokens in the KV cache: by default as many as the slots can use."""
    if asked is not None and asked < context_tokens:
        raise Refused(f"a KV cache of {asked} tokens is too small for one request of {context_tokens}")
    return asked or context_tokens * slots
