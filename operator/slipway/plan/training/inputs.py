"""What a gang reads and does not write: its dataset, and the base model of the recipes that start from one.

Either lies in the image, in an object store, or in a claim, which is mounted read-only into every pod.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ...api.trainingjob import TrainingJobSpec
from .. import names
from ..observed import Ref
from ..volumes import Access, ClaimPath, claim_ref, parse_pvc, readers
from .situation import Situation

PVC_SCHEME = "pvc://"
FILE_SCHEME = "file://"
_NARROWEST_FIRST: tuple[Access, ...] = ("none", "pod", "node", "many")


@dataclass(frozen=True, slots=True)
class Input:
    """`volume` is its name in the pod, `mount` where a claim's directory appears."""

    field: str
    uri: str
    volume: str
    mount: str

    @property
    def claim(self) -> ClaimPath | None:
        """The claim and the path in it, if it lies in one. Raises ValueError when the address leaves its claim."""
        return parse_pvc(self.uri) if self.uri.startswith(PVC_SCHEME) else None

    @property
    def path(self) -> str:
        """What the trainer opens: a path in the pod, or the object store's address as it is."""
        return self.mount if self.uri.startswith(PVC_SCHEME) else self.uri.removeprefix(FILE_SCHEME)


def inputs(spec: TrainingJobSpec) -> tuple[Input, ...]:
    dataset, base = spec.dataset, spec.base_model
    found = (
        Input("spec.dataset.uri", dataset.uri, "dataset", names.DATASET_MOUNT) if dataset else None,
        Input("spec.baseModel.uri", base.uri, "base-model", names.BASE_MODEL_MOUNT) if base else None,
    )
    return tuple(each for each in found if each)


def refs(situation: Situation) -> Iterator[tuple[Input, Ref]]:
    """The inputs that lie in claims."""
    for each in inputs(situation.spec):
        if each.claim:
            yield each, claim_ref(situation.observed.owner.namespace, each.claim.claim)


def access(situation: Situation, ref: Ref) -> Access:
    """Where pods that read the claim can run; "many" while it has not been read."""
    claim = situation.observed.read.get(ref)
    return readers(claim) if claim else "many"


def narrowest(situation: Situation) -> Access:
    """Where pods that read all inputs can run; "many" when none lies in a claim."""
    found = [access(situation, ref) for _, ref in refs(situation)]
    return min(found, key=_NARROWEST_FIRST.index, default="many")
