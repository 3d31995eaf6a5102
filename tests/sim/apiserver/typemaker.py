"""Makes types.json, the types of core kinds, from a running API server's OpenAPI and from the Go types behind it.

The OpenAPI says types, list keys, atomic parts and defaults. What it does not say is which zero values survive a round
trip through the server: `replicas: 0` does (a pointer in Go), `minReadySeconds: 0` does not (omitempty), and an apply
of the latter must be recognised as changing nothing. The Go source says it. Run by hand when the version changes:

    python -m tests.sim.apiserver.typemaker k8s.io/api@DIRECTORY <OpenAPI v3 file>... > tests/sim/apiserver/types.json
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOTS = {
    "Pod": "io.k8s.api.core.v1.Pod",
    "PodTemplate": "io.k8s.api.core.v1.PodTemplate",
    "Service": "io.k8s.api.core.v1.Service",
    "PersistentVolumeClaim": "io.k8s.api.core.v1.PersistentVolumeClaim",
    "Namespace": "io.k8s.api.core.v1.Namespace",
    "ResourceQuota": "io.k8s.api.core.v1.ResourceQuota",
    "Deployment": "io.k8s.api.apps.v1.Deployment",
    "Event": "io.k8s.api.events.v1.Event",
    "Lease": "io.k8s.api.coordination.v1.Lease",
    "EndpointSlice": "io.k8s.api.discovery.v1.EndpointSlice",
}
KEPT = (
    "type",
    "format",
    "required",
    "default",
    "enum",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
)
STRUCT = re.compile(r"^type (\w+) struct \{$(.*?)^\}$", re.M | re.S)
FIELD = re.compile(r"^\t(?:\w+[ \t]+)?(\*|\[\]|map\[\w+\])?([\w.*\[\]]+)[ \t]+`[^`\n]*?json:\"(\w*)([^\"]*)\"", re.M)

Schema = dict[str, Any]


def main(go: Path, documents: list[Path]) -> None:
    definitions: dict[str, Schema] = {}
    for document in documents:
        definitions |= json.loads(document.read_text())["components"]["schemas"]
    kept = types_in(definitions)
    for name, schema in kept.items():
        for field, (zero, always) in _marks(name, go).items():
            below = schema.get("properties", {}).get(field, {})
            if always and below.get("ref", "").rpartition(".")[2] in ("Time", "MicroTime"):
                below["null"] = True
            elif always and "properties" in kept.get(below.get("ref", ""), {}):
                below["always"] = True
            elif zero and below:
                below["kept"] = True
    lines = [
        f"{json.dumps(name)}: {json.dumps(schema, separators=(',', ':'))}" for name, schema in sorted(kept.items())
    ]
    sys.stdout.write("{\n" + ",\n".join(lines) + "\n}\n")


def types_in(definitions: dict[str, Schema]) -> dict[str, Schema]:
    """The types that ours are made of, by name, in the reduced form, without what the Go types say."""
    kept: dict[str, Schema] = {}
    for root in ROOTS.values():
        _visit(root, definitions, kept)
    return kept


def _visit(name: str, definitions: dict[str, Schema], kept: dict[str, Schema]) -> None:
    if name in kept:
        return
    kept[name] = {}
    kept[name] = _reduced(definitions[name], definitions, kept)


def _reduced(schema: Schema, definitions: dict[str, Schema], kept: dict[str, Schema]) -> Schema:
    """`schema` without descriptions, its references visited."""
    result = {key: schema[key] for key in KEPT if key in schema}
    if "oneOf" in schema:  # int-or-string, quantities
        result["type"] = "/".join(each["type"] for each in schema["oneOf"])
    reference = schema.get("$ref") or next((each["$ref"] for each in schema.get("allOf", [])), None)
    if reference:
        result["ref"] = reference.rpartition("/")[2]
        _visit(result["ref"], definitions, kept)
    if "properties" in schema:
        result["properties"] = {k: _reduced(v, definitions, kept) for k, v in schema["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            result[key] = _reduced(schema[key], definitions, kept)
    return result


def _marks(name: str, go: Path) -> dict[str, tuple[bool, bool]]:
    """By JSON name: whether its zero value is kept, and whether it is a struct that is always there."""
    full = name.removeprefix("io.k8s.").removeprefix("api.")
    package, _, kind = full.rpartition(".")
    if package.startswith("apimachinery."):
        root = go.parent / go.name.replace("api@", "apimachinery@")
        package = package.removeprefix("apimachinery.")
    else:
        root = go
    structs = {
        found[1]: found[2]
        for source in sorted((root / package.replace(".", "/")).glob("*.go"))
        for found in STRUCT.finditer(source.read_text())
    }
    return _fields(kind, structs)


def _fields(kind: str, structs: dict[str, str]) -> dict[str, tuple[bool, bool]]:
    marks: dict[str, tuple[bool, bool]] = {}
    for shape, go_type, json_name, options in FIELD.findall(structs.get(kind, "")):
        if not json_name:  # embedded
            marks |= _fields(go_type.rpartition(".")[2], structs)
            continue
        always = "omitempty" not in options and "omitzero" not in options
        marks[json_name] = (shape == "*" or always, not shape and "omitzero" not in options)
    return marks


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(each) for each in sys.argv[2:]])
