"""What both kinds share: the group, the base model, bounded strings, conditions, pod template.

Decisions that live here: unknown fields are refused when an object is read by the operator (`extra="forbid"`), except
where a field is marked as preserving them; names in YAML are camelCase, in Python snake_case; rules that the API server
enforces (CEL) stand beside the field or the class that they speak of, as `x-kubernetes-validations`.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

GROUP = "slipway.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
CATEGORY = "slipway"


@dataclass(frozen=True, slots=True)
class Rule:
    """A CEL rule of `x-kubernetes-validations`: `rule` holds for a valid object, `message` is for a person."""

    rule: str
    message: str
    optional_old_self: bool = False


@dataclass(frozen=True, slots=True)
class Schema:
    """What pydantic cannot say of a field, merged into its CRD schema.

    `list_type` and `list_map_keys` are the server-side apply markers; `preserve_unknown` keeps what the schema does not
    name; `rules` are CEL rules on the field's value (`self`); `int_or_string` marks a Quantity.
    """

    rules: tuple[Rule, ...] = ()
    list_type: Literal["atomic", "set", "map"] | None = None
    list_map_keys: tuple[str, ...] = ()
    preserve_unknown: bool = False
    int_or_string: bool = False


class Model(BaseModel):
    """Base of every API type. `RULES` are CEL rules on the whole object."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


Name = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
Quantity = Annotated[
    str,
    Field(min_length=1, max_length=32, pattern=r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi)?$"),
]
Decimal = Annotated[str, Field(min_length=1, max_length=24, pattern=r"^[0-9]+(\.[0-9]+)?(e-?[0-9]{1,2})?$")]
ImageRef = Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^\S+$")]

Accelerator = Literal["cpu", "nvidia"]


class Condition(Model):
    """metav1.Condition, bounded. `reason` is never empty and every type exists from the first visit."""

    type: Annotated[str, Field(max_length=63)]
    status: Literal["True", "False", "Unknown"]
    reason: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z][A-Za-z0-9]*$")]
    message: Annotated[str, Field(max_length=4096)] = ""
    observed_generation: Annotated[int, Field(ge=0)] = 0
    last_transition_time: Annotated[str, Field(max_length=40, json_schema_extra={"format": "date-time"})]


Conditions = Annotated[
    list[Condition], Field(max_length=16), Schema(list_type="map", list_map_keys=("type",))
]


class PodTemplate(Model):
    """What the user adds to the pods: a partial core/v1 PodTemplateSpec, merged over the rendered one.

    Validated by a dry-run create of the merged template and by Slipway's own policy (plan/podtemplate.py), because a
    structural schema of PodSpec alone would exceed the size of a CRD. The main container is named `main`.
    """

    metadata: Annotated[dict[str, Any], Schema(preserve_unknown=True)] = Field(
        default_factory=dict, description="Labels and annotations to add to the pods."
    )
    spec: Annotated[dict[str, Any], Schema(preserve_unknown=True)] = Field(
        default_factory=dict,
        description="A partial core/v1 PodSpec. Lists of named things (containers, volumes, env) merge by name; "
        "the main container is named `main`.",
    )
