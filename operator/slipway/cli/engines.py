"""`slipway engines`: the engines that an InferenceService may name, their versions and what they do under Slipway.

The same table is a block of docs/serving.md, which `--check` compares.
"""

from pathlib import Path

from ..plan.inference.enginematrix import markdown, matrix
from .columns import aligned
from .generated import Generated

PAGE = Path("docs/serving.md")
BEGIN, END = "<!-- generated: engines -->\n", "<!-- end -->\n"
REGENERATE = "slipway engines --output docs/serving.md"


def as_table() -> str:
    rows = [tuple(cell.replace("`", "") for cell in row) for row in matrix()]
    return "".join(f"{line}\n" for line in aligned(rows, range(0)))


def page(path: Path = PAGE) -> Generated:
    """The page with its block as it ought to be. Raises ValueError where it has none."""
    text = path.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text.partition(BEGIN)[2]:
        raise ValueError(f"{path}: has no block between {BEGIN.strip()} and {END.strip()}: put them where it belongs")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    return Generated(path.parent, {path.name: f"{before}{BEGIN}{markdown()}{END}{after}"}, REGENERATE)
