"""What Kubernetes asks of any object's metadata: names, labels, owner references, finalizers."""

import re
from collections.abc import Iterator
from typing import Final

from .answers import Cause, Obj

LABEL: Final = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
SUBDOMAIN: Final = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
LETTER_LABEL: Final = re.compile(r"^[a-z]([-a-z0-9]*[a-z0-9])?\Z")
QUALIFIED: Final = re.compile(r"^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]\Z")
VALUE: Final = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?\Z")
SUBDOMAIN_RULE: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'example.com', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LETTER_RULE: Final = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character,"
    " and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is"
    " '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
ANNOTATIONS_BYTES: Final = 256 * 1024


def problems(metadata: Obj, *, plural: str) -> Iterator[Cause]:
    """Everything wrong with `metadata` of an object of that kind."""
    yield from _name(metadata.get("name", ""), plural)
    yield from label_problems(metadata, "metadata")
    yield from _owners(metadata.get("ownerReferences", ()))
    for name in metadata.get("finalizers", ()):
        if not is_qualified(name):
            yield Cause("metadata.finalizers", f'Invalid value: "{name}": name part must consist of alphanumerics')


def _name(name: str, plural: str) -> Iterator[Cause]:
    if plural == "services":
        if len(name) > 63:
            yield Cause("metadata.name", f'Invalid value: "{name}": must be no more than 63 characters')
        if not LETTER_LABEL.match(name):
            yield Cause("metadata.name", f'Invalid value: "{name}": {LETTER_RULE}')
        return
    if plural == "namespaces" and (len(name) > 63 or not LABEL.match(name)):
        yield Cause("metadata.name", f'Invalid value: "{name}": a lowercase RFC 1123 label')
        return
    if len(name) > 253:
        yield Cause("metadata.name", f'Invalid value: "{name}": must be no more than 253 bytes')
    if not SUBDOMAIN.match(name):
        yield Cause("metadata.name", f'Invalid value: "{name}": {SUBDOMAIN_RULE}')


def is_qualified(name: str) -> bool:
    prefix, slash, last = name.rpartition("/")
    if slash and (not SUBDOMAIN.match(prefix) or len(prefix) > 253):
        return False
    return bool(QUALIFIED.match(last)) and len(last) <= 63


def label_problems(metadata: Obj, path: str) -> Iterator[Cause]:
    for key, value in metadata.get("labels", {}).items():
        if not is_qualified(key):
            yield Cause(f"{path}.labels", f'Invalid value: "{key}": name part must consist of alphanumerics')
        if len(value) > 63:
            yield Cause(f"{path}.labels", f'Invalid value: "{value}": must be no more than 63 bytes')
        elif not VALUE.match(value):
            yield Cause(f"{path}.labels", f'Invalid value: "{value}": a valid label must be an empty string or consist')
    annotations = metadata.get("annotations", {})
    for key in annotations:
        if not is_qualified(key.lower()):
            yield Cause(f"{path}.annotations", f'Invalid value: "{key}": name part must consist of alphanumerics')
    if sum(len(k.encode()) + len(v.encode()) for k, v in annotations.items()) > ANNOTATIONS_BYTES:
        yield Cause(f"{path}.annotations", f"Too long: may not be more than {ANNOTATIONS_BYTES} bytes")


def _owners(references: list[Obj]) -> Iterator[Cause]:
    for reference in references:
        for field in ("apiVersion", "kind", "name", "uid"):
            if not reference.get(field):
                yield Cause(f"metadata.ownerReferences.{field}", f'Invalid value: "": {field} must not be empty')
    controllers = [reference["name"] for reference in references if reference.get("controller")]
    if len(controllers) > 1:
        text = "Only one reference can have Controller set to true. Found"
        yield Cause("metadata.ownerReferences", f'Invalid value: "{text}"', "FieldValueInvalid")
