#!/usr/bin/env python3
"""Print the types of what a podTemplate may say, from an API server's own description of core/v1, as JSON.

The operator checks a podTemplate against this table, operator/slipway/plan/pod/podtypes.json, since the API server
tells of a wrong type in the words of its decoder and without the place. tests/crd compares the table with a running
server. When Kubernetes is bumped, write it anew:

    kubectl get --raw /openapi/v3/api/v1 | uv run scripts/pod-types.py > operator/slipway/plan/pod/podtypes.json

A field's type is another type's name, `string`, `boolean`, `int32`, `int64`, `quantity` or `int-or-string`; [X] is a
list of X, {X} a map to X. Fields that plan/pod/policy.py refuses anyway are left out.
"""

import json
import sys
from typing import Any

from slipway.plan.pod import containers, policy

ROOT = "io.k8s.api.core.v1.PodSpec"
ONLY = {
    "PodSpec": policy.SPEC_FIELDS,
    "Container": containers.FIELDS,
    "Volume": policy.VOLUME_TYPES | {"name"},
    "VolumeProjection": policy.PROJECTED,
    "ObjectMeta": frozenset({"labels", "annotations"}),
}
PLAIN = {"Quantity": "quantity", "IntOrString": "int-or-string"}

Schema = dict[str, Any]


def table(document: Schema) -> Schema:
    found: dict[str, dict[str, str]] = {}
    _visit(ROOT, document["components"]["schemas"], found)
    return {"kubernetes": document["info"]["version"], "types": dict(sorted(found.items()))}


def _visit(name: str, schemas: Schema, found: dict[str, dict[str, str]]) -> str:
    """Write a type and those that it is made of down; returns how a field's type is spelled that is this one."""
    short = name.rpartition(".")[2]
    properties = schemas[name].get("properties")
    if properties is None:
        return PLAIN.get(short) or str(schemas[name]["type"])
    if short not in found:
        fields = found[short] = {}
        for field, schema in properties.items():
            if field in ONLY.get(short, properties):
                fields[field] = _spelled(schema, schemas, found)
    return short


def _spelled(schema: Schema, schemas: Schema, found: dict[str, dict[str, str]]) -> str:
    reference = schema.get("$ref") or next((each["$ref"] for each in schema.get("allOf", [])), None)
    if reference:
        return _visit(reference.rpartition("/")[2], schemas, found)
    if schema["type"] == "array":
        return f"[{_spelled(schema['items'], schemas, found)}]"
    if schema["type"] == "object":
        return f"{{{_spelled(schema['additionalProperties'], schemas, found)}}}"
    return str(schema["format"] if schema["type"] == "integer" else schema["type"])


def render(found: Schema) -> str:
    """One type a line, so that another Kubernetes shows as a readable difference."""
    lines = (f'"{name}":{json.dumps(fields, separators=(",", ":"))}' for name, fields in found["types"].items())
    return f'{{"kubernetes":"{found["kubernetes"]}","types":{{\n' + ",\n".join(lines) + "\n}}\n"


if __name__ == "__main__":
    sys.stdout.write(render(table(json.load(sys.stdin))))
