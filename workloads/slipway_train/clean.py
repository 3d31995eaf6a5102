"""`python3 -m slipway_train.clean`: a dataset cleaned once, by hand, for the trainings that follow.

Writes rows as JSON lines: what was a row stays one, with all its fields, and a file of text becomes {"text": ...}.
The report on stdout is JSON: documents read, kept, dropped by each filter, scrubbed of what, and bad rows. Equal input
and options give equal bytes. Memory is a document, and what duplicates need (cleaning/duplicates.py).

Decided here: what is replaced is a directory that this program made, or an empty one, and never a part of the input: a
slip of the hand must not cost the raw data. A made one is known by an empty file, which no dataset reads (tree.py).
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from pydantic import ValidationError

from slipway.api.dataset import CleaningSpec

from . import logs
from .cleaning.filters import Judge, look
from .cleaning.language import check_known
from .cleaning.scrub import Scrubber, check_patterns
from .corpus import check_splits
from .errors import EXIT_RECIPE_WRONG, RecipeError
from .files import whole_directory
from .rows.bad import BadRows
from .rows.conversation import BadRow, conversation, encodable, text_of
from .rows.reading import has_rows, read_rows
from .tree import Tree, local_path, open_tree

SHARD_BYTES = 256 << 20
_MADE_HERE = ".slipway-clean"
_PATTERNS = ("**/*.txt", "**/*.jsonl", "**/*.ndjson", "**/*.parquet", "**/*.arrow")
Row = dict[str, Any]
T = TypeVar("T")


def main(arguments: list[str] | None = None) -> int:
    logs.configure(0, stream=sys.stderr)
    said = _parser().parse_args(arguments)
    try:
        report = clean(
            said.input, tuple(said.include or _PATTERNS), Path(said.output), _spec(said), _bad(said), said.text_field
        )
    except RecipeError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_RECIPE_WRONG
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    return 0


def clean(
    address: str, patterns: tuple[str, ...], output: Path, spec: CleaningSpec, bad: BadRows, field: str = "text"
) -> dict[str, Any]:
    """Cleans into the directory `output`, which appears whole or not at all; the result is the report."""
    output = output.resolve()
    _check_output(output, local_path(address))
    check_known(tuple(spec.languages or ()))
    check_patterns(spec)
    tree = open_tree(address, patterns)
    check_splits(tree)
    judge = Judge(spec)
    with whole_directory(output) as partial:
        (partial / _MADE_HERE).touch()
        shards = _Shards(partial)
        for row, text, scrubbed in _documents(tree, spec, bad, field):
            if not judge.drops(look(spec, text, scrubbed)):
                shards.write(row)
        shards.close()
        bad.check()
    dropped = {name: count for name, count in sorted(judge.counts.items()) if name != "kept"}
    return {
        "documents": judge.counts.total(),
        "kept": judge.counts["kept"],
        "dropped": dropped,
        "scrubbed": dict(sorted(judge.scrubbed.items())),
        "badRows": bad.bad,
        "badRowExamples": bad.examples,
    }


def _check_output(output: Path, source: Path | None) -> None:
    """Raises RecipeError where something would be replaced that this program did not make."""
    if source and (output.is_relative_to(source.resolve()) or source.resolve().is_relative_to(output)):
        raise RecipeError(f"--output: {output} and --input {source} overlap: name a directory beside the input")
    if output.exists() and not output.is_dir():
        raise RecipeError(f"--output: {output} is no directory: name one, or remove it")
    if output.is_dir() and any(output.iterdir()) and not (output / _MADE_HERE).exists():
        raise RecipeError(
            f"--output: {output} holds files, and no {_MADE_HERE}, by which a directory of this program is known: "
            "name another, or empty it"
        )


def _documents(tree: Tree, spec: CleaningSpec, bad: BadRows, field: str) -> Iterator[tuple[Row, str, set[str]]]:
    """Each document as a row, scrubbed, with the text that the filters look at, and what was scrubbed."""
    for name in tree.names:
        for number, row, why in _rows(tree, name, field):
            try:
                if why:
                    raise BadRow(why)
                scrub = Scrubber(spec)
                row = _scrubbed(row, scrub)
                text = _text(row, field)
            except BadRow as error:
                bad.add(name, number, str(error))
                continue
            bad.good()
            yield row, text, scrub.found


def _rows(tree: Tree, name: str, field: str) -> Iterator[tuple[int, Row, str]]:
    if has_rows(name):
        for row in read_rows(tree, name):
            yield row.number, row.value, row.bad
        return
    with tree.open(name) as file:
        try:
            yield 1, {field: file.read().decode()}, ""
        except UnicodeDecodeError:
            yield 1, {}, "not UTF-8"


def _text(row: Row, field: str) -> str:
    text = row.get(field)
    return text if isinstance(text, str) else text_of(conversation(row))


def _scrubbed(value: T, scrub: Scrubber, field: str = "the row") -> T:
    """Every string in the row, however deep: what is not looked at is not trained on, but it is handed on."""
    changed: object = value
    if isinstance(value, str):
        changed = scrub(encodable(value, field))
    elif isinstance(value, list):
        changed = [_scrubbed(each, scrub, field) for each in value]
    elif isinstance(value, dict):
        changed = {encodable(key, "a name"): _scrubbed(each, scrub, key) for key, each in value.items()}
    return cast("T", changed)


class _Shards:
    """part-00000.jsonl and so on, of SHARD_BYTES or a little more."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._count = 0
        self._file = self._open()

    def write(self, row: Row) -> None:
        if self._file.tell() >= SHARD_BYTES:
            self._file.close()
            self._file = self._open()
        self._file.write(json.dumps(row, ensure_ascii=False, default=str).encode() + b"\n")

    def close(self) -> None:
        self._file.close()

    def _open(self) -> BinaryIO:
        self._count += 1
        return (self._directory / f"part-{self._count - 1:05d}.jsonl").open("wb")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m slipway_train.clean", description="Cleans a dataset.")
    parser.add_argument("--input", required=True, help="directory, or an address such as s3://bucket/path")
    parser.add_argument("--include", action="append", help=f"glob pattern, may be repeated; {' '.join(_PATTERNS)}")
    parser.add_argument("--text-field", default="text", help="of a row; a row without it is a conversation")
    parser.add_argument("--output", required=True, help="directory to make; one that this program made is replaced")
    parser.add_argument("--duplicates", default="exact", help="keep, exact or near")
    parser.add_argument("--similarity-percent", type=int, default=80)
    parser.add_argument("--characters-least", type=int, default=0)
    parser.add_argument("--characters-most", type=int)
    parser.add_argument("--languages", help="such as en,de")
    parser.add_argument("--repetition", default="keep", help="keep or gopher")
    parser.add_argument("--scrub", help="of email,phone,ip,key")
    parser.add_argument(
        "--scrub-pattern", action="append", metavar="NAME=REGEX", help="your own, in RE2's syntax, may be repeated"
    )
    parser.add_argument("--bad-rows-percent", type=int, default=1)
    return parser


def _spec(said: argparse.Namespace) -> CleaningSpec:
    fields = {name: getattr(said, name) for name in CleaningSpec.model_fields if name != "scrub_patterns"}
    listed = {name: fields[name].split(",") for name in ("languages", "scrub") if fields[name]}
    try:
        return CleaningSpec.model_validate({**fields, **listed, "scrub_patterns": _patterns(said.scrub_pattern)})
    except ValidationError as error:
        raise RecipeError("; ".join(f"--{each['loc'][0]}: {each['msg']}" for each in error.errors())) from None


def _patterns(said: list[str] | None) -> list[dict[str, str]] | None:
    """Of NAME=REGEX: a name has no =, a pattern may."""
    if not said:
        return None
    return [dict(zip(("name", "pattern"), each.split("=", 1), strict=False)) for each in said]


def _bad(said: argparse.Namespace) -> BadRows:
    return BadRows(said.bad_rows_percent)


if __name__ == "__main__":
    sys.exit(main())
