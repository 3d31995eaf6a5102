"""The Service: one address per InferenceService inside the cluster; the gateway reads its EndpointSlices."""

from ..names import ENGINE_PORT
from ..observed import Obj, Owner
from .children import child_of, selector_labels, service_ref

PORT = 80


def service(owner: Owner) -> Obj:
    port = {"name": "http", "port": PORT, "targetPort": ENGINE_PORT, "protocol": "TCP"}
    spec = {"type": "ClusterIP", "selector": selector_labels(owner.name), "ports": [port]}
    return child_of(service_ref(owner), owner, spec)
