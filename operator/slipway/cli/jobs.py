"""TrainingJobs from a file, for the commands that need no operator: `slipway plan train`, `slipway render --target`.

Decided here: a job is looked at as if it had just been created, and the checks of the operator that need no cluster are
made first, but for the one on memory: what a podTemplate says of that holds for pods alone.
"""

import time
from dataclasses import dataclass

from ..api.trainingjob import KIND, TrainingJob, TrainingJobSpec
from ..plan.capacity.classes import class_refusal
from ..plan.capacity.devices import Catalog
from ..plan.observed import Obj, Observed, Owner
from ..plan.training import accepted
from ..plan.training.situation import look
from .documents import InvalidFile, of_kinds
from .preview import DEFAULTS, accelerators, owner_of


@dataclass(frozen=True, slots=True)
class Job:
    owner: Owner
    spec: TrainingJobSpec
    metadata: Obj  # as written: a plan reads no labels or annotations
    known: Catalog  # the classes of GPUs that there are


def training_jobs(present: list[Obj]) -> list[Job]:
    """All of those among `present`, at least one. Raises InvalidFile with the job's name and the field's path."""
    known = accelerators(present)
    return [_job(body, known) for body in of_kinds(present, KIND)]


def _job(body: Obj, known: Catalog) -> Job:
    owner = owner_of(body)
    spec = TrainingJob.read({"spec": owner.spec}).spec
    alone = spec.model_copy(update={"pod_template": None})
    early = accepted.early_complaint(look(Observed(owner=owner), alone, time.time(), DEFAULTS))
    if complaint := early or class_refusal(spec, known):
        raise InvalidFile(f"{KIND} {owner.name}: {complaint.message}")
    return Job(owner, spec, body.get("metadata") or {}, known)
