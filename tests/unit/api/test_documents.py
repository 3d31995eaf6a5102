"""A file's YAML, read as kubectl reads it (tests/crd/test_crd_yaml.py asks kubectl)."""

from typing import Any

import pytest
import yaml

from slipway.api.plainyaml import PlainDumper
from slipway.cli.documents import InvalidFile, StrictLoader, documents
from tests.crd.yamltable import READ, UNREADABLE, document


@pytest.mark.parametrize(("text", "value"), READ.items(), ids=[text[:20] for text in READ])
def test_scalars_are_read_as_kubectl_reads_them(text: str, value: Any) -> None:
    (read,) = documents(document(text))
    (found,) = read["spec"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_kubectl_cannot_read_is_refused(text: str) -> None:
    with pytest.raises(InvalidFile, match="not YAML"):
        documents(document(text))


@pytest.mark.parametrize("text", ["{1: a, '1': b}", "{yes: a, on: b}", "{1.5: a}", "{a: 1, a: 2}"])
def test_a_key_that_comes_twice_or_is_a_fraction_is_refused(text: str) -> None:
    """Though kubectl picks one, or makes text of it."""
    with pytest.raises(InvalidFile, match="not YAML"):
        documents(document(text))


@pytest.mark.parametrize(
    "text", ["!!binary aGVsbG8=", "!!set {a, b}", "!!omap [a: 1]", "!!timestamp 2026-01-01", "!!timestamp x", "!mine a"]
)
def test_a_tag_that_json_has_no_type_for_is_refused_with_the_mend(text: str) -> None:
    """Though kubectl makes text or a map of them, in one way or another."""
    with pytest.raises(InvalidFile, match=f"{text.split()[0]} is no type of JSON's: leave it out"):
        documents(document(text))


@pytest.mark.parametrize("text", ["!!str [a]", "!!int [1]", "!!map a", "!!seq {a: 1}", "{<<: a}"])
def test_a_tag_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(InvalidFile, match="not YAML"):
        documents(document(text))


def test_merges_are_as_in_yaml_1_1() -> None:
    text = "{<<: [{a: 1, b: 1}, {b: 2, c: 2}], a: 3}"
    assert yaml.load(text, Loader=StrictLoader) == {"a": 3, "b": 1, "c": 2}


def test_text_is_written_so_that_kubectl_reads_it_as_text() -> None:
    written = yaml.dump(list(READ), Dumper=PlainDumper)
    assert yaml.load(written, Loader=StrictLoader) == list(READ)
    assert yaml.dump("plain", Dumper=PlainDumper).startswith("plain")
