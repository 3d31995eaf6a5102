"""spec.queue: the gang waits in Kueue before every attempt.

Kueue is told by a label of the PyTorchJob, and holds and releases it by `runPolicy.suspend`: the gang is made
suspended, and never touched after that, so there is nothing to fight over. What is queued does not run: no clock goes,
and when Kueue takes the gang's place away and puts it back into the queue, that its pods go is no failure. A restart is
another gang, and queues again.
"""

from ...api.trainingjob import TrainingJobSpec
from .. import conditions
from ..conditions import Condition, Finding, false, true
from ..observed import Obj
from .ended import End
from .situation import Situation

QUEUE = "kueue.x-k8s.io/queue-name"
PRIORITY = "kueue.x-k8s.io/priority-class"
REQUIRED_TOPOLOGY = "kueue.x-k8s.io/podset-required-topology"
PREFERRED_TOPOLOGY = "kueue.x-k8s.io/podset-preferred-topology"
GROUP = "kueue.x-k8s.io/podset-group-name"  # rank 0 and the others are two pod sets, to be placed as one

QUEUED = "Queued"  # the reason of Running
WAITING = "WaitingForAdmission"
ADMITTED = "Admitted"
NOT_QUEUED = "NotQueued"
NO_QUEUE = "NoQueue"


def gang_labels(spec: TrainingJobSpec) -> dict[str, str]:
    """Labels of the PyTorchJob."""
    priority = spec.scheduling.queue_priority_class if spec.scheduling else None
    given = {QUEUE: spec.queue, PRIORITY: priority if spec.queue else None}
    return {name: value for name, value in given.items() if value is not None}


def pod_annotations(spec: TrainingJobSpec) -> dict[str, str]:
    """Annotations of the pod templates."""
    topology = spec.scheduling.topology if spec.scheduling else None
    if topology is None:
        return {}
    given = {REQUIRED_TOPOLOGY: topology.required, PREFERRED_TOPOLOGY: topology.preferred}
    group = {GROUP: "gang"} if spec.nodes > 1 else {}
    return {name: value for name, value in given.items() if value is not None} | group


def run_policy(spec: TrainingJobSpec) -> Obj:
    """Of a gang that is made now."""
    return {"suspend": True} if spec.queue else {}


def waiting(situation: Situation) -> Finding:
    """What a gang that is made, or about to be, waits for."""
    name, queue = situation.gang_ref.name, situation.spec.queue
    why = f"its events say why if this lasts: kubectl describe pytorchjob {name}"
    return Finding(QUEUED, f"attempt {situation.attempt} waits in queue {queue} until Kueue admits it; {why}")


def condition(situation: Situation, running: Condition, end: End | None) -> Condition:
    """Queued, beside what Running says."""
    if situation.spec.queue is None:
        return false(conditions.QUEUED, NO_QUEUE)
    if end is not None:
        return false(conditions.QUEUED, end.reason)
    if running.reason == QUEUED:
        return true(conditions.QUEUED, WAITING, running.message)
    return false(conditions.QUEUED, ADMITTED if situation.gang else NOT_QUEUED)
