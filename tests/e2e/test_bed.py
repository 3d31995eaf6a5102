"""The bed itself: an address of a Service that nobody serves is refused in the node, and never reaches the outside.

Something outside may accept any connection and keep it; what talks to it would take it for the Service.
"""

import json
import subprocess
import time
from ipaddress import ip_network

import pytest
from bed.catalog import SERVICE_CIDR

from .install import SYSTEM
from .kube import Kube, Obj

pytestmark = [pytest.mark.level(1), pytest.mark.feature("bed")]

REFUSED_WITHIN_SECONDS = 2.0
NOBODYS = str(ip_network(SERVICE_CIDR)[-2])  # one of 65,000, of which Services have a dozen

# Prints how the connection ended, and after how long.
CONNECT = """
import socket, sys, time
begin = time.monotonic()
try:
    socket.create_connection((sys.argv[1], 80), timeout=10)
    how = "connected"
except OSError as error:
    how = type(error).__name__
print(how, time.monotonic() - begin)
"""


@pytest.fixture
def deserted(kube: Kube, namespace: str) -> str:
    """The ClusterIP of a Service that selects no pod."""
    spec = {"selector": {"nobody": "here"}, "ports": [{"port": 80}]}
    kube.apply(namespace, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "deserted"}, "spec": spec})
    made: Obj = json.loads(kube.kubectl("-n", namespace, "get", "service", "deserted", "-o", "json"))
    address: str = made["spec"]["clusterIP"]
    return address


def test_a_pod_is_refused_by_a_service_without_endpoints_and_by_none(kube: Kube, deserted: str) -> None:
    for address in (deserted, NOBODYS):
        pod = ["exec", "deployment/slipway-gateway", "--", "python", "-c", CONNECT, address]
        how, seconds = kube.kubectl("-n", SYSTEM, *pod).split()
        assert (address, how) == (address, "ConnectionRefusedError")
        assert float(seconds) < REFUSED_WITHIN_SECONDS


def test_the_node_is_refused_too(kube: Kube, deserted: str) -> None:
    """As kube-apiserver is, which asks aggregated APIs and webhooks by their ClusterIPs."""
    [node, *_] = [each["metadata"]["name"] for each in kube.items("default", "nodes")]
    for address in (deserted, NOBODYS):
        begin = time.monotonic()
        argv = ["docker", "exec", node, "bash", "-c", f"exec 3<>/dev/tcp/{address}/80"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
        assert "Connection refused" in done.stderr, (address, done.stderr)
        assert time.monotonic() - begin < REFUSED_WITHIN_SECONDS
