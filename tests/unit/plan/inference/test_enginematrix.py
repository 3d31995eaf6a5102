"""The table of features is what the code does, and `slipway engines` tells it."""

from pathlib import Path

import pytest

from slipway.__main__ import main
from slipway.cli import engines
from slipway.cli.generated import END, begin
from slipway.plan.inference.enginematrix import FEATURES, markdown, matrix
from slipway.plan.inference.engines import ENGINES

BEGIN = begin(engines.BLOCK)


def cells(feature: str) -> tuple[str, ...]:
    (found,) = (row[1:] for row in matrix() if row[0].startswith(feature))
    return found


def test_every_engine_has_a_cell_in_every_row() -> None:
    assert [row[0] for row in matrix()[2:]] == [feature.name for feature in FEATURES]
    assert {len(row) for row in matrix()} == {1 + len(ENGINES)}
    assert all(all(row) for row in matrix())


def test_engines_are_told_with_their_versions() -> None:
    assert matrix()[0][1:] == ("vLLM 0.32.0", "SGLang 0.5.23")


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        ("tensor parallel", ("`--tensor-parallel-size`", "`--tensor-parallel-size`")),
        ("drain", ("`--shutdown-timeout`", "by the pod's grace period")),
        ("longest context", ("`--max-model-len`", "`--context-length`")),
        ("pipeline parallel", ("refused: `ReservedEngineArgument`",) * 2),
    ],
)
def test_a_cell_is_what_is_rendered_or_refused(feature: str, expected: tuple[str, ...]) -> None:
    assert cells(feature) == expected


def test_only_what_is_refused_is_said_to_be_refused() -> None:
    vllm, sglang = cells("an adapter")
    assert "`--lora-modules`" in vllm
    assert sglang == "refused: `UnsupportedByEngine`"
    assert not any("UnknownEngineArgument" in cell or "Invalid" in cell for row in matrix() for cell in row)


def test_the_command_prints_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engines"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("feature ")
    assert "`" not in printed
    assert len(printed.splitlines()) == len(matrix())


def test_the_page_has_the_table_in_its_block(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}old\n{END}after\n")
    assert "-old" in engines.page(page).difference()
    assert main(["engines", "--output", str(page)]) == 0
    assert page.read_text() == f"before\n{BEGIN}{markdown()}{END}after\n"
    assert engines.page(page).difference() == ""
    assert capsys.readouterr().out == ""


def test_a_page_without_the_block_says_where_it_belongs(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{END}{BEGIN}")
    with pytest.raises(ValueError, match="put them where it belongs"):
        engines.page(page)
