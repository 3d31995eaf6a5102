"""kube-api-linter's rules, as tests over the generated CRDs: what every field of the API has to be.

Exceptions are listed here, each with its reason; there is no other way to be one.
"""

import re

import pytest
import yaml

from slipway.api.common import DECIMAL, QUANTITY, JsonSchema
from slipway.api.crd import KINDS, Kind, crd_files, object_schema
from slipway.api.reference import Row, walk

BYTES_MAX = 100_000  # a CRD must fit, twice, into one etcd value with its managed fields
RULES_KEY = "x-kubernetes-validations"
MESSAGE_MAX = 200

# Kubernetes' own: not ours to describe or bound.
OBJECT_FIELDS = ("", "apiVersion", "kind", "metadata")
BOOLEANS_ALLOWED = ("spec.suspend",)  # as in batch/v1 Job: what suspends jobs knows it by this name and type
# Label selectors and pod metadata are maps in Kubernetes itself.
MAPS_ALLOWED = ("spec.podTemplate.metadata.labels", "spec.podTemplate.metadata.annotations")
# A partial core/v1 PodSpec: its schema would exceed the size of a CRD; a dry run validates it.
PRESERVING_ALLOWED = ("spec.podTemplate.spec",)
# The operator alone writes it, and what it counts (steps, seconds, restarts) must not be refused for being large.
ENDLESS = ("status",)
# What says that a text is a number, and how its bounds are written.
BOUNDS_IN_RULES = {
    DECIMAL: r"double\(self\) >= [\d.]+ && double\(self\) <= [\d.]+",
    QUANTITY: r"!quantity\(self\)\.isLessThan\(.*quantity\(self\)\.isLessThan\(",
}
KEYWORDS_OF_STRUCTURAL_SCHEMAS = {
    *("type", "format", "description", "default", "enum", "required", "properties", "items", "additionalProperties"),
    *("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "maxProperties", "pattern"),
    *("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-preserve-unknown-fields", RULES_KEY),
}

ROWS = [(kind.kind, row) for kind in KINDS for row in walk(object_schema(kind)) if row.path not in OBJECT_FIELDS]
each_field = pytest.mark.parametrize("row", [row for _, row in ROWS], ids=[f"{kind} {row.path}" for kind, row in ROWS])
each_kind = pytest.mark.parametrize("kind", KINDS, ids=[kind.kind for kind in KINDS])


def words(path: str) -> list[str]:
    return re.findall(r"[A-Z]?[a-z]+", path.rpartition(".")[2])


def rules_of(row: Row) -> str:
    return " ".join(rule["rule"] for rule in row.schema.get(RULES_KEY, []))


@each_field
def test_field_is_described(row: Row) -> None:
    if row.path.endswith(("[]", "{}")) and row.schema["type"] in ("string", "integer"):
        return  # the list's own description speaks of its items
    assert row.schema.get("description", "").rstrip().endswith((".", ".)"))


@each_field
def test_field_has_one_plain_type(row: Row) -> None:
    assert row.schema["type"] in {"string", "integer", "array", "object", "boolean"}, (
        "floats are strings, unions are not"
    )
    assert (row.schema["type"] == "boolean") == (row.path in BOOLEANS_ALLOWED), (
        "use an enum: a third state always comes"
    )


@each_field
def test_field_is_bounded(row: Row) -> None:
    kind = row.schema["type"]
    if kind == "string":
        assert "maxLength" in row.schema or "enum" in row.schema
    elif kind == "array":
        assert "maxItems" in row.schema
    elif kind == "integer":
        assert "minimum" in row.schema
        assert "maximum" in row.schema or row.path.startswith(ENDLESS)
    elif "additionalProperties" in row.schema:
        assert "maxProperties" in row.schema


@each_field
def test_number_in_a_text_is_bounded(row: Row) -> None:
    for pattern, bounds in BOUNDS_IN_RULES.items():
        assert pattern not in rules_of(row) or re.search(bounds, rules_of(row))


def test_numbers_in_texts_are_found() -> None:
    rules = [rules_of(row) for _, row in ROWS]
    assert [sum(pattern in rule for rule in rules) for pattern in (DECIMAL, QUANTITY)] == [8, 1]


@each_field
def test_only_listed_fields_are_maps_or_preserve_what_is_unknown(row: Row) -> None:
    assert ("additionalProperties" in row.schema) == (row.path in MAPS_ALLOWED)
    assert ("x-kubernetes-preserve-unknown-fields" in row.schema) == (row.path in PRESERVING_ALLOWED)


@each_field
def test_list_says_how_it_merges(row: Row) -> None:
    assert (row.schema["type"] == "array") == ("x-kubernetes-list-type" in row.schema)
    keys = row.schema.get("x-kubernetes-list-map-keys", [])
    assert bool(keys) == (row.schema.get("x-kubernetes-list-type") == "map")
    assert set(keys) <= set(row.schema.get("items", {}).get("required", []))


@each_field
def test_field_is_no_phase_and_no_duration(row: Row) -> None:
    assert "phase" not in [word.lower() for word in words(row.path)], "conditions say it"
    assert row.schema.get("format") in (None, "date-time"), "an amount of time is an integer with its unit in the name"
    assert not {"Timeout", "Duration", "Period", "Interval"} & set(words(row.path)), "name the unit: ...Seconds"


@each_field
def test_name_is_camel_case(row: Row) -> None:
    name = row.path.rpartition(".")[2].rstrip("[]{}")
    assert re.fullmatch(r"[a-z][a-zA-Z0-9]*", name)


@each_field
def test_required_field_has_no_default_and_optional_object_is_no_pitfall(row: Row) -> None:
    assert not (row.required and "default" in row.schema)
    for name in row.schema.get("required", []):
        assert name in row.schema["properties"]


@each_field
def test_enum_is_not_empty_and_holds_its_default(row: Row) -> None:
    if "enum" in row.schema:
        assert row.schema["enum"]
        assert row.schema.get("default", row.schema["enum"][0]) in row.schema["enum"]


@each_field
def test_default_is_within_bounds(row: Row) -> None:
    default = row.schema.get("default")
    if isinstance(default, int) and row.schema["type"] == "integer":
        assert row.schema["minimum"] <= default <= row.schema["maximum"]


@pytest.mark.parametrize(
    ("path", "rule"),
    [(f"{kind} {row.path}", rule) for kind, row in ROWS for rule in row.schema.get(RULES_KEY, [])],
)
def test_rule_speaks_to_a_person(path: str, rule: dict[str, str]) -> None:
    assert len(rule["message"]) <= MESSAGE_MAX
    assert "self." not in rule["message"]
    assert "has(" not in rule["message"]
    assert not rule["message"].endswith("."), "the API server goes on after it"


def test_spec_patterns_are_rules_with_a_message() -> None:
    """A bare pattern answers a person with a regular expression. In status only the operator could meet one."""
    assert [row.path for _, row in ROWS if "pattern" in row.schema and not row.path.startswith("status")] == []


@each_kind
def test_conditions_are_first_in_status(kind: Kind) -> None:
    status = object_schema(kind)["properties"]["status"]["properties"]
    assert next(iter(status)) == "conditions"
    assert status["conditions"]["x-kubernetes-list-map-keys"] == ["type"]
    assert "observedGeneration" in status


@each_kind
def test_spec_is_required_and_status_is_not(kind: Kind) -> None:
    assert object_schema(kind)["required"] == ["spec"]


@each_kind
def test_status_has_no_defaults(kind: Kind) -> None:
    assert [row.path for row in walk(object_schema(kind)["properties"]["status"]) if "default" in row.schema] == []


def keywords(schema: JsonSchema) -> set[str]:
    return {key for row in walk(schema) for key in row.schema}


@each_kind
def test_schema_is_structural(kind: Kind) -> None:
    assert keywords(object_schema(kind)) <= KEYWORDS_OF_STRUCTURAL_SCHEMAS


@each_kind
def test_columns_read_fields_that_exist(kind: Kind) -> None:
    paths = {f".{row.path}": row.schema["type"] for row in walk(object_schema(kind))}
    for column in kind.columns:
        if column.path.startswith(".status.conditions[?"):
            assert column.path.rpartition(".")[2] in ("status", "reason")
        elif not column.path.startswith(".metadata"):
            assert paths[column.path] == column.type


@each_kind
def test_a_column_shows_the_reason_of_ready(kind: Kind) -> None:
    assert '.status.conditions[?(@.type=="Ready")].reason' in [column.path for column in kind.columns]


@pytest.mark.parametrize(("name", "text"), crd_files().items(), ids=list(crd_files()))
def test_file_is_small_and_named_after_its_crd(name: str, text: str) -> None:
    assert len(text.encode()) < BYTES_MAX
    assert name == f"{yaml.safe_load(text)['metadata']['name']}.yaml"
