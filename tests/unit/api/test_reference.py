"""docs/api.md says of every field what the CRD says."""

import functools
import re

import pytest

from slipway.api.crd import KINDS, Kind, object_schema
from slipway.api.reference import RULES_KEY, reference, walk

each_kind = pytest.mark.parametrize("kind", KINDS, ids=[kind.kind for kind in KINDS])


page = functools.cache(reference)


def section(kind: Kind) -> str:
    _, _, rest = page().partition(f"\n## {kind.kind}\n")
    return rest.partition("\n## ")[0]


def line(kind: Kind, path: str) -> list[str]:
    (found,) = [each for each in section(kind).splitlines() if each.startswith(f"| `{path}` |")]
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", found)[1:-1]]


@each_kind
def test_every_described_field_has_a_line(kind: Kind) -> None:
    schema = object_schema(kind)["properties"]
    parts = [part for part in ("spec", "status") if part in schema]
    paths = [row.path for part in parts for row in walk(schema[part], part) if row.path != part]
    described = [path for path in paths if not path.endswith(("[]", "{}"))]
    assert len(described) > 10
    assert all(line(kind, path) for path in described)


@each_kind
def test_every_rule_is_told(kind: Kind) -> None:
    messages = [rule["message"] for row in walk(object_schema(kind)) for rule in row.schema.get(RULES_KEY, [])]
    assert messages
    assert [message for message in messages if message not in section(kind) and " cannot change: " not in message] == []


def test_fields_that_cannot_change_share_a_line() -> None:
    (told,) = (each for each in section(KINDS[0]).splitlines() if " cannot change: " in each)
    fields = [name for name in object_schema(KINDS[0])["properties"]["spec"]["properties"] if name != "suspend"]
    assert told == f"- `spec`: {', '.join(fields)} cannot change: delete the TrainingJob and create another."


@pytest.mark.parametrize(
    ("path", "cells"),
    [
        ("spec.nodes", ["integer", "`1`", "1 to 1000"]),
        ("spec.training.steps", ["integer", "**required**", "1 to 100000000"]),
        ("spec.strategy", ["string", "`auto`", "`auto`, `ddp`, `fsdp`, `deepspeed`, `parallel`"]),
        ("spec.dataset.include", ["list of string", "", "1 to 16 items"]),
        ("spec.podTemplate.metadata.labels", ["map of string", "", "at most 64 entries"]),
        ("status.progress.step", ["integer", "**required**", "at least 0"]),
        ("status.startTime", ["time", "", "at most 40 characters"]),
        ("spec.output", ["object", "", ""]),
    ],
)
def test_line(path: str, cells: list[str]) -> None:
    assert line(KINDS[0], path)[1:4] == cells


def test_a_bar_in_a_description_does_not_end_its_cell() -> None:
    rows = [each for each in page().splitlines() if each.startswith("| `")]
    assert {len(re.split(r"(?<!\\)\|", row)) for row in rows} == {7}
