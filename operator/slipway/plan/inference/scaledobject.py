"""The ScaledObject: replicas follow the requests that the gateways hold and have in flight.

The gauge exists for every known service and is 0 when idle, so an empty answer means that scraping is broken: it is an
error (`ignoreNullValues: "false"`), not idleness. On an error KEDA and the HPA hold the replicas as they are, at zero
too, and the ScaledObject's Ready says so. No `fallback` is given, because it would do worse in KEDA (2.21, read in its
source): with `replicas: 0` it scales to zero on the first error, with more it wakes what sleeps at zero.
"""

from ...api.common import API_VERSION
from ...api.inferenceservice import KIND, Scaling
from ..observed import Obj, Owner
from .children import child_of, scaled_object_ref

GAUGE = "slipway_gateway_requests"
POLLING_SECONDS = 5


def scaled_object(owner: Owner, scaling: Scaling, *, least: int, prometheus_url: str) -> Obj:
    """`least` is scaling.min_replicas, or more while going to zero would be too early."""
    spec = {
        "scaleTargetRef": {"apiVersion": API_VERSION, "kind": KIND, "name": owner.name},
        "minReplicaCount": least,
        "maxReplicaCount": scaling.max_replicas,
        "pollingInterval": POLLING_SECONDS,
        "cooldownPeriod": scaling.idle_seconds,
        # Without it a service at min 0 goes to zero as soon as it is watched.
        "initialCooldownPeriod": scaling.idle_seconds,
        "triggers": [_trigger(owner, scaling, prometheus_url)],
    }
    return child_of(scaled_object_ref(owner), owner, spec)


def query(namespace: str, service: str) -> str:
    """PromQL: requests held and in flight for a service, over all gateways."""
    return f'sum({GAUGE}{{inference_namespace="{_escaped(namespace)}",inference_service="{_escaped(service)}"}})'


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _trigger(owner: Owner, scaling: Scaling, prometheus_url: str) -> Obj:
    metadata = {
        "serverAddress": prometheus_url,
        "query": query(owner.namespace, owner.name),
        "threshold": str(scaling.requests_per_replica),
        "activationThreshold": "0",
        "ignoreNullValues": "false",
    }
    return {"type": "prometheus", "metricType": "AverageValue", "metadata": metadata}
