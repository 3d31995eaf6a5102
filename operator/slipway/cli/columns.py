"""Rows of text as a table for a person: columns as wide as their widest cell, figures to the right."""

from collections.abc import Sequence


def aligned(rows: Sequence[tuple[str, ...]], numbers: range) -> list[str]:
    """One line a row, the first of which is the head; `numbers` are the columns of figures."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(_padded(row, widths, numbers)).rstrip() for row in rows]


def _padded(row: tuple[str, ...], widths: list[int], numbers: range) -> list[str]:
    pairs = enumerate(zip(row, widths, strict=True))
    return [cell.rjust(width) if at in numbers else cell.ljust(width) for at, (cell, width) in pairs]
