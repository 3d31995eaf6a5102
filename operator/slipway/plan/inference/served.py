"""What a service serves, as its status records it: the record outlives the TrainingJob that wrote the model.

Without it a service whose job was deleted could not be rendered any more, and replicas, scaling and engine arguments
would stand still. It is written when the Deployment is applied, so it says what pods were made from, not what is asked
for; and it has the claim's access modes, because a claim that is gone cannot be asked for them.
"""

from dataclasses import dataclass

from ..observed import Obj
from ..volumes import Access, ClaimPath, readers_by

FIELD = "model"  # of the status
NARROWER: tuple[Access, ...] = ("many", "node", "pod", "none")


@dataclass(frozen=True, slots=True)
class Place:
    """A directory that a replica mounts, and the access modes of its claim."""

    at: ClaimPath
    access_modes: tuple[str, ...]

    @property
    def access(self) -> Access:
        """Where pods that mount it may run."""
        return readers_by(self.access_modes)

    @property
    def read_only(self) -> bool:
        """Whether the claim allows no writer at all: some drivers want to be told so."""
        return set(self.access_modes) == {"ReadOnlyMany"}


@dataclass(frozen=True, slots=True)
class Adapter(Place):
    """A low-rank adapter on the model, and its rank, for which the engine reserves memory."""

    rank: int


@dataclass(frozen=True, slots=True)
class Served(Place):
    """The model's place. `training_job` and its uid are "" where spec.model.uri named it. With an `adapter`, that is
    what the job wrote, and `at` the model that it was trained for.
    """

    training_job: str = ""
    training_job_uid: str = ""
    adapter: Adapter | None = None

    @property
    def places(self) -> tuple[Place, ...]:
        """All that a replica mounts, the model's first."""
        return (self, self.adapter) if self.adapter else (self,)

    @property
    def narrowest(self) -> Place:
        """The one that leaves the pods the least choice."""
        return max(self.places, key=lambda place: NARROWER.index(place.access))

    def is_replaced_by(self, other: "Served") -> bool:
        """Whether `other` is of a TrainingJob of the same name that was made anew: nobody changed the spec for it."""
        same_name = bool(self.training_job) and self.training_job == other.training_job
        return same_name and self.training_job_uid != other.training_job_uid


def recorded(status: Obj) -> Served | None:
    """What the status says is served; None before the first time, and where somebody else wrote what is no record."""
    found = status.get(FIELD)
    if not isinstance(found, dict) or not _is_record(found):
        return None
    return Served(
        ClaimPath(found["claim"], found["path"]),
        tuple(found["accessModes"]),
        found.get("trainingJob", ""),
        found.get("trainingJobUid", ""),
        _adapter(found["adapter"]) if found.get("adapter") else None,
    )


def _adapter(found: Obj) -> Adapter:
    return Adapter(ClaimPath(found["claim"], found["path"]), tuple(found["accessModes"]), found["rank"])


def _is_record(found: Obj) -> bool:
    texts = (found.get("trainingJob", ""), found.get("trainingJobUid", ""))
    return _is_place(found) and all(isinstance(text, str) for text in texts) and _is_adapter(found.get("adapter"))


def _is_place(found: Obj) -> bool:
    modes = found.get("accessModes")
    texts = (found.get("claim"), found.get("path"))
    return isinstance(modes, list) and all(isinstance(text, str) for text in (*texts, *modes))


def _is_adapter(found: object) -> bool:
    return found is None or (isinstance(found, dict) and _is_place(found) and isinstance(found.get("rank"), int))


def record(served: Served) -> Obj:
    """`served` as the status holds it."""
    place = _place(served)
    if served.adapter:
        place["adapter"] = {**_place(served.adapter), "rank": served.adapter.rank}
    if not served.training_job:
        return place
    return {**place, "trainingJob": served.training_job, "trainingJobUid": served.training_job_uid}


def _place(place: Place) -> Obj:
    return {"claim": place.at.claim, "path": place.at.path, "accessModes": list(place.access_modes)}


def described(served: Served) -> str:
    """For a person: the places, and what lies there."""
    if served.adapter is None:
        return address(served.at)
    return f"{address(served.adapter.at)}, an adapter for {address(served.at)}"


def address(at: ClaimPath) -> str:
    """As spec.model.uri takes it."""
    return f"pvc://{at.claim}/{at.path}" if at.path else f"pvc://{at.claim}"
