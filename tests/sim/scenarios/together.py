"""Jobs and the services that serve what they made."""

from ..acts import JOBS, SERVICES, Create, Delete, Merge, Step, When, claim, job, service
from ..fates import Fate
from ..scenario import Scenario
from .training import fails

FROM_JOB = service(model={"from": {"trainingJob": "job"}})
SERVED = ("InferenceService/serve Ready=True:Serving", "TrainingJob/job Complete=True")

TOGETHER = (
    Scenario("service of a job", (Step(Create(job())), Step(Create(FROM_JOB))), settled=SERVED),
    Scenario("service before its job", (Step(Create(FROM_JOB)), Step(Create(job()), after=12.0)), settled=SERVED),
    Scenario("service of a job that restarts", (Step(Create(job())), Step(Create(FROM_JOB))), (fails("job-0-*"),)),
    Scenario(
        "service of a job that fails",
        (Step(Create(job())), Step(Create(FROM_JOB))),
        (fails("*-master-0"),),
        settled=("InferenceService/serve Ready=False:TrainingJobFailed",),
    ),
    Scenario(
        "both are deleted",
        (
            Step(Create(job(output={"whenDeleted": "Delete"}))),
            Step(Create(FROM_JOB)),
            Step(Delete(JOBS, "job"), when=When(SERVICES, "serve", "Ready")),
            Step(Delete(SERVICES, "serve"), after=1.0),
        ),
    ),
    Scenario(
        "the job of a service goes",
        (
            Step(Create(job())),
            Step(Create(FROM_JOB)),
            Step(Delete(JOBS, "job"), when=When(SERVICES, "serve", "Ready")),
            Step(Merge(SERVICES, "serve", {"spec": {"replicas": 2}}), after=5.0),
        ),
    ),
    Scenario(
        "the job is made again under its service",
        (
            Step(Create(job())),
            Step(Create(FROM_JOB)),
            Step(Delete(JOBS, "job"), when=When(SERVICES, "serve", "Ready")),
            Step(Create(job(nodes=1)), when=When(JOBS, "job", gone=True)),
        ),
        settled=SERVED,
    ),
    Scenario(
        "from the claim to the job",
        (
            Step(Create(claim("models", "ReadWriteMany"))),
            Step(Create(service())),
            Step(Create(job())),
            Step(
                Merge(SERVICES, "serve", {"spec": {"model": {"uri": None, "from": {"trainingJob": "job"}}}}),
                when=When(SERVICES, "serve", "Ready"),
            ),
        ),
        settled=SERVED,
    ),
    Scenario(
        "many at once",
        (
            Step(Create(claim("models", "ReadWriteMany"))),
            *(Step(Create(job(f"job-{n}", nodes=1 + n % 2)), after=0.0) for n in range(4)),
            *(Step(Create(service(f"serve-{n}")), after=0.0) for n in range(3)),
        ),
        (fails("job-1-0-*"), Fate("job-2-0-master-0", run_seconds=3.0, exit_code=2, message="")),
    ),
)
