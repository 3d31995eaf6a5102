"""Quantities as apimachinery reads them."""

from typing import Any

import pytest

from slipway.plan.capacity.quantity import quantity_bytes


@pytest.mark.parametrize(
    ("said", "count"),
    [
        ("1Gi", 1 << 30),
        ("1.5Gi", 3 << 29),
        ("512Mi", 512 << 20),
        ("2G", 2_000_000_000),
        ("100k", 100_000),
        ("1e9", 1_000_000_000),
        ("1E3", 1000),
        ("1E", 10**18),
        ("1Ei", 1 << 60),
        ("1500m", 1),
        (".5Ki", 512),
        ("4.", 4),
        ("0", 0),
        (1024, 1024),
        (1.5, 1),
    ],
)
def test_a_quantity_is_a_number(said: Any, count: int) -> None:
    assert quantity_bytes(said) == count


@pytest.mark.parametrize("said", ["", "Gi", "1gi", "-1Gi", "1 Gi", "1e999", "many", None, [], {}, ["1Gi"]])
def test_anything_else_is_none(said: Any) -> None:
    assert quantity_bytes(said) is None
