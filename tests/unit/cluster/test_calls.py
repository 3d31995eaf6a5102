"""Whatever is written down elsewhere as a command of the bed is one that its command line takes."""

import ast
import re
import shlex
from collections.abc import Iterator

import pytest
from bed import cli
from bed.places import REPOSITORY

E2E = REPOSITORY / "tests" / "e2e"
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
SCRIPTS = sorted((REPOSITORY / "scripts").glob("*.sh"))
WORDS = r"([a-z][^`#;&|)}\"]*)"


def calls() -> Iterator[tuple[str, list[str]]]:
    """Where a test or the demo calls `bed(...)`, and its words; what is computed stands for any one word."""
    for path in sorted(E2E.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "bed":
                words = [str(each.value) if isinstance(each, ast.Constant) else "computed" for each in node.args]
                yield f"{path.name}:{node.lineno}", words


def commands() -> Iterator[tuple[str, list[str]]]:
    """Where a page or a script has a command of the bed, and its words."""
    named = [(page, rf"python3 tests/e2e/cluster {WORDS}") for page in PAGES]
    named += [(script, rf"^[^#]*\bbed {WORDS}") for script in SCRIPTS]
    for path, pattern in named:
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            for found in re.findall(pattern, line):
                yield f"{path.name}:{number}", shlex.split(found)


CALLS = dict(calls())
COMMANDS = list(commands())


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


def test_the_commands_are_found() -> None:
    assert {"CONTRIBUTING.md", "testbed.md", "test.sh", "integration.sh"} <= {
        name.split(":")[0] for name, _ in COMMANDS
    }


@pytest.mark.parametrize("words", [words for _, words in COMMANDS], ids=[name for name, _ in COMMANDS])
def test_the_bed_takes_what_is_written_of_it(words: list[str]) -> None:
    cli.parser().parse_args(words)


def test_whoever_runs_the_end_to_end_tests_gives_them_their_time() -> None:
    """One case waits for minutes, and the first makes the cluster: pyproject.toml's time-out is for unit tests."""
    lines = [line for path in [*PAGES, *SCRIPTS] for line in path.read_text().splitlines()]
    runs = [line for line in lines if re.search(r"uv run .*pytest .*tests/e2e(?!/cluster)", line)]
    assert len(runs) == 3
    assert [line for line in runs if "--timeout 1800" not in line] == []
