"""Gangs that run with fewer nodes than they would like: they shrink, wait, grow, and come to rest."""

from typing import Any

from ..acts import JOBS, Create, Merge, Step, When, job, quota
from ..fates import Fate
from ..scenario import Scenario
from .hindered import SETTLED_SECONDS
from .training import COMPLETE, HANGS_ONCE, fails

LONG = 150.0  # more than it takes to find out that there is no room


def elastic(least: int = 1, **more: Any) -> Any:
    return job(nodes=3, elastic={"minNodes": least, "waitSeconds": 15, **more})


ROOMLESS = Fate("job-0-worker-1", trouble="unschedulable")
WAITING = Fate("job-0-*", run_seconds=LONG)

ELASTIC = (
    Scenario("shrinks where there is no room", (Step(Create(elastic())),), (ROOMLESS, WAITING), settled=(COMPLETE,)),
    Scenario(
        "shrinks where a quota has no room",
        (Step(Create(quota({"pods": 2}))), Step(Create(elastic()), after=SETTLED_SECONDS)),
        (WAITING,),
        settled=(COMPLETE,),
    ),
    Scenario(
        "shrinks twice",
        (Step(Create(elastic())),),
        (ROOMLESS, Fate("job-1-worker-0", trouble="unschedulable"), Fate("job-[01]-*", run_seconds=LONG)),
        settled=(COMPLETE,),
    ),
    Scenario(
        "waits for its fewest nodes",
        (Step(Create(elastic(2))), Step(after=60.0)),
        (Fate("job-0-worker-*", trouble="unschedulable"), Fate("job-0-master-0")),
        settled=("TrainingJob/job Running=False:Unschedulable",),
    ),
    Scenario(
        "shrinks and grows",
        (Step(Create(elastic(growAfterSeconds=30))),),
        (ROOMLESS, Fate("job-[01]-*", run_seconds=LONG)),
        strict=False,  # how long it ran, by whose clock
        settled=(COMPLETE,),
    ),
    Scenario(
        "grows, finds no room, and shrinks again",
        (Step(Create(elastic(growAfterSeconds=30))),),
        (Fate("job-[02]-worker-1", trouble="unschedulable"), Fate("job-[012]-*", run_seconds=LONG)),
        strict=False,
        settled=(COMPLETE,),
    ),
    Scenario(
        "fails small, and begins again with all",
        (Step(Create(elastic())),),
        (ROOMLESS, fails("job-1-worker-0"), Fate("job-[01]-*", run_seconds=LONG)),
        settled=(COMPLETE,),
    ),
    Scenario(
        "suspended while it would shrink",
        (
            Step(Create(elastic())),
            Step(Merge(JOBS, "job", {"spec": {"suspend": True}}), after=16.0),
            Step(
                Merge(JOBS, "job", {"spec": {"suspend": False}}),
                when=When(JOBS, "job", "Running", "False", reason="Suspended"),
            ),
        ),
        (ROOMLESS, WAITING, HANGS_ONCE),
        strict=False,  # which came first
        settled=(COMPLETE,),
    ),
)
