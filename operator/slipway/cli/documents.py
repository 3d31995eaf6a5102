"""A YAML file's Kubernetes objects, read as strictly as the API server reads them, for commands that need no cluster.

A file may hold objects that are not Slipway's: a claim that a job names, or whatever is applied along with it. They are
told of and otherwise left alone. What is of Slipway's group must be of a kind and version that there is: a misspelt
one, left out in silence, would look like a file without a mistake.
"""

import json
import re
import sys
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import yaml

from ..api import accelerator, inferenceservice, scalars, trainingjob
from ..api.common import API_VERSION, DNS_LABEL, GROUP, OWNER_NAME, Resource
from ..plan.observed import Obj
from ..plan.pod.types import a_list, a_map
from .schema import unknown_field

MODELS: Mapping[str, type[Resource]] = {
    trainingjob.KIND: trainingjob.TrainingJob,
    inferenceservice.KIND: inferenceservice.InferenceService,
    accelerator.KIND: accelerator.Accelerator,
}
PLANNED = (trainingjob.KIND, inferenceservice.KIND)  # the others are only read
NAME_MAX = {trainingjob.KIND: trainingjob.NAME_MAX, inferenceservice.KIND: inferenceservice.NAME_MAX}
KNOWN = f"{', '.join(PLANNED)} or {accelerator.KIND} of {API_VERSION}"
CLAIM = ("v1", "PersistentVolumeClaim")  # the one other kind whose spec is looked at
ACCELERATOR = (API_VERSION, accelerator.KIND)
NAMESPACE_MAX = 63
# Of metav1.ObjectMeta, which is no part of a CRD's schema.
METADATA_FIELDS = (
    *("name", "generateName", "namespace", "labels", "annotations", "finalizers", "ownerReferences", "managedFields"),
    *("uid", "resourceVersion", "generation", "selfLink"),
    *("creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"),
)
SHOWN_MAX = 40  # characters of a scalar


class InvalidFile(ValueError):
    """The file cannot be planned; the message says which document and field, and what is wrong with it."""


class StrictLoader(scalars.Resolver, yaml.SafeLoader):
    """As the API server and kubectl read YAML: a key comes once and is text, plain scalars are as api/scalars.py says.

    Stricter than kubectl in this: a repeated key and a tag that JSON has no type for are refused.
    """

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:  # noqa: ANN401
        """Here, where `<<` has not been put in yet: what it brings may be set again."""
        node = super().compose_mapping_node(anchor)
        node.value = [(_key(key), value) for key, value in node.value]
        seen = set[Hashable]()
        for key, _ in node.value:
            if (key.tag, key.value) in seen:
                raise yaml.composer.ComposerError(None, None, f'key "{key.value}" already set in map', key.start_mark)
            seen.add((key.tag, key.value))
        return node

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:  # noqa: ANN401
        r"""Not half of a character, which `"\ud800"` is: nobody could write it down again."""
        node = super().compose_scalar_node(anchor)
        try:
            node.value.encode()
        except UnicodeEncodeError as error:
            raise yaml.composer.ComposerError(None, None, "found half of a character", node.start_mark) from error
        return node

    def construct_plain(self, node: yaml.ScalarNode) -> scalars.Scalar:
        """A scalar without quotes, or with one of JSON's own types as its tag."""
        text = self.construct_scalar(node)
        value = scalars.value_of(text)
        fits = node.tag == scalars.TAGS[type(value)] or (node.tag, type(value)) == (scalars.TAGS[float], int)
        try:
            if fits:
                return scalars.as_json(value)
            complaint = f"is no {node.tag.rpartition(':')[2]}"
        except ValueError as error:
            complaint = str(error)
        raise yaml.constructor.ConstructorError(None, None, f"{text[:SHOWN_MAX]} {complaint}", node.start_mark)


def _key(node: yaml.Node) -> yaml.ScalarNode:
    """JSON's keys are text: kubectl writes a number's digits, and `true` or `false`."""
    if isinstance(node, yaml.ScalarNode) and node.tag in (scalars.TAGS[str], scalars.MERGE):
        return node
    if isinstance(node, yaml.ScalarNode) and node.tag in (scalars.TAGS[int], scalars.TAGS[bool]):
        text = json.dumps(scalars.value_of(node.value))
        return yaml.ScalarNode(scalars.TAGS[str], text, node.start_mark, node.end_mark)
    raise yaml.composer.ComposerError(None, None, "a key must be text: put it in quotes", node.start_mark)


def _refuse(_: StrictLoader, node: yaml.Node) -> None:
    name = node.tag.replace(scalars.PREFIX, "!!")
    raise yaml.constructor.ConstructorError(None, None, f"{name} is no type of JSON's: leave it out", node.start_mark)


StrictLoader.yaml_constructors = {
    None: _refuse,
    **{
        scalars.PREFIX + name: yaml.SafeLoader.yaml_constructors[scalars.PREFIX + name]
        for name in ("str", "seq", "map")
    },
    **{scalars.TAGS[of]: StrictLoader.construct_plain for of in (bool, int, float, type(None))},
}


def documents(text: str) -> list[Obj]:
    """The Kubernetes objects of a YAML file. Raises InvalidFile."""
    try:
        found = list(yaml.load_all(text, Loader=StrictLoader))
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a number or a date that Python cannot make
        raise InvalidFile(f"not YAML: {error}") from error
    numbered = enumerate(found, start=1)
    return [body for position, each in numbered if each is not None for body in _objects(each, f"document {position}")]


def of_kinds(present: list[Obj], *kinds: str) -> list[Obj]:
    """Those among `present`; standard error tells of the others. Raises InvalidFile where there is none."""
    wanted = [body for body in present if body["apiVersion"] == API_VERSION and body["kind"] in kinds]
    if not wanted:
        raise InvalidFile(f"nothing to plan: no document is a {' or '.join(kinds)} of {API_VERSION}")
    for body in present:
        if body not in wanted and (body["apiVersion"], body["kind"]) != ACCELERATOR:
            name = f"{body['kind']} {body['metadata']['name']} ({body['apiVersion']})"
            sys.stderr.write(f"not planned: {name} is no {' or '.join(kinds)}\n")
    return wanted


def _objects(value: Any, where: str) -> Iterator[Obj]:  # noqa: ANN401 - whatever the file holds
    """`value`, or what it lists: `kubectl get -o yaml` writes several objects as one of kind List."""
    if isinstance(value, dict) and str(value.get("kind")).endswith("List") and isinstance(value.get("items"), list):
        for position, item in enumerate(value["items"], start=1):
            yield from _objects(item, f"{where}, item {position},")
        return
    if not isinstance(value, dict) or not isinstance(value.get("metadata"), dict) or "name" not in value["metadata"]:
        raise InvalidFile(f"{where} is not a Kubernetes object with metadata.name")
    for field in ("apiVersion", "kind"):
        if not isinstance(value.get(field), str):
            raise InvalidFile(f"{where} is not a Kubernetes object: {field} must be set, to text")
    _check_kind(value, where)
    _check_metadata(value, where)
    if (value["apiVersion"], value["kind"]) == CLAIM:
        _check_claim(value, where)
    yield value


def _check_kind(body: Obj, where: str) -> None:
    version, kind = body["apiVersion"], body["kind"]
    if version.split("/")[0] != GROUP or (version == API_VERSION and kind in MODELS):
        return
    raise InvalidFile(f"{where} is a {kind} of {version}, which there is not: Slipway has {KNOWN}")


def _check_metadata(body: Obj, where: str) -> None:
    metadata, what = body["metadata"], f"{where} ({body['kind']})"
    name, namespace = metadata["name"], metadata.get("namespace", "default")
    if not isinstance(name, str) or not name:
        raise InvalidFile(f"{what}: metadata.name: must be text, and not empty: {name!r}")
    if body["apiVersion"] == API_VERSION:
        _check_name(name, body["kind"], what)
    if not isinstance(namespace, str) or not _is_namespace(namespace):
        raise InvalidFile(f"{what}: metadata.namespace: must be a DNS label: {namespace!r}")
    for field in metadata:
        if field not in METADATA_FIELDS:
            raise InvalidFile(f"{what}: metadata.{field}: {unknown_field(field, METADATA_FIELDS)}")
    for field in ("labels", "annotations"):
        if not _is_text(metadata.get(field, {})):
            raise InvalidFile(f"{what}: metadata.{field}: must hold text alone: put other values in quotes")


def _check_name(name: str, kind: str, what: str) -> None:
    """As the CEL rules of the kinds have it (api/)."""
    if kind == accelerator.KIND:
        if not re.fullmatch(DNS_LABEL, name) or len(name) > accelerator.NAME_MAX:
            rule = f"must be a DNS label of at most {accelerator.NAME_MAX} characters"
            raise InvalidFile(f"{what}: metadata.name: {rule}: {name!r}")
        return
    if not re.fullmatch(OWNER_NAME, name) or len(name) > NAME_MAX[kind]:
        rule = f"must be a DNS label of at most {NAME_MAX[kind]} characters that starts with a letter"
        raise InvalidFile(f"{what}: metadata.name: {rule}: {name!r}")
    if kind == inferenceservice.KIND and re.search(inferenceservice.POD_NAME_END, name):
        raise InvalidFile(f"{what}: metadata.name: must not end as a training pod's does: {name!r}")


def _check_claim(body: Obj, where: str) -> None:
    """What plans read of a claim. A null is as good as absent."""
    what, spec = f"{where} ({body['kind']})", {} if body.get("spec") is None else body["spec"]
    if said := a_map(spec):
        raise InvalidFile(f"{what}: spec: {said}")
    modes = spec.get("accessModes")
    if modes is not None and (said := a_list(modes)):
        raise InvalidFile(f"{what}: spec.accessModes: {said}")
    if not all(isinstance(mode, str) for mode in modes or ()):
        raise InvalidFile(f"{what}: spec.accessModes: must hold text alone, such as ReadWriteOnce")


def _is_namespace(text: str) -> bool:
    return len(text) <= NAMESPACE_MAX and re.fullmatch(DNS_LABEL, text) is not None


def _is_text(held: Any) -> bool:  # noqa: ANN401
    pairs = held.items() if isinstance(held, dict) else [(None, None)]
    return held is None or all(isinstance(each, str) for pair in pairs for each in pair)
