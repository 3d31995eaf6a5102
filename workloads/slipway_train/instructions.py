"""A dataset of instructions, read, checked, cleaned and tokenized before the first step.

Decided here: the order of what happens to a row (is it bad? scrubbed, tokenized, too long? filters, duplicates), and
its side: by the hash of its text, so equal rows are on one side, and at least one row is on each.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from slipway.api.dataset import CleaningSpec

from .chat import Chat
from .cleaning.filters import Judge, Looked, look
from .cleaning.language import check_known
from .cleaning.scrub import Scrubber
from .cleaning.sweep import sweep
from .config import Recipe
from .corpus import bucket, check_splits, held_out_below
from .errors import RecipeError
from .gang import Gang
from .logs import event, log
from .rows.bad import BadRows
from .rows.conversation import BadRow, Turn, conversation, text_of
from .rows.reading import Row, has_rows, read_rows
from .spool import Spool, Table
from .tree import Tree, open_tree

NO_CLEANING = CleaningSpec()


@dataclass(frozen=True, slots=True)
class Instructions:
    training: Table
    held_out: Table
    bad: BadRows
    counts: dict[str, int]  # of the filters, `kept`, and what was scrubbed


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one process made of one row."""

    bad: str = ""
    looked: Looked = field(default_factory=Looked)
    tokens: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    learned: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))
    bucket: int = 0


def open_rows(recipe: Recipe) -> Tree:
    """Lists the dataset. Raises RecipeError where there are no rows in it."""
    patterns = recipe.dataset.patterns(recipe.recipe)
    tree = open_tree(recipe.dataset.path, patterns)
    check_splits(tree)
    if strange := [name for name in tree.names if not has_rows(name)]:
        raise RecipeError(
            f"dataset.include: {strange[0]} is no JSON lines, Parquet or Arrow file: {recipe.recipe} needs rows"
        )
    if not tree.names:
        raise RecipeError(f"dataset.include: no file matches {', '.join(patterns)} under {tree.address}")
    return tree


def read_instructions(recipe: Recipe, tree: Tree, chat: Chat, gang: Gang) -> Instructions:
    """On every process, with the same result. Raises RecipeError where too many rows are bad, or too few are left."""
    cleaning = recipe.dataset.cleaning or NO_CLEANING
    check_known(tuple(cleaning.languages or ()))
    judge, bad, buckets = Judge(cleaning), BadRows(recipe.dataset.bad_rows_percent), list[int]()
    see = partial(_see, chat=chat, cleaning=cleaning, context=recipe.context_length)
    with Spool(gang) as spool:
        for row, seen in sweep(gang, _rows(tree), see):
            if seen.bad:
                bad.add(row.file, row.number, seen.bad)
                continue
            bad.good()
            if not judge.drops(seen.looked):
                spool.add(seen.tokens, seen.learned)
                buckets.append(seen.bucket)
        bad.check()
        table = spool.table()
    held_out = _sides(buckets, recipe.dataset.held_out_percent)
    log.info(event("data", rows=bad.total, bad=bad.bad, held_out=int(held_out.sum()), **judge.account))
    return Instructions(table.only(~held_out), table.only(held_out), bad, judge.account)


def _rows(tree: Tree) -> Iterator[tuple[Row, int]]:
    for name in tree.names:
        for row in read_rows(tree, name):
            yield row, _characters(row.value)


def _characters(value: object) -> int:
    """About how much text a row holds."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_characters, value.values()))
    return sum(map(_characters, value)) if isinstance(value, list) else 1


def _see(row: Row, *, chat: Chat, cleaning: CleaningSpec, context: int) -> _Seen:
    try:
        if row.bad:
            raise BadRow(row.bad)
        scrub = Scrubber(cleaning)
        turns = tuple(Turn(turn.role, scrub(turn.content)) for turn in conversation(row.value))
        tokens, learned = chat.encode(turns)
        if len(tokens) - 1 > context:
            raise BadRow(f"too long: {len(tokens) - 1} tokens, and baseModel.contextLength is {context}")
    except BadRow as why:
        return _Seen(bad=str(why))
    text = text_of(turns)
    return _Seen("", look(cleaning, text, scrub.found), tokens, learned, bucket(text.encode()))


def _sides(buckets: list[int], percent: int) -> NDArray[np.bool_]:
    """Which rows are held out: one at least, and not all."""
    if len(buckets) < 2:
        raise RecipeError(f"dataset: {len(buckets)} row(s) are left to train on, two or more are needed")
    of = np.array(buckets)
    held_out = of < held_out_below(percent)
    held_out[of == of.min()] = True
    held_out[of == of.max()] = False
    if not held_out.any():
        raise RecipeError("dataset: all rows that are left are equal: none can be held out")
    return held_out
