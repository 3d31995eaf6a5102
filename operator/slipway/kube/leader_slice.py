"""Where progress is to be sent: an EndpointSlice of the selectorless Service `slipway-leader`, with the leader alone.

Readiness cannot say it: a standby must be Ready, or a rolling update of the operator would never finish.
"""

import ipaddress

from ..plan.observed import Obj
from .kinds import ENDPOINT_SLICE

PORT_NAME = "progress"  # the Service's port has the same name


def leader_slice(*, service: str, namespace: str, address: str, port: int) -> Obj:
    """The EndpointSlice of one address. Raises ValueError for what is none. Its family can never change."""
    family = f"IPv{ipaddress.ip_address(address).version}"
    return {
        "apiVersion": ENDPOINT_SLICE.api_version,
        "kind": ENDPOINT_SLICE.kind,
        "metadata": {
            "name": service,  # the one name that our role may write
            "namespace": namespace,
            "labels": {
                "kubernetes.io/service-name": service,
                "endpointslice.kubernetes.io/managed-by": "slipway",
            },
        },
        "addressType": family,
        "endpoints": [{"addresses": [address], "conditions": {"ready": True, "serving": True, "terminating": False}}],
        "ports": [{"name": PORT_NAME, "port": port, "protocol": "TCP"}],
    }


def shows(live: Obj, wanted: Obj) -> bool:
    """Whether an EndpointSlice as read says what `wanted` does. What others label it with is theirs."""
    labels = live.get("metadata", {}).get("labels") or {}
    same = all(live.get(field) == wanted[field] for field in ("addressType", "endpoints", "ports"))
    return same and wanted["metadata"]["labels"].items() <= labels.items()
