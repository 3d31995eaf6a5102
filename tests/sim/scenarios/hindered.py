"""What stands in the way and is mended by somebody else: quotas, policies, webhooks, kinds that come late or go.

Nothing of this is watched: who is refused must come back by itself.
"""

from ..acts import (
    JOBS,
    SERVICES,
    Create,
    Delete,
    Install,
    Merge,
    Step,
    Uninstall,
    When,
    deaf_webhook,
    job,
    policy,
    quota,
    service,
)
from ..apiserver.kinds import ADMISSION
from ..fates import Fate
from ..scenario import Scenario
from .serving import MODELS, READY, SCALING, SERVING_END
from .training import COMPLETE, GANG, fails

POLICY, BINDING, WEBHOOK = (resource.full for resource in ADMISSION)
SCALED_OBJECTS = "scaledobjects.keda.sh"
QUOTAS = "resourcequotas"
SETTLED_SECONDS = 10.0  # until the quota controller has noticed a new quota, in any timing


def refused(reason: str, kind: str = JOBS, name: str = "job", condition: str = "Accepted") -> When:
    return When(kind, name, condition, "False", reason=reason)


def raised(hard: dict[str, int]) -> Merge:
    return Merge(QUOTAS, "small", {"spec": quota(hard)["spec"]})


def of_kind(resource: str, most: int) -> dict[str, int]:
    return {f"count/{resource}": most}


def mended(name: str, hard: dict[str, int], enough: dict[str, int], reason: str, **more: object) -> Scenario:
    """A job that a quota refuses, and that goes on when the quota is raised."""
    steps = (
        Step(Create(quota(hard))),
        Step(Create(job()), after=SETTLED_SECONDS),
        Step(raised(enough), when=refused(reason), after=4.0),
    )
    return Scenario(name, steps, settled=(COMPLETE,), **more)  # type: ignore[arg-type]


def by_policy(name: str, words: str, group: str, plural: str) -> tuple[Step, Step]:
    return tuple(Step(Create(body)) for body in policy(name, words, group, plural))  # type: ignore[return-value]


HINDERED = (
    mended("a quota has no room for pods, then has", {"pods": 0}, {"pods": 4}, "PodsRefused"),
    mended("a quota has no room for the gang, then has", of_kind(GANG, 0), of_kind(GANG, 2), "Refused"),
    mended(
        "a quota has no room for the claim, then has",
        {"persistentvolumeclaims": 0},
        {"persistentvolumeclaims": 2},
        "ClaimRefused",
    ),
    Scenario(
        "a quota has no room, and stays so",
        (Step(Create(quota({"pods": 0}))), Step(Create(job()), after=SETTLED_SECONDS)),
        settled=("TrainingJob/job Accepted=False:PodsRefused",),
    ),
    Scenario(
        "two jobs in a quota of one",
        (
            Step(Create(quota({"pods": 2}))),
            Step(Create(job()), after=SETTLED_SECONDS),
            Step(Create(job("other")), when=When("pods", "job-0-worker-0")),
        ),
        settled=(COMPLETE, "TrainingJob/other Complete=True"),
    ),
    Scenario(
        "a gang that is larger than the quota, which is raised",
        (
            Step(Create(quota({"pods": 1}))),
            Step(Create(job()), after=SETTLED_SECONDS),
            Step(raised({"pods": 2}), when=refused("PodsRefused", condition="Running"), after=4.0),
        ),
        (Fate("*-master-0", run_seconds=200.0), Fate("*-worker-*", run_seconds=100.0)),
        settled=(COMPLETE,),
    ),
    Scenario(
        "a gang restarts in a quota of its own size",
        (Step(Create(quota({"pods": 2}))), Step(Create(job()), after=SETTLED_SECONDS)),
        (fails("job-0-worker-0"), Fate("job-0-master-0", run_seconds=900.0)),
        settled=(COMPLETE,),
    ),
    Scenario(
        "a quota has no room for the Deployment, then has",
        (
            MODELS,
            Step(Create(quota(of_kind("deployments.apps", 0)))),
            Step(Create(service()), after=SETTLED_SECONDS),
            Step(
                raised(of_kind("deployments.apps", 1)),
                when=refused("DeploymentRefused", SERVICES, "serve", "Ready"),
                after=12.0,
            ),
        ),
        settled=SERVING_END,
    ),
    Scenario(
        "a quota has no room for another replica, then has",
        (
            MODELS,
            Step(Create(quota({"pods": 1}))),
            Step(Create(service()), after=SETTLED_SECONDS),
            Step(Merge(SERVICES, "serve", {"spec": {"replicas": 2}}), when=READY),
            Step(raised({"pods": 2}), when=refused("PodsRefused", SERVICES, "serve", "Available"), after=4.0),
        ),
        settled=(*SERVING_END, "InferenceService/serve Available=True"),
    ),
    Scenario(
        "a policy refuses pods, then is taken away",
        (
            *by_policy("sunday", "this team makes no pods on Sundays", "", "pods"),
            Step(Create(job())),
            Step(Delete(BINDING, "sunday"), when=refused("PodsRefused"), after=12.0),
        ),
        settled=(COMPLETE,),
    ),
    Scenario(
        "a policy refuses gangs, then is taken away",
        (
            *by_policy("sunday", "this team trains nothing on Sundays", "kubeflow.org", "pytorchjobs"),
            Step(Create(job())),
            Step(Delete(POLICY, "sunday"), when=refused("Refused"), after=25.0),
        ),
        settled=(COMPLETE,),
    ),
    Scenario(
        "the backend's webhook is deaf, then answers",
        (
            Step(Create(deaf_webhook("backend", "kubeflow.org", "pytorchjobs"))),
            Step(Create(job())),
            Step(Delete(WEBHOOK, "backend"), when=refused("BackendUnavailable"), after=12.0),
        ),
        settled=(COMPLETE,),
    ),
    Scenario(
        "a policy refuses the Service under a service that answers",
        (
            MODELS,
            Step(Create(service())),
            Step(Create(policy("sunday", "no Services on Sundays", "", "services")[0]), when=READY),
            Step(Create(policy("sunday", "no Services on Sundays", "", "services")[1])),
            Step(Delete("services", "serve")),
            Step(Delete(BINDING, "sunday"), after=20.0),
        ),
        settled=SERVING_END,
    ),
    Scenario(
        "the training operator is installed late",
        (Step(Create(job())), Step(Install(GANG), when=refused("BackendUnavailable"), after=8.0)),
        absent=(GANG,),
        settled=(COMPLETE,),
    ),
    Scenario(
        "the training operator is not there",
        (Step(Create(job())),),
        absent=(GANG,),
        settled=("TrainingJob/job Accepted=False:BackendUnavailable",),
    ),
    Scenario(
        "the training operator is installed anew under a job",
        (
            Step(Create(job())),
            Step(Uninstall(GANG), when=When(JOBS, "job", "Running")),
            Step(Install(GANG), after=20.0),
        ),
        (Fate("job-0-*", run_seconds=600.0, times=2),),
        strict=False,
        settled=(COMPLETE,),
    ),
    Scenario(
        "the training operator goes when all is done",
        (Step(Create(job())), Step(Uninstall(GANG), when=When(JOBS, "job", "Complete"), after=3.0)),
        settled=(COMPLETE,),
    ),
    Scenario(
        "KEDA is installed late",
        (
            MODELS,
            Step(Create(service(scaling={**SCALING, "minReplicas": 1}))),
            Step(Install(SCALED_OBJECTS), when=refused("KedaUnavailable", SERVICES, "serve", "Scaling"), after=8.0),
        ),
        load=((0.0, 25),),
        absent=(SCALED_OBJECTS,),
        settled=(*SERVING_END, "InferenceService/serve Scaling=True:Following"),
    ),
    Scenario(
        "KEDA goes and comes back",
        (
            MODELS,
            Step(Create(service(scaling={**SCALING, "minReplicas": 1}))),
            Step(Uninstall(SCALED_OBJECTS), when=READY),
            Step(Install(SCALED_OBJECTS), after=20.0),
        ),
        load=((0.0, 25),),
        settled=(*SERVING_END, "InferenceService/serve Scaling=True:Following"),
    ),
)
