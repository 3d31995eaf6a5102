"""May `spec.engineArgs` be passed to the engine? Decided here, against its own option table, before any pod exists.

`CHECKS` is the documentation: for each element in turn, the first check that objects decides. A flag that the engine
would refuse would otherwise be a crash loop; a flag that argparse completes from an abbreviation, or that silently
overrides what Slipway renders, would be worse.
"""

import difflib
import json
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...api.common import Accelerator
from .enginekind import Engine
from .enginetable import Argument, Option, Table, read, table

SUGGESTION_CUTOFF = 0.6  # difflib's ratio under which two flags have nothing to do with each other

_PATTERNS = {
    "int": (re.compile(r"[+-]?\d+"), "a whole number"),
    "float": (re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"), "a number"),
    "size": (re.compile(r"[+-]?\d+|\d+(\.\d+)?[kmgt]|\d+[KMGT]"), "a whole number, or one like 16k"),
    "si size": (re.compile(r"[+-]?\d+|\d+(\.\d+)?[kMGT]|\d+[KMGT]i"), "a whole number, or one like 16k or 16Ki"),
    "size|auto": (
        re.compile(r"[+-]?\d+|\d+(\.\d+)?[kmgt]|\d+[KMGT]|[aA][uU][tT][oO]"),
        "a whole number, one like 16k, or auto",
    ),
}
_MULTIPLES = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_BOUNDS: dict[str, tuple[str, Callable[[float, float], bool]]] = {
    "gt": ("above", operator.gt),
    "ge": ("at least", operator.ge),
    "lt": ("below", operator.lt),
    "le": ("at most", operator.le),
    "ne": ("other than", operator.ne),
}
_STRINGS = re.compile(r'("(?:[^"\\]|\\.)*")')
_SIZE_IN_JSON = re.compile(r"\b\d+(?:\.\d+)?[kKmMgGtT]\b")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the arguments are refused: a condition's reason and message. The message names the element and the mend."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Case:
    """What one check looks at: an argument, its option if the engine has it, and the arguments before it."""

    argument: Argument
    option: Option | None
    before: tuple[Argument, ...]
    table: Table
    engine: Engine
    accelerator: Accelerator

    def refuse(self, reason: str, complaint: str) -> Refusal:
        return Refusal(reason, f"{self.argument.path}: {complaint}")


def check(engine_args: Sequence[str], engine: Engine, *, accelerator: Accelerator) -> Refusal | None:
    """The first objection to `engine_args` (elements of spec.engineArgs, each `--flag` or `--flag=value`), or None."""
    known_options = table(engine.name)
    arguments = _read(engine_args, engine)
    for position, argument in enumerate(arguments):
        option = known_options.options.get(argument.flag)
        case = Case(argument, option, arguments[:position], known_options, engine, accelerator)
        for objection in CHECKS:
            if refusal := objection(case):
                return refusal
    return None


def _read(engine_args: Sequence[str], engine: Engine) -> tuple[Argument, ...]:
    return tuple(read(position, text, flexible=engine.flexible) for position, text in enumerate(engine_args))


def check_with_adapter(engine_args: Sequence[str], engine: Engine) -> Refusal | None:
    """What `check` cannot object to before it is known that spec.model comes to an adapter."""
    if engine.no_adapter:
        return Refusal("UnsupportedByEngine", f"spec.engine: {engine.no_adapter}")
    arguments = _read(engine_args, engine)
    found = ((argument, engine.reserved.with_adapter.get(argument.flag)) for argument in arguments)
    return next(
        (Refusal("ReservedEngineArgument", f"{each.path}: {each.flag}: {why}") for each, why in found if why), None
    )


def one_flag_per_element(case: Case) -> Refusal | None:
    """The engine would read an element with a blank in its flag, or without dashes, as the model's name."""
    text = case.argument.text
    name = text.partition("=")[0]
    if not text.startswith("--") or name == "--":
        return case.refuse(
            "MalformedEngineArgument", f'"{text}" is no --flag; write each flag in full, as --flag or --flag=value'
        )
    if re.search(r"\s", name):
        flag, _, value = name.partition(next(blank for blank in name if blank.isspace()))
        return case.refuse("MalformedEngineArgument", f'"{text}" has a blank in its flag; write {flag}={value.strip()}')
    return None


def known(case: Case) -> Refusal | None:
    if case.option:
        return None
    name = case.argument.flag
    message = f"{name} is not an option of {case.engine.title} {case.table.version}"
    completions = sorted(flag for flag in case.table.options if flag.startswith(name))
    if completions:
        return case.refuse(
            "UnknownEngineArgument", f"{message}; abbreviations are refused, write {' or '.join(completions[:3])}"
        )
    near = difflib.get_close_matches(name, case.table.options, n=1, cutoff=SUGGESTION_CUTOFF)
    mend = f"did you mean {near[0]}?" if near else f"remove it, or see `{case.engine.help}`"
    return case.refuse("UnknownEngineArgument", f"{message}; {mend}")


def not_reserved(case: Case) -> Refusal | None:
    reserved = case.engine.reserved
    for flag in case.option.flags if case.option else ():
        prefixed = (why for prefix, why in reserved.prefixes.items() if flag.startswith(prefix))
        if why := reserved.flags.get(flag) or next(prefixed, None):
            return case.refuse("ReservedEngineArgument", f"{case.argument.flag} is not yours to set: {why}")
    return None


def not_repeated(case: Case) -> Refusal | None:
    """The engine would take the last one and say nothing; keys of one JSON option may be given one by one."""
    if case.option is None or case.option.repeat:
        return None
    for earlier in case.before:
        if case.table.options.get(earlier.flag) is case.option and not _compatible(earlier, case.argument):
            return case.refuse(
                "RepeatedEngineArgument",
                f"{case.argument.text} sets again what {earlier.path} ({earlier.text}) sets; keep one",
            )
    return None


def _compatible(earlier: Argument, later: Argument) -> bool:
    if not earlier.key or not later.key:
        return False
    if earlier.key == later.key:
        return later.key.endswith("+")  # the engine appends to the list
    first, second = earlier.key.removesuffix("+"), later.key.removesuffix("+")
    return first != second and not first.startswith(f"{second}.") and not second.startswith(f"{first}.")


def dotted_where_json(case: Case) -> Refusal | None:
    argument = case.argument
    if "." not in argument.text.partition("=")[0]:
        return None
    if case.option is None or not case.option.dotted:
        return case.refuse(
            "InvalidEngineArgument",
            f"{argument.flag} is not a JSON option, so it has no .{argument.key}; write {argument.flag}=value",
        )
    if not all(argument.key.removesuffix("+").split(".")):
        return case.refuse(
            "InvalidEngineArgument", f"{argument.text} has an empty key; write {argument.flag}.key=value"
        )
    return None


def value_given(case: Case) -> Refusal | None:
    argument, option = case.argument, case.option
    if option is None or option.takes_value is False or argument.value:
        return None
    if option.takes_value == "optional" and argument.value is None:
        return None
    shown = argument.text.removesuffix("=")
    return case.refuse("InvalidEngineArgument", f"{shown} needs a value; write {shown}=value in one element")


def value_not_given(case: Case) -> Refusal | None:
    argument, option = case.argument, case.option
    if option is None or option.takes_value is not False or argument.value is None:
        return None
    negated = next((flag for flag in option.flags if flag.startswith("--no-")), None)
    off = f", or {negated} to turn it off" if negated and argument.flag != negated else ""
    return case.refuse("InvalidEngineArgument", f"{argument.flag} takes no value; write {argument.flag}{off}")


def value_among_choices(case: Case) -> Refusal | None:
    argument, option = case.argument, case.option
    if option is None or not option.choices or argument.value is None:
        return None
    value = argument.value.lower().replace("-", "_") if option.fold else argument.value
    if value in option.choices:
        return None
    choices = ", ".join(option.choices)
    return case.refuse("InvalidEngineArgument", f"{argument.flag} cannot be {argument.value}; choose one of {choices}")


def value_of_its_kind(case: Case) -> Refusal | None:
    """A number or JSON where the engine's parser asks for one."""
    argument, option = case.argument, case.option
    if option is None or not argument.value or argument.key:
        return None
    kind, nullable = option.value.removesuffix("?"), option.value.endswith("?")
    if nullable and argument.value == "None":
        return None
    if kind in ("json", "config") and not _is_json(argument.value, sizes=kind == "config"):
        return case.refuse(
            "InvalidEngineArgument",
            f"{argument.flag} takes JSON, which {argument.value} is not; write it as {argument.flag}={{...}}",
        )
    pattern, meaning = _PATTERNS.get(kind, (None, ""))
    if pattern and not pattern.fullmatch(argument.value.strip()):
        return case.refuse("InvalidEngineArgument", f"{argument.flag} takes {meaning}, which {argument.value} is not")
    return None


def _is_json(text: str, *, sizes: bool) -> bool:
    """A JSON object or list. With `sizes`, numbers may have a suffix, as in 16k, which vLLM expands first."""
    parts = _STRINGS.split(text)
    if sizes:
        parts[::2] = [_SIZE_IN_JSON.sub("0", part) for part in parts[::2]]
    try:
        return isinstance(json.loads("".join(parts)), dict | list)
    except ValueError:
        return False


def value_in_bounds(case: Case) -> Refusal | None:
    """The parser takes any number; the engine ends over it later, when its configuration is made."""
    argument, option = case.argument, case.option
    number = _number((argument.value or "").strip()) if option and not argument.key else None
    if option is None or number is None:
        return None
    wanted = (*option.bounds, *case.engine.reserved.bounds.get(option.name, ()))
    if all(_BOUNDS[name][1](number, bound) for name, bound in wanted):
        return None
    told = " and ".join(f"{_BOUNDS[name][0]} {bound:.16g}" for name, bound in wanted)
    return case.refuse("InvalidEngineArgument", f"{argument.flag} must be {told}, which {argument.value} is not")


def _number(text: str) -> float | None:
    """What the engine reads in a number, or in one like 16k; None for a word."""
    digits, multiple = (text[:-1], _MULTIPLES[text[-1]]) if text[-1:] in _MULTIPLES else (text, 1)
    try:
        return float(digits) * multiple
    except ValueError:
        return None


def value_not_reserved(case: Case) -> Refusal | None:
    argument, option = case.argument, case.option
    why = case.engine.reserved.values.get((option.name, argument.value or "")) if option else None
    return case.refuse("ReservedEngineArgument", f"{argument.text}: {why}") if why else None


def fits_accelerator(case: Case) -> Refusal | None:
    why = case.engine.reserved.on_cpu.get(case.argument.flag) if case.accelerator == "cpu" else None
    return case.refuse("UnsupportedEngineArgument", why) if why else None


CHECKS: tuple[Callable[[Case], Refusal | None], ...] = (
    one_flag_per_element,
    known,
    not_reserved,
    not_repeated,
    dotted_where_json,
    value_given,
    value_not_given,
    value_among_choices,
    value_of_its_kind,
    value_not_reserved,
    value_in_bounds,
    fits_accelerator,
)
