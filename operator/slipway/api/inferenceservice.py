"""InferenceService: serve a model behind the gateway.

`replicas` is what the scale subresource reads and writes. With `scaling` it belongs to the autoscaler: a value given at
creation is where it starts. (The two are not made exclusive, since an object that an autoscaler has written must be
able to be restored from a backup.)
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .accelerator import CLASS_DESCRIPTION, CLASS_RULE, ClassName
from .common import (
    CLAIM_NAME,
    NO_NUL,
    OWNER_NAME,
    SUBDOMAIN,
    Accelerator,
    Conditions,
    ImageRef,
    Model,
    PodTemplate,
    Resource,
    Rule,
    Schema,
    Timestamp,
    name_rule,
)
from .trainingjob import NAME_MAX as TRAINING_JOB_NAME_MAX

KIND = "InferenceService"
PLURAL = "inferenceservices"
SINGULAR = "inferenceservice"
SHORT_NAMES = ("sis",)

NAME_MAX = 40
EngineName = Literal["vllm", "sglang"]
POD_NAME_END = "-[0-9]+-(master|worker)-[0-9]+$"


class ModelFrom(Model):
    """Where Slipway made the model."""

    training_job: Annotated[
        str,
        Field(min_length=1, max_length=TRAINING_JOB_NAME_MAX, pattern=OWNER_NAME),
        Schema(pattern_message="must be the name of a TrainingJob: a DNS label that starts with a letter"),
    ] = Field(description="A TrainingJob in the same namespace; its model is served once it is Complete.")


class ModelSource(Model):
    """Where the model comes from: exactly one source."""

    source: ModelFrom | None = Field(default=None, alias="from", description="A TrainingJob whose model to serve.")
    uri: (
        Annotated[
            str,
            Field(max_length=1024, pattern=rf"^pvc://{SUBDOMAIN}(/.*)?$"),
            Schema(
                pattern_message="must be pvc://claim/path",
                rules=(
                    Rule(r"!self.matches(r'/\.\.(/|$)')", "must not step out of the claim with '..'"),
                    CLAIM_NAME,
                    NO_NUL,
                ),
            ),
        ]
        | None
    ) = Field(
        default=None, description="pvc://claim/path: a Hugging Face model directory in a claim of the same namespace."
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule("has(self.from) != has(self.uri)", "exactly one of model.from and model.uri must be set"),
    )


class Parallelism(Model):
    """How many GPUs make one replica."""

    tensor: Annotated[int, Field(ge=1, le=16)] = Field(default=1, description="GPUs that share each layer.")


class Scaling(Model):
    """Replicas follow the requests that the gateway holds and has in flight, through a KEDA ScaledObject."""

    min_replicas: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=1,
        description="Fewest replicas; 0 lets the service go to sleep, and the gateway hold requests meanwhile.",
    )
    max_replicas: Annotated[int, Field(ge=1, le=1000)] = Field(description="Most replicas.")
    requests_per_replica: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=50, description="Requests held and in flight that one replica is to have."
    )
    idle_seconds: Annotated[int, Field(ge=5, le=86_400)] = Field(
        default=300, description="How long without a request before the last replica goes, when minReplicas is 0."
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule("self.minReplicas <= self.maxReplicas", "minReplicas must not exceed maxReplicas"),
    )


class InferenceServiceSpec(Model):
    """What to serve, with what and how many times."""

    model: ModelSource
    engine: EngineName = Field(default="vllm", description="Program that runs the model.")
    engine_args: Annotated[
        list[
            Annotated[
                str,
                Field(min_length=3, max_length=1024, pattern=r"^--[a-zA-Z]"),
                Schema(pattern_message="must be a flag: --flag or --flag=value, each in one string", rules=(NO_NUL,)),
            ]
        ],
        Field(max_length=64),
        Schema(list_type="atomic"),
    ] = Field(
        default=[], description="Flags for the engine, each one string: --flag or --flag=value. Passed as written."
    )
    image: ImageRef | None = Field(
        default=None, description="Image of the engine; the operator's for the accelerator when left out."
    )
    accelerator: Accelerator = Field(default="cpu", description="What the engine computes on.")
    accelerator_class: ClassName | None = Field(default=None, description=CLASS_DESCRIPTION)
    parallelism: Parallelism = Parallelism()
    replicas: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=1, description="Copies of the model. With scaling it belongs to the autoscaler."
    )
    scaling: Scaling | None = Field(
        default=None, description="Let replicas follow the requests. Fixed replicas when left out."
    )
    drain_seconds: Annotated[int, Field(ge=0, le=3600)] = Field(
        default=45, description="How long requests in flight may go on after a replica is told to stop."
    )
    wedge_seconds: Annotated[int, Field(ge=5, le=3600)] = Field(
        default=10,
        description="How long an engine may owe a token, without any progress, before it leaves the endpoints and is"
        " restarted.",
    )
    startup_seconds: Annotated[int, Field(ge=60, le=86_400)] = Field(
        default=1800, description="How long an engine may take to load and give its first token before it is restarted."
    )
    pod_template: PodTemplate | None = Field(
        default=None, description="What to add to the pods: resources, node selectors, volumes, tolerations."
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.accelerator != 'cpu' || self.parallelism.tensor == 1",
            "parallelism.tensor above 1 needs accelerator nvidia",
        ),
        CLASS_RULE,
    )


class ServedPlace(Model):
    """A directory of a claim that replicas mount."""

    claim: Annotated[str, Field(max_length=253)] = Field(description="Name of the PersistentVolumeClaim.")
    path: Annotated[str, Field(max_length=1024)] = Field(description="Directory in the claim.")
    access_modes: Annotated[
        list[Annotated[str, Field(max_length=64)]], Field(max_length=8), Schema(list_type="set")
    ] = Field(description="The claim's access modes, which decide where replicas run.")


class ServedAdapter(ServedPlace):
    """A low-rank adapter on the model."""

    rank: Annotated[int, Field(ge=1, le=1024)] = Field(description="Its rank, for which the engine reserves memory.")


class ServedModel(ServedPlace):
    """What the Deployment was last made from. It outlives the TrainingJob that wrote it."""

    adapter: ServedAdapter | None = Field(
        default=None, description="The adapter that answers, when that is what the TrainingJob wrote."
    )
    training_job: Annotated[str, Field(max_length=253)] | None = Field(
        default=None, description="The TrainingJob that wrote it, when spec.model.from named one."
    )
    training_job_uid: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Its uid: a job of the same name that is made anew is another."
    )


class EngineWedge(Model):
    """An engine that owed tokens, made no progress, and was restarted for it."""

    pod: Annotated[str, Field(max_length=253)] = Field(description="Its pod, which is still there.")
    time: Timestamp = Field(description="When it had last been ended.")
    restarts: Annotated[int, Field(ge=1)] = Field(
        description="Restarts of the pod's sidecar so far: it ends with each engine that was wedged."
    )
    message: Annotated[str, Field(max_length=256)] = Field(description="What was seen of it then.")


class InferenceServiceStatus(Model):
    """Where the service stands. Written by the operator alone."""

    conditions: Conditions = Field(
        default=[], description="Accepted, ModelReady, Available, Ready and Scaling, each with a reason."
    )
    observed_generation: Annotated[int, Field(ge=0)] = Field(
        default=0, description="The metadata.generation that this status speaks of."
    )
    replicas: Annotated[int, Field(ge=0)] = Field(default=0, description="Pods that exist, ready or not.")
    ready_replicas: Annotated[int, Field(ge=0)] = Field(default=0, description="Pods whose engine generates tokens.")
    selector: Annotated[str, Field(max_length=512)] = Field(
        default="", description="Label selector of the pods, for the scale subresource."
    )
    url: Annotated[str, Field(max_length=1024)] | None = Field(
        default=None, description="The gateway's OpenAI base URL inside the cluster."
    )
    model_name: Annotated[str, Field(max_length=512)] | None = Field(default=None, description="`model` in requests.")
    model: ServedModel | None = Field(default=None, description="The model that is served, and where it lies.")
    pod_template_additions: (
        Annotated[list[Annotated[str, Field(max_length=512)]], Field(max_length=16), Schema(list_type="atomic")] | None
    ) = Field(
        default=None,
        description="What others added to the Deployment's pod template, so to every pod: path (field manager).",
    )
    wedges: (
        Annotated[list[EngineWedge], Field(max_length=16), Schema(list_type="map", list_map_keys=("pod",))] | None
    ) = Field(default=None, description="Pods whose engine was wedged and restarted, the latest 16.")
    answered_revision: Annotated[str, Field(max_length=63)] = Field(
        default="",
        description="Revision of the pods that last answered a real request. (Not a generation: scaling changes that.)",
    )


class InferenceService(Resource):
    """Serves a model behind the gateway, with as many replicas as it needs."""

    spec: InferenceServiceSpec
    status: InferenceServiceStatus | None = None

    RULES: ClassVar[tuple[Rule, ...]] = (
        name_rule(NAME_MAX),
        Rule(
            f"!self.metadata.name.matches(r'{POD_NAME_END}')",
            "the name must not end as a training pod's does (such as job-0-master-0): a TrainingJob's Services have"
            " such names, and the InferenceService's own would stand in their way",
        ),
    )
