"""Whatever is written down elsewhere as a command of the bed is one that its command line takes."""

import ast
from collections.abc import Iterator

import pytest
from bed import cli
from bed.places import REPOSITORY

E2E = REPOSITORY / "tests" / "e2e"


def calls() -> Iterator[tuple[str, list[str]]]:
    """Where a test or the demo calls `bed(...)`, and its words; what is computed stands for any one word."""
    for path in sorted(E2E.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "bed":
                words = [str(each.value) if isinstance(each, ast.Constant) else "computed" for each in node.args]
                yield f"{path.name}:{node.lineno}", words


CALLS = dict(calls())


def test_the_calls_are_found() -> None:
    """Each of the three that make a cluster: a search that finds nothing would agree with everything."""
    assert {name.split(":")[0] for name, words in CALLS.items() if words[0] == "up"} == {
        "conftest.py",
        "demo.py",
        "test_two_nodes.py",
    }


@pytest.mark.parametrize("words", CALLS.values(), ids=CALLS.keys())
def test_the_bed_takes_what_it_is_called_with(words: list[str]) -> None:
    cli.parser().parse_args(words)
