"""What sft, lora and qlora start from, and the adapter that lora and qlora train."""

from typing import Annotated, Literal

from pydantic import Field

from .common import CLAIM_NAME, NO_NUL, SUBDOMAIN, Model, Schema
from .dataset import NO_PARENT_DIRECTORY

ModelUri = Annotated[
    str,
    Field(max_length=1024, pattern=rf"^(file:///|pvc://{SUBDOMAIN}(/|$)).*$"),
    Schema(pattern_message="must be file:///path or pvc://claim/path", rules=(NO_PARENT_DIRECTORY, CLAIM_NAME, NO_NUL)),
]


class BaseModelSpec(Model):
    """The model that sft, lora and qlora start from: a directory as Hugging Face's transformers writes it."""

    uri: ModelUri = Field(
        description="Directory of the model: file:///path in the image, or pvc://claim/path in the job's namespace "
        "(mounted read-only)."
    )
    context_length: Annotated[int, Field(ge=32, le=131072)] = Field(
        default=1024, description="Tokens of a packed row; not above the model's own longest context."
    )


AdapterModule = Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class AdapterSpec(Model):
    """The low-rank adapter that lora and qlora train (LoRA)."""

    rank: Annotated[int, Field(ge=1, le=1024)] = Field(default=16, description="Rank of the update.")
    alpha: Annotated[int, Field(ge=1, le=4096)] = Field(default=32, description="The update is scaled by alpha / rank.")
    dropout_percent: Annotated[int, Field(ge=0, le=90)] = Field(
        default=0, description="Share of the adapter's inputs that is dropped in training, in percent."
    )
    target_modules: Annotated[list[AdapterModule], Field(min_length=1, max_length=7), Schema(list_type="set")] = Field(
        default=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        description="Linear layers that get an adapter.",
    )
