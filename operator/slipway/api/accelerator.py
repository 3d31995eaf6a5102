"""Accelerator: a class of GPUs that a cluster has, with the figures that the planner counts with.

It stands for itself, as a StorageClass does: nothing is made of it, so it has no status. Whoever names it
(`acceleratorClass` of a TrainingJob or an InferenceService) gets its nodes, by `nodeLabels`, and its arithmetic. The
classes that the planner knows without one are such objects too (plan/capacity/accelerators.yaml).
"""

import re
from typing import Annotated, ClassVar

from pydantic import Field, field_validator

from .common import DNS_LABEL, SUBDOMAIN, Decimal, LabelValue, Model, Resource, Rule, Schema, between

KIND = "Accelerator"
PLURAL = "accelerators"
SINGULAR = "accelerator"
SHORT_NAMES = ("accel",)

NAME_MAX = 63
ClassName = Annotated[
    str,
    Field(min_length=1, max_length=NAME_MAX, pattern=rf"^{DNS_LABEL}$"),
    Schema(pattern_message="must be the name of an Accelerator: lower-case letters, digits and '-'"),
]
# Of a spec with `accelerator` and `acceleratorClass`.
CLASS_RULE = Rule(
    "!has(self.acceleratorClass) || self.accelerator != 'cpu'", "acceleratorClass needs accelerator nvidia"
)
CLASS_DESCRIPTION = (
    "The Accelerator that the pods get: they go to its nodes, and it is planned with. Any GPU when left out."
)
LABEL_NAME = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
LABEL_KEY = re.compile(rf"({SUBDOMAIN}/)?{LABEL_NAME}")
NodeLabel = Annotated[
    LabelValue,
    Field(pattern=rf"^({LABEL_NAME})?$"),
    Schema(pattern_message="must be a label's value: letters, digits, '-', '_' and '.', 63 at most"),
]
Rate = Annotated[int, Field(ge=1, le=1_000_000)]


class Teraflops(Model):
    """Dense operations a second of one GPU, in units of 10^12, by number format."""

    fp16: Rate = Field(description="In fp16; half of what data sheets give with sparsity.")
    bf16: Rate | None = Field(default=None, description="In bf16; left out where the GPU does not multiply those.")
    fp8: Rate | None = Field(default=None, description="In fp8; left out where the GPU does not multiply those.")


class AcceleratorSpec(Model):
    """One GPU of the class, and the nodes that have it."""

    memory_gib: Annotated[Decimal, between(1, 10_000, "it is of one GPU")] = Field(
        description="GiB of memory as CUDA reports them, less than the name's gigabytes: a decimal in quotes."
    )
    memory_gigabytes_per_second: Rate = Field(description="What of it can be read in a second, in 10^9 bytes.")
    teraflops: Teraflops
    link_gigabytes_per_second: Rate = Field(
        description="Between the GPUs of a node, one way: half of what data sheets call NVLink's bandwidth."
    )
    host_gigabytes_per_second: Rate = Field(description="Between a GPU and its host, one way: PCI Express.")
    node_labels: Annotated[dict[str, NodeLabel], Field(min_length=1, max_length=16)] = Field(
        description="Labels of the nodes that have such GPUs. Pods of this class go there, and pods whose nodeSelector "
        "holds all of them are taken to be of this class."
    )
    dollars_per_hour: (
        Annotated[
            Decimal,
            between(0, 100_000, "it is of one GPU for an hour"),
            Schema(
                rules=(Rule("self.matches(r'^[0.]*[1-9]')", "must be more than nothing: leave out what is not known"),)
            ),
        ]
        | None
    ) = Field(default=None, description="Price of one GPU for an hour, a decimal in quotes; left out, none is assumed.")
    price_source: Annotated[str, Field(min_length=1, max_length=256)] | None = Field(
        default=None, description="Whose price that is, and of when: told with what is reckoned from it."
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule("!has(self.priceSource) || has(self.dollarsPerHour)", "priceSource belongs to dollarsPerHour: set both"),
    )

    @field_validator("node_labels")
    @classmethod
    def _keys_are_labels(cls, labels: dict[str, str]) -> dict[str, str]:
        """A structural schema says nothing of a map's keys, so that the API server stores what is no label."""
        for key in labels:
            name = key.rpartition("/")[2]
            if not LABEL_KEY.fullmatch(key) or len(key) - len(name) > 254 or len(name) > 63:
                raise ValueError(f"{key!r} is no label's key, such as nvidia.com/gpu.product")
        return labels


class Accelerator(Resource):
    """A class of GPUs: how large and fast one is, what it costs, and which nodes have it."""

    spec: AcceleratorSpec

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            f"self.metadata.name.size() <= {NAME_MAX} && self.metadata.name.matches(r'^{DNS_LABEL}$')",
            f"the name must be a DNS label of at most {NAME_MAX} characters, as acceleratorClass takes it",
        ),
    )
