"""Where progress is to be sent: an EndpointSlice of the selectorless Service `slipway-leader`, with the leader alone.

Readiness cannot say it: a standby must be Ready, or a rolling update of the operator would never finish.
"""

import ipaddress

from ..plan.labels import FIELD_MANAGER
from ..plan.observed import Obj
from .client import KubeClient
from .kinds import ENDPOINT_SLICE, ref_of

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


async def publish(client: KubeClient, body: Obj) -> None:
    """Make it so. Raises ApiError."""
    await client.apply(ref_of(body), body, manager=FIELD_MANAGER, timeout_seconds=5.0)
