"""What the server refuses of core kinds beside pod specs: what is required, in range, unique, and what may not change.

Chosen by what the operator, a user of it or the models of other controllers can get wrong; not all of Kubernetes'.
"""

import ipaddress
from collections.abc import Iterator
from typing import Any, Final

from . import quantities
from .answers import Cause, Obj
from .causes import IMMUTABLE, NOT_NEGATIVE, OUT_OF_RANGE, duplicate, forbidden, required, unsupported, wrong
from .metadata import LABEL, is_qualified
from .podrules import PORT_NAME, pod_spec, template


def nothing(new: Obj, old: Obj | None) -> list[Cause]:
    return []


def pod(new: Obj, old: Obj | None) -> list[Cause]:
    if old is not None:
        return [*_pod_update(new, old)]
    return [*pod_spec(new.get("spec", {}), "spec")]


POD_MAY_CHANGE: Final = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds")


def _pod_update(new: Obj, old: Obj) -> Iterator[Cause]:
    if _fixed(new.get("spec", {})) != _fixed(old.get("spec", {})):
        yield forbidden("spec", "pod updates may not change fields other than image")


def _fixed(spec: Obj) -> Obj:
    made = {key: value for key, value in spec.items() if key not in POD_MAY_CHANGE}
    for group in ("containers", "initContainers"):
        made[group] = [{k: v for k, v in each.items() if k != "image"} for each in spec.get(group, ())]
    return made


def pod_template(new: Obj, old: Obj | None) -> list[Cause]:
    return [*template(new.get("template", {}), "template")]


def deployment(new: Obj, old: Obj | None) -> list[Cause]:
    return [*_deployment(new.get("spec", {}), (old or {}).get("spec"))]


def _deployment(spec: Obj, before: Obj | None) -> Iterator[Cause]:
    selector = spec.get("selector")
    wanted = (selector or {}).get("matchLabels", {})
    if selector is None:
        yield required("spec.selector")
    elif not wanted and not selector.get("matchExpressions"):
        yield wrong("spec.selector", "{}", "empty selector is invalid for deployment")
    labels = spec.get("template", {}).get("metadata", {}).get("labels", {})
    if any(labels.get(key) != value for key, value in wanted.items()) or selector is None:
        yield wrong("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    for name in ("replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"):
        if spec.get(name, 0) < 0:
            yield wrong(f"spec.{name}", spec[name], NOT_NEGATIVE)
    strategy = spec.get("strategy", {})
    if strategy.get("type") == "Recreate" and "rollingUpdate" in strategy:
        yield forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")
    policy = spec.get("template", {}).get("spec", {}).get("restartPolicy")
    if policy != "Always":
        yield unsupported("spec.template.spec.restartPolicy", policy, ["Always"])
    if before is None or spec.get("template") is not before.get("template"):
        yield from template(spec.get("template", {}), "spec.template")
    if before is not None and selector != before.get("selector"):
        yield wrong("spec.selector", selector, IMMUTABLE)


def service(new: Obj, old: Obj | None) -> list[Cause]:
    return [*_service(new.get("spec", {}), (old or {}).get("spec"))]


def _service(spec: Obj, before: Obj | None) -> Iterator[Cause]:
    kind, ports = spec.get("type"), spec.get("ports", [])
    if kind not in SERVICE_TYPES:
        yield unsupported("spec.type", kind, SERVICE_TYPES)
    if kind == "ExternalName" and not spec.get("externalName"):
        yield required("spec.externalName")
    if not ports and kind != "ExternalName" and spec.get("clusterIP") != "None":
        yield required("spec.ports")
    yield from _service_ports(ports)
    if before is not None and before.get("clusterIP") and spec.get("clusterIPs") != before.get("clusterIPs"):
        yield wrong("spec.clusterIPs[0]", spec.get("clusterIPs"), "may not change once set")


SERVICE_TYPES: Final = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]
PROTOCOLS: Final = ["SCTP", "TCP", "UDP"]


def _service_ports(ports: list[Obj]) -> Iterator[Cause]:
    names: set[str] = set()
    numbers: set[tuple[int, str]] = set()
    for place, port in enumerate(ports):
        where, name, number = f"spec.ports[{place}]", port.get("name", ""), port.get("port", 0)
        if not name and len(ports) > 1:
            yield required(f"{where}.name")
        elif name and (len(name) > 63 or not LABEL.match(name)):
            yield wrong(f"{where}.name", name, "a lowercase RFC 1123 label")
        if name and name in names:
            yield duplicate(f"{where}.name", name)
        if not 0 < number < 65536:
            yield wrong(f"{where}.port", number, OUT_OF_RANGE)
        if port.get("protocol") not in PROTOCOLS:
            yield unsupported(f"{where}.protocol", port.get("protocol"), PROTOCOLS)
        yield from _target(port.get("targetPort"), f"{where}.targetPort")
        if (number, port.get("protocol")) in numbers:
            yield Cause(where, f"Duplicate value: {port}", "FieldValueDuplicate")
        names.add(name)
        numbers.add((number, str(port.get("protocol"))))


def _target(target: Any, path: str) -> Iterator[Cause]:
    if isinstance(target, int) and not 0 < target < 65536:
        yield wrong(path, target, OUT_OF_RANGE)
    if isinstance(target, str) and (len(target) > 15 or not PORT_NAME.match(target)):
        yield wrong(path, target, "must be a port name")


def claim(new: Obj, old: Obj | None) -> list[Cause]:
    return [*_claim(new.get("spec", {}), old)]


def _claim(spec: Obj, old: Obj | None) -> Iterator[Cause]:
    if not spec.get("accessModes"):
        yield required("spec.accessModes", "at least 1 access mode is required")
    if "storage" not in spec.get("resources", {}).get("requests", {}):
        yield required("spec.resources[storage]")
    if old is None:
        return
    bound = old.get("status", {}).get("phase") == "Bound"
    if _unchangeable(spec, bound=bound) != _unchangeable(old.get("spec", {}), bound=bound):
        why = "is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
        yield forbidden("spec", why)


def _unchangeable(spec: Obj, *, bound: bool) -> Obj:
    """What of a claim's spec may not change; a binder may fill in the volume's name once."""
    return {key: value for key, value in spec.items() if key != "resources" or not bound} | {"volumeName": ""}


def resource_quota(new: Obj, old: Obj | None) -> list[Cause]:
    return [*_resource_quota(new)]


def _resource_quota(new: Obj) -> Iterator[Cause]:
    for part, lists in (("spec", ("hard",)), ("status", ("hard", "used"))):
        for each in lists:
            for name, amount in (new.get(part, {}).get(each) or {}).items():
                where = f"{part}.{each}[{name}]"
                if "/" not in name and name not in COUNTED:
                    yield wrong(where, name, "must be a standard resource for quota")
                if quantities.value(amount) < 0:
                    yield wrong(where, amount, NOT_NEGATIVE)


COUNTED: Final = ("pods", "services", "persistentvolumeclaims")  # without a slash; the simulation uses no others


def event(new: Obj, old: Obj | None) -> list[Cause]:
    return [*_event(new)]


def _event(new: Obj) -> Iterator[Cause]:
    if not new.get("eventTime"):
        yield required("eventTime")
    for name, longest in (("reportingController", 253), ("reportingInstance", 128), ("action", 128), ("reason", 128)):
        value = new.get(name, "")
        if not value:
            yield required(name)
        elif len(value) > longest:
            yield wrong(name, "", f"can have at most {longest} characters")
    if new.get("reportingController") and not is_qualified(new["reportingController"]):
        yield wrong("reportingController", new["reportingController"], "name part must consist of alphanumerics")
    if new.get("type") not in ("Normal", "Warning"):
        yield wrong("type", new.get("type", ""), "has invalid value: ")
    if len(new.get("note", "").encode()) > NOTE_BYTES:
        yield wrong("message", "", f"can have at most {NOTE_BYTES} bytes")


NOTE_BYTES: Final = 1024


def lease(new: Obj, old: Obj | None) -> list[Cause]:
    spec = new.get("spec", {})
    found = []
    if spec.get("leaseDurationSeconds", 1) <= 0:
        found.append(wrong("spec.leaseDurationSeconds", spec["leaseDurationSeconds"], "must be greater than 0"))
    if spec.get("leaseTransitions", 0) < 0:
        found.append(wrong("spec.leaseTransitions", spec["leaseTransitions"], NOT_NEGATIVE))
    return found


def endpoint_slice(new: Obj, old: Obj | None) -> list[Cause]:
    return [*_endpoint_slice(new, old)]


FAMILIES: Final = ["FQDN", "IPv4", "IPv6"]


def _endpoint_slice(new: Obj, old: Obj | None) -> Iterator[Cause]:
    family = new.get("addressType", "")
    if not family:
        yield required("addressType")
    elif family not in FAMILIES:
        yield unsupported("addressType", family, FAMILIES)
    if old is not None and family != old.get("addressType"):
        yield wrong("addressType", family, IMMUTABLE)
    for place, endpoint in enumerate(new.get("endpoints", ())):
        addresses = endpoint.get("addresses", ())
        if not addresses:
            yield required(f"endpoints[{place}].addresses", "must contain at least 1 address")
        for each, address in enumerate(addresses):
            if family in ("IPv4", "IPv6") and not _is_address(address, family):
                yield wrong(f"endpoints[{place}].addresses[{each}]", address, f"must be a valid {family} address")


def _is_address(text: str, family: str) -> bool:
    try:
        return f"IPv{ipaddress.ip_address(text).version}" == family
    except ValueError:
        return False
