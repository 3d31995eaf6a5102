"""`slipway engines`: the engines that an InferenceService may name, their versions and what they do under Slipway.

The same table is a block of docs/serving.md, which `--check` compares.
"""

from pathlib import Path

from ..plan.inference.enginematrix import markdown, matrix
from .columns import aligned
from .generated import Generated, with_block

PAGE = Path("docs/serving.md")
BLOCK = "engines"
REGENERATE = "slipway engines --output docs/serving.md"


def as_table() -> str:
    rows = [tuple(cell.replace("`", "") for cell in row) for row in matrix()]
    return "".join(f"{line}\n" for line in aligned(rows, range(0)))


def page(path: Path = PAGE) -> Generated:
    """The page with its block as it ought to be. Raises ValueError where it has none."""
    text = with_block(path.read_text(encoding="utf-8"), BLOCK, markdown(), page=path)
    return Generated(path.parent, {path.name: text}, REGENERATE)
