"""What becomes of a gang: failure rules and their budgets, nodes, deadlines, suspension."""

from ..acts import JOBS, Create, Merge, Step, When, job, pauses
from ..fates import SUCCESS, Fate
from ..scenario import Scenario
from .training import COMPLETE, HANGS, HANGS_ONCE, fails
from .training import GANG as GANG_KIND

SUSPEND, RESUME = (Merge(JOBS, "job", {"spec": {"suspend": suspend}}) for suspend in (True, False))
SUSPENDED = "TrainingJob/job Running=False:Suspended"
PUT_BACK = Merge(GANG_KIND, "job-0", {"spec": {"runPolicy": {"suspend": True}}})
GOES = {"whenDeleted": "Delete"}
SIGKILLED = {"exitCodes": [137]}


GANG = (
    Scenario(
        "a rule fails the job",
        (Step(Create(job(failurePolicy=pauses({**SIGKILLED, "action": "Fail"})))),),
        (fails("job-0-worker-0"), HANGS_ONCE),
        strict=False,  # what the pod said may come too late to count
        settled=("TrainingJob/job Failed=True:FailedByRule",),
    ),
    Scenario(
        "a rule restarts outside the budget",
        (
            Step(
                Create(
                    job(
                        failurePolicy=pauses(
                            {"reasons": ["Evicted"], "action": "Fail"},
                            {"message": "killed", "action": "RestartGangFree", "maxRestarts": 3},
                            maxRestarts=0,
                        )
                    )
                )
            ),
        ),
        (fails("job-[01]-worker-0"), Fate("job-[01]-master-0", run_seconds=900.0)),
        strict=False,  # what the pod said may come too late to count
        settled=(COMPLETE,),
    ),
    Scenario(
        "a rule's own budget runs out",
        (Step(Create(job(failurePolicy=pauses({**SIGKILLED, "action": "RestartGangFree", "maxRestarts": 1})))),),
        (fails("*-worker-0"), HANGS),
        strict=False,  # what the pod said may come too late to count
        settled=("TrainingJob/job Failed=True:BackoffLimitExceeded",),
    ),
    Scenario(
        "a node is left out",
        (Step(Create(job(failurePolicy=pauses(excludeNodeAfter=1)))),),
        (fails("job-0-worker-0"), HANGS_ONCE),
        strict=False,  # which node it was
        settled=(COMPLETE,),
    ),
    Scenario(
        "the deadline comes",
        (Step(Create(job(deadlineSeconds=8))),),
        (Fate("job-*"),),  # they run until somebody ends them: the backend has not noticed any end
        strict=False,
        settled=("TrainingJob/job Failed=True:DeadlineExceeded",),
    ),
    Scenario(
        "the deadline counts all attempts",
        (Step(Create(job(deadlineSeconds=24))),),
        (fails("job-0-worker-0"), HANGS_ONCE),
        strict=False,
        settled=("TrainingJob/job Failed=True:DeadlineExceeded",),
    ),
    Scenario(
        "pods do not start in time",
        (Step(Create(job(startDeadlineSeconds=10))),),
        (Fate("job-0-worker-0", trouble="unschedulable"),),
        strict=False,  # what it waited for, in the end
        settled=("TrainingJob/job Failed=True:StartDeadlineExceeded",),
    ),
    Scenario("begun suspended", (Step(Create(job(suspend=True))),), settled=(SUSPENDED,)),
    Scenario(
        "suspended while it runs",
        (Step(Create(job())), Step(SUSPEND, when=When(JOBS, "job", "Running"))),
        (Fate("job-*", run_seconds=900.0),),
        settled=(SUSPENDED,),
    ),
    Scenario(
        "suspended, and goes on",
        (
            Step(Create(job())),
            Step(SUSPEND, when=When(JOBS, "job", "Running")),
            Step(RESUME, when=When(JOBS, "job", "Running", "False", reason="Suspended")),
        ),
        (Fate("job-0-*", run_seconds=900.0),),
        settled=(COMPLETE,),
    ),
    Scenario(
        "goes on before the last pod has gone",
        (
            Step(Create(job())),
            Step(SUSPEND, when=When(JOBS, "job", "Running")),
            Step(RESUME, after=0.3),
            Step(SUSPEND, after=2.0),
            Step(RESUME, after=0.1),
        ),
        (Fate("job-*", run_seconds=25.0), Fate("job-0-master-0", run_seconds=900.0, grace_seconds=20.0)),
        strict=False,  # how many of these anybody saw
        settled=(COMPLETE,),
    ),
    Scenario(
        "suspended while it restarts",
        (
            Step(Create(job())),
            Step(SUSPEND, when=When(JOBS, "job", "Running", "False", reason="Restarting")),
            Step(RESUME, when=When(JOBS, "job", "Running", "False", reason="Suspended"), after=5.0),
        ),
        (fails("job-0-worker-0"), HANGS_ONCE),
        strict=False,  # whether the next gang was made by then
        settled=(COMPLETE,),
    ),
    Scenario(
        "deleted when its time has come",
        (Step(Create(job(ttlSecondsAfterFinished=8))), Step(when=When(JOBS, "job", gone=True))),
        strict=False,  # clocks that jump
    ),
    Scenario(
        "deleted at once when it fails, with its claim",
        (
            Step(Create(job(ttlSecondsAfterFinished=0, failurePolicy=pauses(maxRestarts=0), output=GOES))),
            Step(when=When(JOBS, "job", gone=True)),
            Step(Create(job(output=GOES)), after=1.0),
        ),
        (Fate("job-0-master-0", run_seconds=8.0, exit_code=1, times=1),),
        strict=False,  # whose pod it is that fails
        settled=(COMPLETE,),
    ),
    Scenario(
        "the gang stalls",
        (Step(Create(job(stall={"factor": 1, "floorSeconds": 1}))), Step(after=200.0)),
        (Fate("job-0-master-0", run_seconds=900.0, reports=2), Fate("job-0-worker-0")),
        strict=False,  # a gang of which no report was heard does not
        settled=(COMPLETE,),
    ),
    Scenario("waits in a queue", (Step(Create(job(queue="gpus"))),), settled=(COMPLETE,)),
    Scenario(
        "restarts through the queue",
        (Step(Create(job(queue="gpus"))),),
        (fails("job-0-worker-0"), HANGS_ONCE),
        settled=(COMPLETE,),
    ),
    Scenario(
        "put back into the queue",
        (
            Step(Create(job(queue="gpus", failurePolicy=pauses(maxRestarts=0)))),
            Step(PUT_BACK, when=When(JOBS, "job", "Running"), after=2.0),
            Step(PUT_BACK, after=25.0),
        ),
        (
            Fate("job-0-master-0", run_seconds=200.0, message=SUCCESS, times=2),
            Fate("job-0-worker-0", run_seconds=200.0, times=2),
        ),
        settled=(COMPLETE, "TrainingJob/job Queued=False"),
    ),
    Scenario(
        "suspended in the queue, and goes on",
        (
            Step(Create(job(queue="gpus"))),
            Step(SUSPEND, when=When(GANG_KIND, "job-0"), after=0.1),  # Queued is missed by an operator that is down
            Step(RESUME, when=When(JOBS, "job", "Running", "False", reason="Suspended")),
        ),
        strict=False,  # whether it was admitted before
        settled=(COMPLETE,),
    ),
)
