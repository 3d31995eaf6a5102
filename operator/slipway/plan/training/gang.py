"""The gang of an attempt as a PyTorchJob (kubeflow.org/v1), created once and never applied again.

No `backoffLimit`: with restartPolicy Never the v1 controller answers a first failure by deleting every pod, with the
termination messages that say why. `cleanPodPolicy: Running` ends the peers of a failed pod and keeps what has ended.
A Master is rank 0; `Worker` is left out of a gang of one.
"""

from ...api.trainingjob import TrainingJobSpec
from .. import labels
from ..observed import Obj
from . import queue
from .claims import owner_reference
from .pods import pod_labels, pod_template
from .situation import Situation
from .unseen import API_VERSION, KIND


def pytorchjob(situation: Situation) -> Obj:
    """The PyTorchJob of the attempt that should run."""
    ref = situation.gang_ref
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": ref.name,
            "namespace": ref.namespace,
            "labels": {**pod_labels(situation), **_size(situation.spec), **queue.gang_labels(situation.spec)},
            "ownerReferences": [owner_reference(situation.observed.owner)],
        },
        "spec": {
            "nprocPerNode": str(situation.spec.per_node),
            "pytorchReplicaSpecs": _replicas(situation),
            "runPolicy": {
                "cleanPodPolicy": "Running",
                **queue.run_policy(situation.spec),
                **_all_or_nothing(situation.spec),
            },
        },
    }


def _size(spec: TrainingJobSpec) -> dict[str, str]:
    """What tells attempts of different sizes apart."""
    return {labels.NODES: str(spec.nodes)} if spec.elastic else {}


def _all_or_nothing(spec: TrainingJobSpec) -> Obj:
    """What a scheduler that knows gangs is told: of itself the backend would say the same, but for the priority. Of an
    elastic gang it places what has room, as soon as that is enough: so it is seen how much has.
    """
    scheduling = spec.scheduling
    if scheduling is None or scheduling.scheduler is None:
        return {}
    priority = {"priorityClass": scheduling.priority_class} if scheduling.priority_class else {}
    least = spec.elastic.min_nodes if spec.elastic else spec.nodes
    return {"schedulingPolicy": {"minAvailable": least, **priority}}


def _replicas(situation: Situation) -> Obj:
    replicas = {"Master": _replica(situation, 1, rank_0=True)}
    if situation.spec.nodes > 1:
        replicas["Worker"] = _replica(situation, situation.spec.nodes - 1, rank_0=False)
    return replicas


def _replica(situation: Situation, count: int, *, rank_0: bool) -> Obj:
    return {
        "replicas": count,
        "restartPolicy": "Never",
        "template": pod_template(situation, rank_0=rank_0),
    }
