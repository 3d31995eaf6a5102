"""A cluster of two nodes: each has its own range of pod addresses, and routes to the other's.

A cluster of its own beside the one of the other tests, with nothing on it: too long for every change, so that `make
verify` runs it.
"""

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

import pytest
from bed import base

from .install import bed
from .kube import CACHE, Kube, Obj, is_true

pytestmark = [pytest.mark.level(3), pytest.mark.feature("bed"), pytest.mark.verify]

CLUSTER = "slipway-two"
PORT = 8000

# Says who answers and who asks: an address that was rewritten on the way would be the node's.
SERVE = """
import http.server, socket

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{socket.gethostname()} {self.client_address[0]}".encode())

http.server.HTTPServer(("", 8000), Handler).serve_forever()
"""
# Asks so many times; a Service is refused until kube-proxy has heard of it.
ASK = """
import sys, time, urllib.error, urllib.request

deadline = time.monotonic() + 30
for _ in range(int(sys.argv[2])):
    while True:
        try:
            print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())
            break
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
"""


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[Kube]:
    """The cluster, and whatever became of it is taken away."""
    bed("up", "--name", CLUSTER, "--nodes", "2", "--addons")  # alone: none
    try:
        bed("load", "--name", CLUSTER, base.TAG)
        yield Kube(CACHE / f"{CLUSTER}.kubeconfig")
    finally:
        bed("down", "--name", CLUSTER)


@pytest.fixture(scope="module")
def pods(two_nodes: Kube) -> dict[str, Obj]:
    """A pod on each node that answers with the address of who asks, by node; and a Service before both."""
    nodes = [node["metadata"]["name"] for node in two_nodes.items("default", "nodes")]
    ports = [{"port": 80, "targetPort": PORT}]
    spec = {"selector": {"app": "who"}, "ports": ports, "type": "ClusterIP"}
    two_nodes.apply("default", {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "who"}, "spec": spec})
    two_nodes.apply("default", *(pod(f"who-{number}", node) for number, node in enumerate(nodes)))
    names = [f"who-{number}" for number in range(len(nodes))]
    ready = [two_nodes.until("default", "pods", name, is_true("Ready"), seconds=120) for name in names]
    return {found["spec"]["nodeName"]: found for found in ready}


def pod(name: str, node: str) -> Obj:
    main = {
        "name": "main",
        "image": base.TAG,
        "command": ["python3", "-c", SERVE],
        "readinessProbe": {"httpGet": {"port": PORT}, "periodSeconds": 1},
    }
    spec = {"nodeName": node, "containers": [main], "terminationGracePeriodSeconds": 0}
    metadata = {"name": name, "labels": {"app": "who"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def asked(kube: Kube, asker: Obj, address: str, *, times: int = 1) -> list[tuple[str, str]]:
    """What a pod is told by who is at that address: (name of the pod that answered, address of the asker as it saw)."""
    argv = ["exec", asker["metadata"]["name"], "--", "python3", "-c", ASK, f"http://{address}/", str(times)]
    lines = kube.kubectl("-n", "default", *argv).splitlines()
    return [(name, seen) for name, seen in (line.split() for line in lines)]


def test_each_node_has_its_own_range_and_its_pods_are_in_it(two_nodes: Kube, pods: dict[str, Obj]) -> None:
    ranges = {node["metadata"]["name"]: node["spec"]["podCIDR"] for node in two_nodes.items("default", "nodes")}
    assert len(set(ranges.values())) == 2
    for node, cidr in ranges.items():
        assert ip_address(pods[node]["status"]["podIP"]) in ip_network(cidr)


def test_pods_reach_each_other_over_nodes_under_their_own_address(two_nodes: Kube, pods: dict[str, Obj]) -> None:
    one, other = pods.values()
    for asker, answerer in ((one, other), (other, one)):
        told = asked(two_nodes, asker, f"{answerer['status']['podIP']}:{PORT}")
        assert told == [(answerer["metadata"]["name"], asker["status"]["podIP"])]


def test_a_service_is_answered_by_both_nodes_on_both(two_nodes: Kube, pods: dict[str, Obj]) -> None:
    service = two_nodes.get("default", "service", "who")
    assert service is not None
    for asker in pods.values():
        told = asked(two_nodes, asker, service["spec"]["clusterIP"], times=30)
        assert {name for name, _ in told} == {each["metadata"]["name"] for each in pods.values()}
