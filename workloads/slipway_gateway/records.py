"""What the gateway reads out of Kubernetes objects: an InferenceService becomes a ServiceRecord, an EndpointSlice
addresses.

Pure, and tolerant: objects were validated by the API server, and a field that this version does not know is not its
business. The operator's label names are repeated here; tests/unit/test_agreements.py holds the two equal.
"""

from datetime import datetime
from typing import Any

from .routes import ServiceKey, ServiceRecord, SliceKey
from .routing import Address

GROUP = "slipway.dev"
VERSION = "v1alpha1"
PLURAL = "inferenceservices"
SELECTOR = "app.kubernetes.io/managed-by=slipway"
SERVICE_LABEL = "slipway.dev/inference-service"
PORT_NAME = "http"

Obj = dict[str, Any]


def service_key(body: Obj) -> ServiceKey:
    return ServiceKey(body["metadata"]["namespace"], body["metadata"]["name"])


def service_record(body: Obj) -> ServiceRecord:
    """Raises KeyError or ValueError for an object that is no InferenceService."""
    spec = body.get("spec") or {}
    startable = spec.get("scaling") is not None or spec.get("replicas", 1) > 0
    return ServiceRecord(
        service_key(body),
        created=_created(body["metadata"]),
        startable=startable,
        state=_state(body.get("status") or {}),
    )


def _created(metadata: Obj) -> int:
    text = metadata.get("creationTimestamp")
    return int(datetime.fromisoformat(text).timestamp()) if text else 0


def _state(status: Obj) -> str:
    """Why it is not Ready, in the condition's own reason and words; "" when it is or nothing is known."""
    for condition in status.get("conditions") or []:
        if condition.get("type") == "Ready" and condition.get("status") != "True":
            return ": ".join(text for text in (condition.get("reason"), condition.get("message")) if text)
    return ""


def slice_key(body: Obj) -> SliceKey | None:
    """Which service the slice belongs to; None for a slice that is not an InferenceService's."""
    metadata = body["metadata"]
    service = (metadata.get("labels") or {}).get(SERVICE_LABEL)
    return (ServiceKey(metadata["namespace"], service), metadata["name"]) if service else None


def slice_addresses(body: Obj) -> frozenset[Address]:
    """The ready addresses on the port named `http`. Ready unset counts as ready, as the API says; terminating never
    does.
    """
    ports = [port["port"] for port in body.get("ports") or [] if port.get("name") == PORT_NAME and port.get("port")]
    if not ports or body.get("addressType") not in ("IPv4", "IPv6"):
        return frozenset()
    return frozenset(
        Address(endpoint["addresses"][0], ports[0]) for endpoint in body.get("endpoints") or [] if _is_ready(endpoint)
    )


def _is_ready(endpoint: Obj) -> bool:
    """All addresses of an endpoint are the same pod, and the API guarantees one at least: the first is used."""
    conditions = endpoint.get("conditions") or {}
    return (
        conditions.get("ready") is not False and not conditions.get("terminating") and bool(endpoint.get("addresses"))
    )
