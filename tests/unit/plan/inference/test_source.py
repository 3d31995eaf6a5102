"""Where the model comes from, and what is said while there is none."""

import pytest

from slipway.api.inferenceservice import InferenceServiceSpec
from slipway.plan.conditions import Finding
from slipway.plan.inference.served import Served
from slipway.plan.inference.source import Missing, resolve
from slipway.plan.observed import Obj, Observed
from slipway.plan.volumes import ClaimPath

from .world import (
    CLAIM,
    JOB,
    JOB_CLAIM,
    applied,
    claim,
    condition,
    from_job,
    job,
    owner,
    said,
    settle,
    spec,
)

COMPLETE = condition("Complete", "True")


def resolved(body: Obj, **read: Obj | None) -> Served | Missing:
    """`read` by the short names job and claim."""
    names = {"job": JOB, "claim": CLAIM, "job_claim": JOB_CLAIM}
    observed = Observed(owner(body), read={names[name]: value for name, value in read.items()})
    found = resolve(InferenceServiceSpec.model_validate(body), observed)
    return found if isinstance(found, Missing) else found.served


def test_uri_asks_for_its_claim() -> None:
    assert resolved(spec()) == Missing(reads=(CLAIM,))


def test_job_is_asked_for_before_its_claim() -> None:
    assert resolved(from_job()) == Missing(reads=(JOB,))
    complete = job(COMPLETE, output={"claim": "stdlib-output", "path": "uid-7/model"})
    assert resolved(from_job(), job=complete) == Missing(reads=(JOB_CLAIM,))


def test_uri_names_claim_and_directory() -> None:
    assert resolved(spec(), claim=claim("ReadWriteMany")) == Served(ClaimPath("models", "llama"), ("ReadWriteMany",))


def test_uri_may_be_the_root_of_the_claim() -> None:
    body = spec(model={"uri": "pvc://models"})
    assert resolved(body, claim=claim()) == Served(ClaimPath("models", ""), ("ReadWriteMany",))


def test_complete_job_names_claim_and_directory() -> None:
    complete = job(COMPLETE, output={"claim": "stdlib-output", "path": "uid-7/model"})
    found = resolved(from_job(), job=complete, job_claim=claim("ReadWriteOnce"))
    at = ClaimPath("stdlib-output", "uid-7/model")
    assert found == Served(at, ("ReadWriteOnce",), "stdlib", "uid-7")


@pytest.mark.parametrize(
    ("modes", "access", "read_only"),
    [
        (("ReadOnlyMany",), "many", True),
        (("ReadWriteOnce", "ReadOnlyMany"), "many", False),
        (("ReadWriteMany",), "many", False),
        (("ReadWriteOnce",), "node", False),
        (("ReadWriteOncePod",), "pod", False),
    ],
)
def test_access_modes_decide_where_pods_may_run(modes: tuple[str, ...], access: str, read_only: bool) -> None:
    found = resolved(spec(), claim=claim(*modes))
    assert isinstance(found, Served)
    assert (found.access, found.read_only) == (access, read_only)


def test_missing_job() -> None:
    assert resolved(from_job(), job=None) == Missing(
        Finding(
            "TrainingJobNotFound",
            "spec.model.from.trainingJob: the namespace has no TrainingJob 'stdlib': create it, or name another",
        )
    )


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (job(condition("Ready", "False", "Restarting")), "Restarting"),
        (job(condition("Complete", "False"), condition("Ready", "False", "PodsRunning")), "PodsRunning"),
        (job(), "not looked at yet"),
        ({}, "not looked at yet"),
    ],
)
def test_unfinished_job_is_waited_for(body: Obj, says: str) -> None:
    message = f"waiting for TrainingJob 'stdlib' to complete; it says: {says}"
    assert resolved(from_job(), job=body) == Missing(Finding("WaitingForTrainingJob", message), watched=True)


def test_failed_job_is_quoted() -> None:
    failed = job(condition("Failed", "True", "BudgetSpent", "rank 1 was killed"), condition("Ready", "False"))
    message = "spec.model.from.trainingJob: TrainingJob 'stdlib' failed (BudgetSpent): rank 1 was killed"
    assert resolved(from_job(), job=failed) == Missing(Finding("TrainingJobFailed", message), watched=True)


def test_condition_failed_that_is_false_is_no_failure() -> None:
    found = resolved(from_job(), job=job(condition("Failed", "False"), condition("Ready", "False", "Running")))
    assert isinstance(found, Missing)
    assert found.finding is not None
    assert found.finding.reason == "WaitingForTrainingJob"


def test_complete_job_without_output() -> None:
    message = (
        "spec.model.from.trainingJob: TrainingJob 'stdlib' is Complete but reports no output: "
        "serve its claim with model.uri"
    )
    expected = Missing(Finding("TrainingJobHasNoOutput", message), watched=True)
    assert resolved(from_job(), job=job(COMPLETE)) == expected


@pytest.mark.parametrize(
    ("body", "field", "names"),
    [
        (spec(), "spec.model.uri", {"claim": None}),
        (
            from_job(),
            "spec.model.from.trainingJob",
            {"job": job(COMPLETE, output={"claim": "models", "path": "m"}), "claim": None},
        ),
    ],
)
def test_missing_claim_is_named_with_the_field(body: Obj, field: str, names: dict[str, Obj | None]) -> None:
    found = resolved(body, **names)
    message = f"{field}: the namespace has no PersistentVolumeClaim 'models': create it, or name another"
    assert found == Missing(Finding("ClaimNotFound", message))


def test_claim_that_is_being_deleted() -> None:
    found = resolved(spec(), claim=claim(deletionTimestamp="2027-01-15T08:00:00Z"))
    assert isinstance(found, Missing)
    assert found.finding is not None
    assert found.finding.reason == "ClaimTerminating"


@pytest.mark.parametrize(
    ("fields", "field", "most"),
    [
        ({"replicas": 2}, "spec.replicas", 2),
        ({"replicas": 1, "scaling": {"maxReplicas": 3}}, "spec.scaling.maxReplicas", 3),
    ],
)
def test_one_pod_claim_refuses_more_replicas(fields: Obj, field: str, most: int) -> None:
    message = (
        f"{field} is {most}, but PersistentVolumeClaim 'models' is ReadWriteOncePod, which one pod can mount: "
        f"set {field} to 1, or use a claim with another access mode"
    )
    found = resolved(spec(**fields), claim=claim("ReadWriteOncePod"))
    assert found == Missing(Finding("ClaimAllowsOnePod", message))


@pytest.mark.parametrize("fields", [{"replicas": 0}, {"replicas": 1}, {"replicas": 5, "scaling": {"maxReplicas": 1}}])
def test_one_pod_claim_allows_one_replica_or_none(fields: Obj) -> None:
    body = spec(**fields)
    assert isinstance(resolved(body, claim=claim("ReadWriteOncePod")), Served)


# The same, as a plan


@pytest.mark.parametrize(
    ("objects", "reason", "look_again"),
    [
        ({JOB: None}, "TrainingJobNotFound", True),
        ({JOB: job(condition("Ready", "False", "Running"))}, "WaitingForTrainingJob", False),
        ({JOB: job(condition("Failed", "True"))}, "TrainingJobFailed", False),
        ({JOB_CLAIM: None}, "ClaimNotFound", True),
    ],
)
def test_without_a_model_nothing_is_touched(objects: Obj, reason: str, look_again: bool) -> None:
    outcome = settle(from_job(), objects=objects)
    assert (outcome.apply, outcome.create, outcome.delete) == ((), (), ())
    assert (outcome.look_again, outcome.requeue_after) == (look_again, None)
    assert said(outcome, "Accepted")[:2] == ("True", "Accepted")
    assert said(outcome, "ModelReady")[:2] == ("False", reason)
    assert said(outcome, "Ready") == ("False", reason, said(outcome, "ModelReady")[2])


def test_model_directory_is_served_from_the_whole_claim() -> None:
    template = applied(settle(from_job()), "Deployment")["spec"]["template"]["spec"]
    assert template["volumes"][0] == {"name": "model", "persistentVolumeClaim": {"claimName": "stdlib-output"}}
    assert template["containers"][0]["args"][0] == "/slipway/model/uid-7/model"
    assert template["initContainers"][0]["command"][-1] == "/slipway/model/uid-7/model"
