"""Jobs: they complete, fail, restart, run out of restarts, are refused, deleted, and made again."""

from ..acts import JOBS, Create, Delete, Merge, Step, When, claim, job, recipe
from ..fates import Fate
from ..scenario import Scenario

KILLED = '{"failures": [{"rank": 1, "exitCode": -9, "signal": "SIGKILL", "message": "killed"}]}'
WRONG = '{"failures": [{"rank": 0, "exitCode": 2, "message": "the data set is empty"}]}'
GANG = "pytorchjobs.kubeflow.org"

COMPLETE = "TrainingJob/job Complete=True"
FAILED = "TrainingJob/job Failed=True"


# A peer of a rank that has failed waits for it, until somebody ends it.
HANGS = Fate("*-master-0", run_seconds=900.0)
HANGS_ONCE = Fate("job-0-master-0", run_seconds=900.0)

OTHERS_GANG = Step(
    Create(
        {
            "apiVersion": "kubeflow.org/v1",
            "kind": "PyTorchJob",
            "metadata": {"name": "job-0", "namespace": "team"},
            "spec": {"pytorchReplicaSpecs": {}},
        }
    )
)


def fails(pods: str, **more: object) -> Fate:
    return Fate(pods, run_seconds=8.0, exit_code=1, message=KILLED, **more)  # type: ignore[arg-type]


TRAINING = (
    Scenario("job completes", (Step(Create(job())),), settled=(COMPLETE,)),
    Scenario("recipe completes", (Step(Create(recipe())),), settled=(COMPLETE,)),
    Scenario("one pod", (Step(Create(job(nodes=1))),), settled=(COMPLETE,)),
    Scenario("five pods", (Step(Create(job(nodes=5))),), settled=(COMPLETE,)),
    Scenario("gang restarts", (Step(Create(job())),), (fails("job-0-worker-0"), HANGS_ONCE), settled=(COMPLETE,)),
    Scenario("rank 0 fails", (Step(Create(job())),), (fails("job-0-master-0"),), settled=(COMPLETE,)),
    Scenario(
        "restarts run out",
        (Step(Create(job())),),
        (fails("*-worker-0"), HANGS),
        settled=("TrainingJob/job Failed=True:BackoffLimitExceeded",),
    ),
    Scenario(
        "no restart is allowed",
        (Step(Create(job(failurePolicy={"maxRestarts": 0}))),),
        (fails("*-master-0"),),
        settled=("TrainingJob/job Failed=True:BackoffLimitExceeded",),
    ),
    Scenario(
        "recipe is wrong",
        (Step(Create(recipe())),),
        (Fate("job-0-master-0", run_seconds=3.0, exit_code=2, message=WRONG),),
        settled=("TrainingJob/job Failed=True:RecipeError",),
    ),
    Scenario(
        "pod is evicted",
        (Step(Create(job())),),
        (Fate("job-0-worker-0", run_seconds=6.0, exit_code=137, trouble="evicted"), HANGS_ONCE),
        settled=(COMPLETE,),
    ),
    Scenario("two jobs", (Step(Create(job())), Step(Create(job("other", nodes=1)))), (fails("other-0-*"),)),
    Scenario(
        "claim kept",
        (Step(Create(job(output={"size": "1Gi"}))), Step(Delete(JOBS, "job"), when=When(JOBS, "job", "Complete"))),
    ),
    Scenario(
        "claim goes with the job",
        (
            Step(Create(job(output={"size": "1Gi", "whenDeleted": "Delete"}))),
            Step(Delete(JOBS, "job"), when=When(JOBS, "job", "Complete")),
        ),
    ),
    Scenario(
        "deleted while it runs",
        (Step(Create(job())), Step(Delete(JOBS, "job"), when=When(JOBS, "job", "Running"))),
    ),
    Scenario(
        "deleted in the foreground",
        (Step(Create(job())), Step(Delete(JOBS, "job", "Foreground"), when=When(JOBS, "job", "Running"))),
    ),
    Scenario(
        "made again under its name",
        (
            Step(Create(job())),
            Step(Delete(JOBS, "job"), when=When(JOBS, "job", "Running")),
            Step(Create(job(nodes=3)), when=When(JOBS, "job", gone=True)),
        ),
        settled=(COMPLETE,),
    ),
    Scenario(
        "a pod lingers",
        (Step(Create(job())),),
        (fails("job-0-worker-0"), Fate("job-0-master-0", run_seconds=900.0, grace_seconds=60.0)),
        settled=(COMPLETE,),
    ),
    Scenario(
        "made again when it was done",
        (
            Step(Create(job())),
            Step(Delete(JOBS, "job"), when=When(JOBS, "job", "Complete")),
            Step(Create(job()), when=When(JOBS, "job", gone=True)),
        ),
        settled=(COMPLETE,),
    ),
    Scenario(
        "made again with a claim that goes",
        (
            Step(Create(job(output={"whenDeleted": "Delete"}))),
            Step(Delete(JOBS, "job"), when=When(JOBS, "job", "Running")),
            Step(Create(job(output={"whenDeleted": "Delete"})), when=When(JOBS, "job", gone=True)),
        ),
        settled=(COMPLETE,),
    ),
    Scenario(
        "the claim named is not there, then is",
        (Step(Create(job(output={"claim": "mine"}))), Step(Create(claim("mine")), after=12.0)),
        settled=(COMPLETE,),
    ),
    Scenario(
        "the claim's name is taken",
        (
            Step(Create(claim("job-output"))),
            Step(Create(job())),
            Step(Delete("persistentvolumeclaims", "job-output"), after=12.0),
        ),
        settled=(COMPLETE,),
    ),
    Scenario(
        "a kept claim does not fit",
        (
            Step(Create(job(output={"storageClassName": "slow"}))),
            Step(Delete(JOBS, "job"), when=When(JOBS, "job", "Complete")),
            Step(Create(job(output={"storageClassName": "fast"})), when=When(JOBS, "job", gone=True)),
            Step(Delete("persistentvolumeclaims", "job-output"), after=12.0),
        ),
        settled=(COMPLETE,),
    ),
    Scenario(
        "a claim that was kept is not to go",
        (
            Step(Create(job())),
            Step(Delete(JOBS, "job"), when=When(JOBS, "job", "Complete")),
            Step(Create(job(output={"whenDeleted": "Delete"})), when=When(JOBS, "job", gone=True)),
            Step(Delete(JOBS, "job"), after=12.0),
            Step(Create(job()), when=When(JOBS, "job", gone=True)),
        ),
        settled=(COMPLETE,),
    ),
    Scenario(
        "the gang's name is taken",
        (OTHERS_GANG, Step(Create(job())), Step(Delete(GANG, "job-0"), after=12.0)),
        settled=(COMPLETE,),
    ),
    Scenario(
        "the gang's name is taken, and stays so",
        (OTHERS_GANG, Step(Create(job()))),
        settled=("TrainingJob/job Accepted=False:GangConflict",),
    ),
    Scenario(
        "podTemplate is refused",
        (Step(Create(job(podTemplate={"spec": {"nodeSelector": {"a": 5}}}))),),
        settled=("TrainingJob/job Accepted=False:InvalidPodTemplate",),
    ),
    Scenario(
        "podTemplate breaks the policy",
        (Step(Create(job(podTemplate={"spec": {"hostNetwork": True}}))),),
        settled=("TrainingJob/job Accepted=False:InvalidPodTemplate",),
    ),
    Scenario(
        "spec cannot change",
        (
            Step(Create(job())),
            Step(Merge(JOBS, "job", {"spec": {"nodes": 3}}, refused=True), when=When(JOBS, "job", "Running")),
        ),
        settled=(COMPLETE,),
    ),
    Scenario(
        "no node has room",
        (Step(Create(job())),),
        (Fate("job-0-*", trouble="unschedulable"),),
        settled=("TrainingJob/job Running=False:Unschedulable",),
    ),
    Scenario(
        "image cannot be pulled",
        (Step(Create(job())), Step(after=60.0)),
        (Fate("job-0-*", trouble="pull"),),
        settled=("TrainingJob/job Running=False:ImagePullFailed",),
    ),
    Scenario(
        "a volume cannot be mounted",
        (Step(Create(job())), Step(after=60.0)),
        (Fate("job-0-*", trouble="unmounted"),),
        settled=("TrainingJob/job Running=False:VolumesNotMounted",),
    ),
    Scenario(
        "suspended by another hand",
        (
            Step(Create(job())),
            Step(Merge(GANG, "job-0", {"spec": {"runPolicy": {"suspend": True}}}), when=When(GANG, "job-0")),
            Step(Merge(GANG, "job-0", {"spec": {"runPolicy": {"suspend": False}}}), after=15.0),
        ),
        strict=False,
    ),
    Scenario(
        "a pod is deleted by hand",
        (Step(Create(job())), Step(Delete("pods", "job-0-worker-0"), when=When(JOBS, "job", "Running"))),
        strict=False,
        settled=(COMPLETE,),
    ),
    Scenario(
        "a pod is deleted, and no restart is allowed",
        (
            Step(Create(job(failurePolicy={"maxRestarts": 0}))),
            Step(Delete("pods", "job-0-worker-0"), when=When(JOBS, "job", "Running")),
        ),
        (Fate("*-master-0", run_seconds=600.0),),
        strict=False,
        settled=("TrainingJob/job Failed=True:BackoffLimitExceeded",),
    ),
    Scenario(
        "a worker ends well, rank 0 does not",
        (Step(Create(job())),),
        (Fate("job-0-worker-0", run_seconds=3.0), fails("job-0-master-0")),
        settled=(COMPLETE,),
    ),
    Scenario(
        "the gang is deleted when all is done",
        (Step(Create(job())), Step(Delete(GANG, "job-0"), when=When(JOBS, "job", "Complete"), after=3.0)),
        settled=(COMPLETE,),
    ),
    Scenario(
        "the gang is deleted by hand",
        (Step(Create(job())), Step(Delete(GANG, "job-0"), when=When(JOBS, "job", "Running"))),
        strict=False,
        settled=(COMPLETE,),
    ),
    Scenario(
        "the gang is deleted, its pods kept",
        (Step(Create(job())), Step(Delete(GANG, "job-0", "Orphan"), when=When(JOBS, "job", "Running"))),
        strict=False,
        settled=(COMPLETE,),
    ),
    Scenario(
        "the gang's pods are kept, the job goes and is made again",
        (
            Step(Create(job())),
            Step(Delete(GANG, "job-0", "Orphan"), when=When(JOBS, "job", "Running")),
            Step(Delete(JOBS, "job"), after=0.0),
            Step(Create(job(nodes=3)), when=When(JOBS, "job", gone=True), after=5.0),
        ),
        (Fate("job-0-*", run_seconds=600.0, times=2),),
        settled=(COMPLETE,),
    ),
    Scenario(
        "the claim is deleted under the job",
        (
            Step(Create(job())),
            Step(Delete("persistentvolumeclaims", "job-output"), when=When(JOBS, "job", "Running")),
        ),
        strict=False,
        settled=(COMPLETE,),
    ),
)
