"""Keys, one per custom resource: what the queue holds and a visit is about; the labels by which children name one."""

from collections.abc import Mapping
from typing import NamedTuple

from ..kube.kinds import INFERENCE_SERVICE, TRAINING_JOB
from ..plan.labels import INFERENCE_SERVICE as INFERENCE_SERVICE_LABEL
from ..plan.labels import TRAINING_JOB as TRAINING_JOB_LABEL


class Key(NamedTuple):
    """A custom resource of ours, by kind and name."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}"


OWNER_LABELS = ((TRAINING_JOB_LABEL, TRAINING_JOB.kind), (INFERENCE_SERVICE_LABEL, INFERENCE_SERVICE.kind))


def owner_of(namespace: str, labels: Mapping[str, str]) -> Key | None:
    """The key that a child's labels name, if any. A child is always in its owner's namespace."""
    for label, kind in OWNER_LABELS:
        if name := labels.get(label):
            return Key(kind, namespace, name)
    return None
