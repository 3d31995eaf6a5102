"""What a service serves, as its status records it: the record outlives the TrainingJob that wrote the model.

Without it a service whose job was deleted could not be rendered any more, and replicas, scaling and engine arguments
would stand still. It is written when the Deployment is applied, so it says what pods were made from, not what is asked
for; and it has the claim's access modes, because a claim that is gone cannot be asked for them.
"""

from dataclasses import dataclass

from ..observed import Obj
from ..volumes import ClaimPath

FIELD = "model"  # of the status


@dataclass(frozen=True, slots=True)
class Served:
    """`training_job` and its uid are "" where spec.model.uri named the place."""

    at: ClaimPath
    access_modes: tuple[str, ...]
    training_job: str = ""
    training_job_uid: str = ""

    def is_replaced_by(self, other: "Served") -> bool:
        """Whether `other` is of a TrainingJob of the same name that was made anew: nobody changed the spec for it."""
        same_name = bool(self.training_job) and self.training_job == other.training_job
        return same_name and self.training_job_uid != other.training_job_uid


def recorded(status: Obj) -> Served | None:
    """What the status says is served; None before the first time."""
    found = status.get(FIELD)
    if not found:
        return None
    return Served(
        ClaimPath(found["claim"], found["path"]),
        tuple(found["accessModes"]),
        found.get("trainingJob", ""),
        found.get("trainingJobUid", ""),
    )


def record(served: Served) -> Obj:
    """`served` as the status holds it."""
    place: Obj = {"claim": served.at.claim, "path": served.at.path, "accessModes": list(served.access_modes)}
    if not served.training_job:
        return place
    return {**place, "trainingJob": served.training_job, "trainingJobUid": served.training_job_uid}


def address(at: ClaimPath) -> str:
    """As spec.model.uri takes it."""
    return f"pvc://{at.claim}/{at.path}" if at.path else f"pvc://{at.claim}"
