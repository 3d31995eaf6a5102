"""Services: they start, roll, scale, sleep, are broken and mended, deleted, and made again."""

from slipway.plan.observed import Obj

from ..acts import SERVICES, Create, Delete, Merge, Step, When, claim, service
from ..fates import Fate
from ..scenario import Scenario

MODELS = Step(Create(claim("models", "ReadWriteMany")))
READY = When(SERVICES, "serve", "Ready")
SERVING_END = ("InferenceService/serve Ready=True:Serving",)
SCALING: Obj = {"minReplicas": 0, "maxReplicas": 4, "requestsPerReplica": 10, "idleSeconds": 10}
DEPLOYMENTS = "deployments.apps"
ADDED: Obj = {"annotations": {"team.example/note": "x"}}


def edit(spec: Obj, *, refused: bool = False) -> Merge:
    return Merge(SERVICES, "serve", {"spec": spec}, refused=refused)


def stranger(kind: str, spec: Obj) -> Obj:
    api_version = {"Deployment": "apps/v1", "Service": "v1"}[kind]
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "serve", "namespace": "team"}, "spec": spec}


OTHERS_DEPLOYMENT = stranger(
    "Deployment",
    {
        "replicas": 0,
        "selector": {"matchLabels": {"app": "x"}},
        "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "x", "image": "x"}]}},
    },
)
OTHERS_SERVICE = stranger("Service", {"ports": [{"name": "x", "port": 99}], "selector": {"app": "x"}})

SERVING = (
    Scenario("service starts", (MODELS, Step(Create(service()))), settled=SERVING_END),
    Scenario(
        "a service's volume cannot be mounted",
        (MODELS, Step(Create(service())), Step(after=60.0)),
        (Fate("serve-*", trouble="unmounted"),),
        strict=False,  # the message names the pod
        settled=("InferenceService/serve Ready=False:VolumesNotMounted",),
    ),
    Scenario("three replicas", (MODELS, Step(Create(service(replicas=3)))), settled=SERVING_END),
    Scenario(
        "model's claim comes later",
        (Step(Create(service())), Step(MODELS.act, after=12.0)),
        settled=SERVING_END,
    ),
    Scenario(
        "claim for one pod",
        (
            Step(Create(claim("models", "ReadWriteOncePod"))),
            Step(Create(service())),
            Step(edit({"replicas": 2}), when=READY),
        ),
        settled=("InferenceService/serve ModelReady=False:ClaimAllowsOnePod",),
    ),
    Scenario(
        "Recreate for one pod",
        (
            Step(Create(claim("models", "ReadWriteOncePod"))),
            Step(Create(service())),
            Step(edit({"engineArgs": ["--max-model-len=512"]}), when=READY),
        ),
        settled=SERVING_END,
    ),
    Scenario(
        "rolls and rolls back",
        (
            MODELS,
            Step(Create(service(replicas=2))),
            Step(edit({"engineArgs": ["--max-model-len=512"]}), when=READY),
            Step(edit({"engineArgs": []}), after=4.0),
        ),
        settled=SERVING_END,
    ),
    Scenario(
        "the new revision never answers",
        (
            MODELS,
            Step(Create(service(replicas=2))),
            Step(edit({"engineArgs": ["--max-model-len=512"]}), when=READY),
            Step(edit({"engineArgs": []}), after=30.0),
        ),
        (Fate("serve-*", start_seconds=3.0, times=2), Fate("serve-*", trouble="unready", times=1)),
        settled=SERVING_END,
    ),
    Scenario(
        "the engine crashes, the arguments are mended",
        (
            MODELS,
            Step(Create(service(engineArgs=["--max-model-len=9"]))),
            Step(edit({"engineArgs": []}), after=30.0),
        ),
        (Fate("serve-*", trouble="crash", exit_code=1, message="CUDA error", times=1),),
        strict=False,
        settled=SERVING_END,
    ),
    Scenario(
        "an engine is wedged and restarted twice",
        (MODELS, Step(Create(service(replicas=2)))),
        (Fate("serve-*", start_seconds=3.0, run_seconds=15.0, trouble="wedged", wedges=2, times=1),),
        settled=(*SERVING_END, "InferenceService/serve Available=True:ReplicasReady"),
    ),
    Scenario(
        "the only engine is wedged, and the arguments change meanwhile",
        (MODELS, Step(Create(service())), Step(edit({"engineArgs": ["--max-model-len=512"]}), after=25.0)),
        (Fate("serve-*", start_seconds=10.0, run_seconds=5.0, trouble="wedged", times=1),),
        settled=SERVING_END,
    ),
    Scenario(
        "podTemplate changed, invalid, mended",
        (
            MODELS,
            Step(Create(service())),
            Step(edit({"podTemplate": {"spec": {"nodeSelector": {"disk": "fast"}}}}), when=READY),
            Step(edit({"podTemplate": {"spec": {"nodeSelector": {"disk": 5}}}}), after=15.0),
            Step(edit({"podTemplate": {"spec": {"hostNetwork": True}}}), after=15.0),
            Step(edit({"podTemplate": None}), after=15.0),
        ),
        settled=SERVING_END,
    ),
    Scenario(
        "invalid, and stays so",
        (
            MODELS,
            Step(Create(service(replicas=2))),
            Step(edit({"podTemplate": {"spec": {"nodeSelector": {"disk": 5}}}, "replicas": 1}), when=READY),
        ),
        settled=("InferenceService/serve Accepted=False:InvalidPodTemplate",),
    ),
    Scenario(
        "engine arguments are refused",
        (MODELS, Step(Create(service())), Step(edit({"engineArgs": ["--port=1"]}), when=READY)),
        settled=("InferenceService/serve Accepted=False",),
    ),
    Scenario(
        "scaled by hand to zero and back",
        (
            MODELS,
            Step(Create(service())),
            Step(edit({"replicas": 0}), when=READY),
            Step(edit({"replicas": 2}), when=When(SERVICES, "serve", "Ready", "True", reason="ScaledToZero")),
        ),
        settled=SERVING_END,
    ),
    Scenario(
        "born at zero",
        (MODELS, Step(Create(service(replicas=0)))),
        settled=("InferenceService/serve Ready=False:NotAnsweredYet",),
    ),
    Scenario(
        "sleeps when idle",
        (MODELS, Step(Create(service(scaling=SCALING)))),
        load=((0.0, 5), (30.0, 0)),
        settled=("InferenceService/serve Ready=True:ScaledToZero", "InferenceService/serve Scaling=True:Following"),
    ),
    Scenario(
        "sleeps and wakes",
        (MODELS, Step(Create(service(scaling=SCALING))), Step(after=80.0)),
        load=((0.0, 5), (30.0, 0), (60.0, 25)),
        settled=SERVING_END,
    ),
    Scenario(
        "never any load",
        (MODELS, Step(Create(service(scaling=SCALING)))),
        settled=("InferenceService/serve Ready=True:ScaledToZero",),
    ),
    Scenario(
        "slow to start, never any load",
        (MODELS, Step(Create(service(scaling=SCALING)))),
        (Fate("serve-*", start_seconds=15.0),),
        settled=("InferenceService/serve Ready=True:ScaledToZero",),
    ),
    Scenario(
        "changed and stopped before it answers",
        (
            MODELS,
            Step(Create(service())),
            Step(edit({"engineArgs": ["--max-model-len=512"]}), when=READY),
            Step(edit({"replicas": 0}), after=1.0),
        ),
        strict=False,
        settled=("InferenceService/serve Ready=False:NotAnsweredYet",),
    ),
    Scenario(
        "scaling asked for and given up",
        (
            MODELS,
            Step(Create(service())),
            Step(edit({"scaling": SCALING}), when=READY),
            Step(edit({"scaling": None, "replicas": 2}), after=20.0),
        ),
        load=((0.0, 15),),
        settled=SERVING_END,
    ),
    Scenario(
        "scaling taken back at once",
        (
            MODELS,
            Step(Create(service(scaling=SCALING))),
            Step(edit({"scaling": None}), after=1.0),
            Step(edit({"scaling": {**SCALING, "maxReplicas": 2}}), after=1.0),
        ),
        load=((0.0, 15),),
        settled=SERVING_END,
    ),
    Scenario(
        "deleted while it starts",
        (MODELS, Step(Create(service())), Step(Delete(SERVICES, "serve"), when=When(DEPLOYMENTS, "serve"))),
    ),
    Scenario(
        "deleted, with scaling",
        (MODELS, Step(Create(service(scaling=SCALING))), Step(Delete(SERVICES, "serve"), when=READY)),
        load=((0.0, 5),),
    ),
    Scenario(
        "made again at once",
        (
            MODELS,
            Step(Create(service(replicas=2, scaling=SCALING))),
            Step(Delete(SERVICES, "serve"), when=READY),
            Step(Create(service(replicas=1)), when=When(SERVICES, "serve", gone=True)),
        ),
        load=((0.0, 5),),
        settled=SERVING_END,
    ),
    Scenario(
        "deleted, its children kept, made again",
        (
            MODELS,
            Step(Create(service())),
            Step(Delete(SERVICES, "serve", "Orphan"), when=READY),
            Step(Create(service(replicas=2)), when=When(SERVICES, "serve", gone=True)),
        ),
        settled=SERVING_END,
    ),
    Scenario(
        "the Deployment's name is taken",
        (
            MODELS,
            Step(Create(OTHERS_DEPLOYMENT)),
            Step(Create(service())),
            Step(Delete(DEPLOYMENTS, "serve"), after=12.0),
        ),
        settled=SERVING_END,
    ),
    Scenario(
        "the Service's name is taken, and stays so",
        (MODELS, Step(Create(OTHERS_SERVICE)), Step(Create(service()))),
        settled=("InferenceService/serve Accepted=False:NameConflict",),
    ),
    Scenario(
        "the Deployment is deleted",
        (MODELS, Step(Create(service())), Step(Delete(DEPLOYMENTS, "serve"), when=READY)),
        settled=SERVING_END,
    ),
    Scenario(
        "the Deployment is deleted, its pods kept",
        (MODELS, Step(Create(service())), Step(Delete(DEPLOYMENTS, "serve", "Orphan"), when=READY)),
        strict=False,
    ),
    Scenario(
        "the Deployment is paused, scaled and spoiled",
        (
            MODELS,
            Step(Create(service(replicas=2))),
            Step(Merge(DEPLOYMENTS, "serve", {"spec": {"paused": True, "replicas": 5}}), when=READY),
            Step(edit({"engineArgs": ["--max-model-len=512"]}), after=1.0),
        ),
        settled=SERVING_END,
    ),
    Scenario(
        "a port is added to the Service",
        (
            MODELS,
            Step(Create(service())),
            Step(
                Merge("services", "serve", {"spec": {"ports": [{"name": "x", "port": 1}, {"name": "y", "port": 80}]}}),
                when=READY,
            ),
        ),
        settled=SERVING_END,
    ),
    Scenario(
        "an annotation is added to the Deployment's pods",
        (
            MODELS,
            Step(Create(service())),
            Step(Merge(DEPLOYMENTS, "serve", {"spec": {"template": {"metadata": ADDED}}}), when=READY),
        ),
        settled=SERVING_END,
    ),
    Scenario(
        "the Service is deleted and the Deployment disowned",
        (
            MODELS,
            Step(Create(service())),
            Step(Delete("services", "serve"), when=READY),
            Step(Merge(DEPLOYMENTS, "serve", {"metadata": {"ownerReferences": None}}), after=0.0),
        ),
        settled=SERVING_END,
    ),
    Scenario(
        "the model's claim goes",
        (
            MODELS,
            Step(Create(service())),
            Step(Delete("persistentvolumeclaims", "models"), when=READY),
            Step(edit({"replicas": 3}), after=10.0),
        ),
        strict=False,
    ),
)
