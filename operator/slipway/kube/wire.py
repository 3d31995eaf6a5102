"""JSON, to the API server and from it, and as what is hashed: by orjson, which costs a tenth of the standard library.

orjson refuses a few things that JSON allows: what is nested deeper than 254 levels, integers beyond 64 bits, halves of
surrogate pairs. A user can put such into a podTemplate, so there the standard library answers as it always did.
"""

import json
from typing import cast

import orjson


def dumps(value: object) -> bytes:
    """As UTF-8 and without escapes, since an apply is read as YAML, which does not know JSON's escapes of characters
    beyond the BMP. Raises what the standard library raises for what is no JSON."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def canonical(value: object) -> bytes:
    """The same bytes for the same data, in whatever order its keys come. What is no JSON counts as its text."""
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    except TypeError:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()


def loads(text: bytes) -> object:
    """Raises ValueError for what is no JSON."""
    try:
        return cast(object, orjson.loads(text))
    except ValueError:
        return cast(object, json.loads(text))
