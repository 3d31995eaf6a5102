"""Sizes and bounds as data, and the check of figures against them.

A bound stands 20 % beside the mean of repeated runs, which its comment tells, or is a goal where it says so. A figure
that is bounded and was not measured is a failure too: else a bound is lifted by a phase that silently did not run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

LEAST, MOST = "least", "most"

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Bound:
    """`least` and `most` are inclusive; one of them may be absent."""

    least: float | None = None
    most: float | None = None

    def holds(self, value: float) -> bool:
        """False for NaN, too."""
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        told = ((LEAST, self.least), (MOST, self.most))
        return " and ".join(f"at {word} {value:g}" for word, value in told if value is not None)


@dataclass(frozen=True, slots=True)
class Course:
    """One benchmark: how much of what (`sizes`, by name), and what its figures must keep."""

    sizes: Mapping[str, float]
    bounds: Mapping[str, Bound]

    def size(self, name: str) -> int:
        return int(self.sizes[name])


def read(path: Path) -> Course:
    """A course from YAML. Raises ValueError for a key, or a bound, that means nothing."""
    data = yaml.safe_load(path.read_text())
    if unknown := sorted(data.keys() - {"sizes", "bounds"}):
        raise ValueError(f"{path}: unknown keys: {', '.join(unknown)}")
    return Course(dict(data["sizes"]), {name: _bound(path, name, raw) for name, raw in data["bounds"].items()})


def _bound(path: Path, name: str, raw: Mapping[str, float]) -> Bound:
    if not raw or raw.keys() - {LEAST, MOST}:
        raise ValueError(f"{path}: bounds.{name}: say `{LEAST}`, `{MOST}`, or both")
    return Bound(**{word: float(value) for word, value in raw.items()})


def broken(figures: Mapping[str, float], bounds: Mapping[str, Bound]) -> list[str]:
    """One sentence for each bound that does not hold."""
    return [problem for name, bound in bounds.items() if (problem := _broken(name, figures.get(name), bound))]


def _broken(name: str, value: float | None, bound: Bound) -> str:
    if value is None:
        return f"{name} was not measured: it is to be {bound}"
    return "" if bound.holds(value) else f"{name} is {value:g}: it is to be {bound}"
