"""What the server refuses of a pod's spec: what a user's pod template or a render of ours can get wrong.

Not the whole of Kubernetes' validation: enums and required fields generally, and by hand what concerns names, ports,
variables, volumes, mounts and resources. tests/sim/conformance*.py say which outcomes are held equal.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from . import quantities
from .answers import Cause, Obj
from .causes import NOT_NEGATIVE, OUT_OF_RANGE, duplicate, forbidden, required, unsupported, wrong
from .metadata import LABEL, label_problems
from .shapes import Form, Shape, core

VARIABLE: Final = re.compile(r"^[ -<>-~]+\Z")
PORT_NAME: Final = re.compile(r"^(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*\Z")
POD_SPEC: Final = "io.k8s.api.core.v1.PodSpec"


def enums(value: Any, shape: Shape, path: str) -> Iterator[Cause]:
    """Fields whose value is none of those that the type lists, and required texts that are empty."""
    if isinstance(value, dict):
        needed = shape.schema.get("required", ())
        for key, below in value.items():
            field = shape.field(key)
            if field is None or field.form is Form.ANY:
                continue
            if below == "" and key in needed:
                yield required(f"{path}.{key}")
            else:
                yield from enums(below, field, f"{path}.{key}")
    elif isinstance(value, list) and shape.element is not None and shape.element.form is not Form.ANY:
        for place, item in enumerate(value):
            yield from enums(item, shape.element, f"{path}[{place}]")
    elif "enum" in shape.schema and value not in shape.schema["enum"]:
        yield unsupported(path, value, shape.schema["enum"])


def template(value: Obj, path: str) -> Iterator[Cause]:
    yield from label_problems(value.get("metadata", {}), path)
    yield from pod_spec(value.get("spec", {}), f"{path}.spec")


def pod_spec(spec: Obj, path: str) -> Iterator[Cause]:
    volumes = {volume.get("name"): volume for volume in spec.get("volumes", ())}
    yield from enums(spec, core(POD_SPEC), path)
    yield from _volumes(spec, path)
    if not spec.get("containers"):
        yield required(f"{path}.containers")
    seen: set[str] = set()
    for group in ("containers", "initContainers"):
        for place, container in enumerate(spec.get(group, ())):
            where = f"{path}.{group}[{place}]"
            name = container.get("name", "")
            if name in seen:
                yield duplicate(f"{where}.name", name)
            seen.add(name)
            yield from _container(container, where, volumes)


LABEL_RULE: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    " an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)


def _volumes(spec: Obj, path: str) -> Iterator[Cause]:
    seen: set[str] = set()
    for place, volume in enumerate(spec.get("volumes", ())):
        where, name = f"{path}.volumes[{place}]", volume.get("name", "")
        if name and not LABEL.match(name):
            yield wrong(f"{where}.name", name, LABEL_RULE)
        if name in seen:
            yield duplicate(f"{where}.name", name)
        seen.add(name)
        sources = [key for key in volume if key != "name"]
        for source in sources[1:]:
            yield forbidden(f"{where}.{source}", "may not specify more than 1 volume type")


def _container(container: Obj, path: str, volumes: Obj) -> Iterator[Cause]:
    name = container.get("name", "")
    if name and not (LABEL.match(name) and len(name) <= 63):
        yield wrong(f"{path}.name", name, LABEL_RULE)
    if not container.get("image"):
        yield required(f"{path}.image")
    elif container["image"] != container["image"].strip():
        yield wrong(f"{path}.image", container["image"], "must not have leading or trailing whitespace")
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        yield from _handler(container.get(probe), f"{path}.{probe}")
    for hook, handler in container.get("lifecycle", {}).items():
        if hook != "stopSignal":
            yield from _handler(handler, f"{path}.lifecycle.{hook}")
    yield from _ports(container, path)
    yield from _variables(container, path)
    yield from _mounts(container, path, volumes)
    yield from _resources(container.get("resources", {}), f"{path}.resources")


HANDLERS: Final = ("exec", "grpc", "httpGet", "sleep", "tcpSocket")


def _handler(given: Obj | None, path: str) -> Iterator[Cause]:
    if given is None:
        return
    kinds = [key for key in HANDLERS if key in given]
    if not kinds:
        yield required(path, "must specify a handler type")
    for kind in kinds[1:]:
        yield forbidden(f"{path}.{kind}", "may not specify more than 1 handler type")


def _ports(container: Obj, path: str) -> Iterator[Cause]:
    seen: set[str] = set()
    for place, port in enumerate(container.get("ports", ())):
        where = f"{path}.ports[{place}]"
        number, name = port.get("containerPort", 0), port.get("name", "")
        if not number:
            yield required(f"{where}.containerPort")
        elif not 0 < number < 65536:
            yield wrong(f"{where}.containerPort", number, OUT_OF_RANGE)
        if name and (len(name) > 15 or not PORT_NAME.match(name)):
            yield wrong(f"{where}.name", name, "must be a port name")
        if name and name in seen:
            yield duplicate(f"{where}.name", name)
        seen.add(name)


def _variables(container: Obj, path: str) -> Iterator[Cause]:
    for place, variable in enumerate(container.get("env", ())):
        where, name = f"{path}.env[{place}]", variable.get("name", "")
        if name and not VARIABLE.match(name):
            yield wrong(f"{where}.name", name, "a valid environment variable name must consist only of printable ASCII")
        source = variable.get("valueFrom")
        if source is not None and variable.get("value"):
            yield wrong(f"{where}.valueFrom", "", "may not be specified when `value` is not empty")
        if source is not None and len(source) != 1:
            yield wrong(f"{where}.valueFrom", "", "must specify one of: `fieldRef`, `resourceFieldRef`, ...")


def _mounts(container: Obj, path: str, volumes: Obj) -> Iterator[Cause]:
    seen: set[str] = set()
    for place, mount in enumerate(container.get("volumeMounts", ())):
        where, name, at = f"{path}.volumeMounts[{place}]", mount.get("name", ""), mount.get("mountPath", "")
        if name and name not in volumes:
            yield Cause(f"{where}.name", f'Not found: "{name}"', "FieldValueNotFound")
        if at in seen:
            yield wrong(f"{where}.mountPath", at, "must be unique")
        seen.add(at)
        inside = mount.get("subPath", "")
        if inside.startswith("/"):
            yield wrong(f"{where}.subPath", inside, "must be a relative path")
        if ".." in inside.split("/"):
            yield wrong(f"{where}.subPath", inside, "must not contain '..'")


def _resources(resources: Obj, path: str) -> Iterator[Cause]:
    limits, requests = resources.get("limits", {}), resources.get("requests", {})
    for group, given in (("limits", limits), ("requests", requests)):
        for name, amount in given.items():
            where = f"{path}.{group}[{name}]"
            if "/" not in name and name not in KNOWN_RESOURCES and not name.startswith("hugepages-"):
                yield wrong(where, name, "must be a standard resource for containers")
            if quantities.value(amount) < 0:
                yield wrong(where, amount, NOT_NEGATIVE)
    for name, amount in requests.items():
        if name in limits and quantities.value(amount) > quantities.value(limits[name]):
            yield wrong(f"{path}.requests", amount, f"must be less than or equal to {name} limit of {limits[name]}")
        if "/" in name and limits.get(name) != amount:
            yield wrong(f"{path}.requests", amount, f"must be equal to {name} limit")


KNOWN_RESOURCES: Final = ("cpu", "memory", "ephemeral-storage")
