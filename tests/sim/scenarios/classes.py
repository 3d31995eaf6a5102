"""Classes of GPUs: they come after who names them, change, and go while they are used."""

from ..acts import CLASSES, JOBS, SERVICES, Create, Delete, Install, Merge, Step, When, accelerator, job, service
from ..scenario import Scenario
from .serving import MODELS, READY, SERVING_END
from .training import COMPLETE, HANGS_ONCE, fails

MINE = Step(Create(accelerator()))
GONE = Delete(CLASSES, "mine")
SERVICE = Step(Create(service(accelerator="nvidia", acceleratorClass="mine")))
JOB = Step(Create(job(accelerator="nvidia", acceleratorClass="mine")))
RUNS = When(JOBS, "job", "Running")
UNKNOWN = ("Accepted", "False", False, "UnknownAccelerator")

CLASSED = (
    Scenario("a service of a class", (MODELS, MINE, SERVICE), settled=SERVING_END),
    Scenario(
        "a service's class comes later",
        (MODELS, SERVICE, Step(MINE.act, when=When(SERVICES, "serve", *UNKNOWN))),
        settled=SERVING_END,
    ),
    Scenario(
        "a service's class is on other nodes now",
        (MODELS, MINE, SERVICE, Step(Merge(CLASSES, "mine", {"spec": {"nodeLabels": {"gpu": "other"}}}), when=READY)),
        settled=SERVING_END,
    ),
    Scenario(
        "a service's class goes while it serves",
        (MODELS, MINE, SERVICE, Step(GONE, when=READY)),
        settled=("InferenceService/serve Accepted=False:UnknownAccelerator",),
    ),
    Scenario(
        "a service's class goes and comes back",
        (MODELS, MINE, SERVICE, Step(GONE, when=READY), Step(MINE.act, when=When(SERVICES, "serve", *UNKNOWN))),
        settled=SERVING_END,
        like="a service of a class",
    ),
    Scenario(
        "a job's class comes later",
        (JOB, Step(MINE.act, when=When(JOBS, "job", *UNKNOWN))),
        settled=(COMPLETE,),
    ),
    Scenario("a job's class goes while it runs", (MINE, JOB, Step(GONE, when=RUNS)), settled=(COMPLETE,)),
    Scenario(
        "a job's class goes before it restarts",
        (MINE, JOB, Step(GONE, when=RUNS), Step(MINE.act, after=40.0)),
        (fails("job-0-worker-0"), HANGS_ONCE),
        settled=(COMPLETE,),
    ),
    Scenario(
        "the kind comes with its first object",
        (MODELS, SERVICE, Step(Install(CLASSES)), MINE),
        settled=SERVING_END,
        absent=(CLASSES,),
    ),
)
