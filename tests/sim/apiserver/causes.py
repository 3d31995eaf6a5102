"""Causes of a 422 in the words of k8s.io/apimachinery's field errors."""

from typing import Any, Final

from .answers import Cause

IMMUTABLE: Final = "field is immutable"
OUT_OF_RANGE: Final = "must be between 1 and 65535, inclusive"
NOT_NEGATIVE: Final = "must be greater than or equal to 0"


def required(path: str, why: str = "") -> Cause:
    return Cause(path, "Required value" + (f": {why}" if why else ""), "FieldValueRequired")


def wrong(path: str, value: Any, why: str) -> Cause:
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    return Cause(path, f"Invalid value: {shown}: {why}")


def unsupported(path: str, value: Any, allowed: list[str]) -> Cause:
    listed = ", ".join(f'"{each}"' for each in allowed)
    return Cause(path, f'Unsupported value: "{value}": supported values: {listed}', "FieldValueNotSupported")


def duplicate(path: str, value: str) -> Cause:
    return Cause(path, f'Duplicate value: "{value}"', "FieldValueDuplicate")


def forbidden(path: str, why: str) -> Cause:
    return Cause(path, f"Forbidden: {why}", "FieldValueForbidden")
