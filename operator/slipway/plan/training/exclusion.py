"""Which nodes the next attempts stay away from: those on which failurePolicy.excludeNodeAfter failures happened.

A failure counts against the node of the pod that failed, unless it was somebody's decision (deleted, evicted,
preempted) or nobody's in particular (a stall is seen by all ranks at once). The nodes are named by the label that the
scheduler, and those who plan topologies for it, know them by.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ..observed import Obj
from ..pod.policytypes import entries, mapping
from . import history
from .failure import NODE_LOST, OOM_KILLED, POD_FAILED, Failure
from .history import History
from .situation import Situation

HOSTNAME = "kubernetes.io/hostname"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
FAULTS = frozenset({POD_FAILED, OOM_KILLED, NODE_LOST})


def counted(situation: Situation, past: History, failure: Failure) -> History:
    """`past` with this failure against its node, where anybody asks for that."""
    asked = situation.spec.failure_policy.exclude_node_after is not None
    return past.against(failure.node, failure.reason) if asked and failure.node and failure.reason in FAULTS else past


def words(situation: Situation, past: History, failure: Failure) -> str:
    """What to add to the message of a restart: that its node is left out from now on."""
    limit = situation.spec.failure_policy.exclude_node_after
    if limit is None or failure.reason not in FAULTS or past.on_node(failure.node) < limit:
        return ""
    return f"; later attempts stay away from node {failure.node}: {past.on_node(failure.node)} failed there"


def excluded(situation: Situation) -> tuple[str, ...]:
    """The nodes that no pod of the job is put on, sorted."""
    limit = situation.spec.failure_policy.exclude_node_after
    past = history.read(situation.observed.owner.status)
    return () if limit is None else tuple(sorted(e["node"] for e in past.nodes if past.on_node(e["node"]) >= limit))


def away_from(spec: Obj, nodes: Sequence[str]) -> Obj:
    """A pod's spec that also requires none of these nodes. Any of the user's own terms may hold, so each gets it."""
    if not nodes:
        return spec
    none_of_them = {"key": HOSTNAME, "operator": "NotIn", "values": [*nodes]}
    affinity = mapping(spec.get("affinity"))
    on_nodes = mapping(affinity.get("nodeAffinity"))
    terms = [term for _, term in entries(mapping(on_nodes.get(REQUIRED)).get("nodeSelectorTerms"))]
    both = [_and(term, none_of_them) for term in terms] or [{"matchExpressions": [none_of_them]}]
    return {**spec, "affinity": {**affinity, "nodeAffinity": {**on_nodes, REQUIRED: {"nodeSelectorTerms": both}}}}


def _and(term: Mapping[str, Any], requirement: Obj) -> Obj:
    """Both. A term that asks for nothing matches no node at all, and must not begin to match some."""
    expressions = term.get("matchExpressions") or []
    asks = expressions or term.get("matchFields")
    return {**term, "matchExpressions": [*expressions, requirement]} if asks else {**term}
