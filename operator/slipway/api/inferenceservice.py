"""InferenceService: serve a model behind the gateway.

`replicas` is what the scale subresource reads and writes. With `scaling` it belongs to the autoscaler: a value given at
creation is where it starts. (The two are not made exclusive, since an object that an autoscaler has written must be
able to be restored from a backup.)
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from .common import Accelerator, Conditions, ImageRef, Model, Name, PodTemplate, Rule, Schema

KIND = "InferenceService"
PLURAL = "inferenceservices"
SINGULAR = "inferenceservice"
SHORT_NAMES = ("sis",)

NAME_MAX = 40


class ModelFrom(Model):
    training_job: Annotated[str, Field(min_length=1, max_length=63)] = Field(
        description="A TrainingJob in the same namespace; its model is served once it is Complete."
    )


class ModelSource(Model):
    """Exactly one source."""

    source: ModelFrom | None = Field(default=None, alias="from")
    uri: Annotated[str, Field(max_length=1024, pattern=r"^pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/.*)?$")] | None = Field(
        default=None, description="pvc://claim/path: a Hugging Face model directory in a claim of the same namespace."
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule("has(self.from) != has(self.uri)", "exactly one of model.from and model.uri must be set"),
    )


class Parallelism(Model):
    tensor: Annotated[int, Field(ge=1, le=16)] = Field(default=1, description="GPUs that share each layer.")


class Scaling(Model):
    """Replicas follow the requests that the gateway holds and has in flight, through a KEDA ScaledObject."""

    min_replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    max_replicas: Annotated[int, Field(ge=1, le=1000)]
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
    model: ModelSource
    engine: Literal["vllm"] = "vllm"
    engine_args: Annotated[
        list[Annotated[str, Field(min_length=3, max_length=1024, pattern=r"^--[a-zA-Z]")]],
        Field(max_length=64),
        Schema(list_type="atomic"),
    ] = Field(default=[], description="Flags for the engine, each one string: --flag or --flag=value.")
    image: ImageRef | None = Field(default=None, description="Image of the engine; the operator's for the accelerator when left out.")
    accelerator: Accelerator = "cpu"
    parallelism: Parallelism = Parallelism()
    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    scaling: Scaling | None = None
    drain_seconds: Annotated[int, Field(ge=0, le=3600)] = Field(
        default=45, description="How long requests in flight may go on after a replica is told to stop."
    )
    pod_template: PodTemplate | None = None

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.accelerator != 'cpu' || self.parallelism.tensor == 1",
            "parallelism.tensor above 1 needs accelerator nvidia",
        ),
    )


class InferenceServiceStatus(Model):
    conditions: Conditions = []
    observed_generation: Annotated[int, Field(ge=0)] = 0
    replicas: Annotated[int, Field(ge=0)] = 0
    ready_replicas: Annotated[int, Field(ge=0)] = 0
    selector: Annotated[str, Field(max_length=512)] = Field(default="", description="For the scale subresource.")
    url: Annotated[str, Field(max_length=1024)] | None = None
    model_name: Annotated[str, Field(max_length=512)] | None = Field(default=None, description="`model` in requests.")
    answered_revision: Annotated[str, Field(max_length=63)] = Field(
        default="",
        description="Revision of the pods that last answered a real request. (Not a generation: scaling changes that.)",
    )


class InferenceService(Model):
    spec: InferenceServiceSpec
    status: InferenceServiceStatus | None = None

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            f"self.metadata.name.size() <= {NAME_MAX} && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
            f"the name must be a DNS label that starts with a letter, of at most {NAME_MAX} characters: pods are named after it",
        ),
    )

    @classmethod
    def read(cls, body: dict[str, object]) -> Self:
        """From a Kubernetes object. Raises pydantic.ValidationError, whose locations are field paths."""
        return cls.model_validate({"spec": body.get("spec", {}), "status": body.get("status")})
