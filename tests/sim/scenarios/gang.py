"""What becomes of a gang: failure rules and their budgets."""

from ..acts import Create, Step, job, policy
from ..fates import Fate
from ..scenario import Scenario
from .training import COMPLETE, HANGS, HANGS_ONCE, fails

SIGKILLED = {"exitCodes": [137]}


GANG = (
    Scenario(
        "a rule fails the job",
        (Step(Create(job(failurePolicy=policy({**SIGKILLED, "action": "Fail"})))),),
        (fails("job-0-worker-0"), HANGS_ONCE),
        settled=("TrainingJob/job Failed=True:FailedByRule",),
    ),
    Scenario(
        "a rule restarts outside the budget",
        (
            Step(
                Create(
                    job(
                        failurePolicy=policy(
                            {"reasons": ["Evicted"], "action": "Fail"},
                            {"message": "killed", "action": "RestartGangFree", "maxRestarts": 3},
                            maxRestarts=0,
                        )
                    )
                )
            ),
        ),
        (fails("job-[01]-worker-0"), Fate("job-[01]-master-0", run_seconds=900.0)),
        settled=(COMPLETE,),
    ),
    Scenario(
        "a rule's own budget runs out",
        (Step(Create(job(failurePolicy=policy({**SIGKILLED, "action": "RestartGangFree", "maxRestarts": 1})))),),
        (fails("*-worker-0"), HANGS),
        settled=("TrainingJob/job Failed=True:BackoffLimitExceeded",),
    ),
    Scenario(
        "a node is left out",
        (Step(Create(job(failurePolicy=policy(excludeNodeAfter=1)))),),
        (fails("job-0-worker-0"), HANGS_ONCE),
        strict=False,  # which node it was
        settled=(COMPLETE,),
    ),
    Scenario(
        "the deadline comes",
        (Step(Create(job(deadlineSeconds=8))),),
        strict=False,  # it may be done while nobody looks
        settled=("TrainingJob/job Failed=True:DeadlineExceeded",),
    ),
    Scenario(
        "the deadline counts all attempts",
        (Step(Create(job(deadlineSeconds=14))),),
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
)
