"""What the kinds share: the group, the base model, bounded strings, conditions, pod template.

Decisions that live here: unknown fields are refused when an object is read by the operator (`extra="forbid"`), except
where a field is marked as preserving them; names in YAML are camelCase, in Python snake_case; rules that the API server
enforces (CEL) stand beside the field or the class that they speak of. `Schema` and `Model` put them into pydantic's
JSON schema, which api/crd.py turns into CRDs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, with_config
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema
from typing_extensions import TypedDict

GROUP = "slipway.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
CATEGORY = "slipway"

JsonSchema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """A CEL rule of `x-kubernetes-validations`: `rule` holds for a valid object, `message` is for a person."""

    rule: str
    message: str

    def as_schema(self) -> JsonSchema:
        return {"rule": self.rule, "message": self.message}


@dataclass(frozen=True, slots=True)
class Schema:
    """What pydantic cannot say of a field, merged into its CRD schema.

    `pattern_message` is what a person reads instead of the field's regular expression: the CRD then holds the pattern
    as a CEL rule, since the API server's own words for a pattern are the pattern. `rules` are further CEL rules on the
    field's value (`self`). `list_type` and `list_map_keys` are the server-side apply markers. `preserve_unknown` keeps
    what the schema does not name.
    """

    pattern_message: str = ""
    rules: tuple[Rule, ...] = ()
    list_type: Literal["atomic", "set", "map"] | None = None
    list_map_keys: tuple[str, ...] = ()
    preserve_unknown: bool = False

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        schema = handler.resolve_ref_schema(handler(core_schema))
        if rules := (*self._pattern_rule(schema), *self.rules):
            schema.setdefault("x-kubernetes-validations", []).extend(rule.as_schema() for rule in rules)
        if self.list_type:
            schema["x-kubernetes-list-type"] = self.list_type
        if self.list_map_keys:
            schema["x-kubernetes-list-map-keys"] = list(self.list_map_keys)
        if self.preserve_unknown:
            schema["x-kubernetes-preserve-unknown-fields"] = True
        return schema

    def _pattern_rule(self, schema: JsonSchema) -> tuple[Rule, ...]:
        if not self.pattern_message:
            return ()
        pattern: str = schema.pop("pattern")
        return (Rule(matching(pattern), self.pattern_message),)


def matching(pattern: str) -> str:
    """The CEL rule of a field with this regular expression."""
    return f"self.matches({cel_string(pattern)})"


def cel_string(text: str) -> str:
    """`text` as a CEL string literal: a raw one, so that a regular expression reads as it was written."""
    if "'" in text:
        raise ValueError(f"a raw CEL string cannot hold a single quote: {text}")
    return f"r'{text}'"


def unchanged(field: str, kind: str) -> Rule:
    """A rule of an object whose `field` must stay as it was made, absent or present."""
    same = f"has(oldSelf.{field}) && self.{field} == oldSelf.{field}"
    message = f"{field} cannot change: delete the {kind} and create another"
    return Rule(f"has(self.{field}) ? ({same}) : !has(oldSelf.{field})", message)


class Model(BaseModel):
    """Base of every API type. `RULES` are CEL rules on the whole object.

    `FIXED_OF` names a kind of whose object this is a part that cannot change, but for the fields in `CHANGEABLE`.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    RULES: ClassVar[tuple[Rule, ...]] = ()
    FIXED_OF: ClassVar[str] = ""
    CHANGEABLE: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        reference = handler(core_schema)
        schema = handler.resolve_ref_schema(reference)
        fixed = [field for field in schema.get("properties", {}) if cls.FIXED_OF and field not in cls.CHANGEABLE]
        if rules := [*cls.RULES, *(unchanged(field, cls.FIXED_OF) for field in fixed)]:
            schema["x-kubernetes-validations"] = [rule.as_schema() for rule in rules]
        return reference


class Resource(Model):
    """Base of the kinds. Their metadata is Kubernetes' own, and not read through these types."""

    @classmethod
    def read(cls, body: Mapping[str, object]) -> Self:
        """From a Kubernetes object. Raises pydantic.ValidationError, whose locations are field paths."""
        parts = {"spec": body.get("spec", {}), "status": body.get("status")}
        return cls.model_validate({name: parts[name] for name in cls.model_fields})


DNS_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = rf"{DNS_LABEL}(\.{DNS_LABEL})*"
OWNER_NAME = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
# Of the claim in pvc://claim/path.
CLAIM_NAME = Rule(
    "!self.startsWith('pvc://') || self.matches(r'^pvc://[^/]{1,253}(/|$)')",
    "the claim's name has at most 253 characters",
)
NO_NUL = Rule(r"!self.matches(r'\x00')", "must not hold the character NUL, which no program can be given")


def name_rule(longest: int) -> Rule:
    """What metadata.name must be, so that the names derived from it are DNS labels of at most 63 characters."""
    return Rule(
        f"self.metadata.name.size() <= {longest} && self.metadata.name.matches(r'{OWNER_NAME}')",
        "the name must be a DNS label that starts with a letter, "
        f"of at most {longest} characters: pods are named after it",
    )


NAME_MESSAGE = (
    "must be the name of an object: lower-case letters, digits, '-' and '.', "
    "with a letter or digit at both ends and around each '.'"
)
Name = Annotated[
    str,
    Field(min_length=1, max_length=253, pattern=rf"^{SUBDOMAIN}$"),
    Schema(pattern_message=NAME_MESSAGE),
]
QUANTITY = r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi)?$"
Quantity = Annotated[
    str,
    Field(min_length=1, max_length=32, pattern=QUANTITY),
    Schema(pattern_message='must be a quantity such as "500Mi" or "10Gi"'),
]
DECIMAL = r"^[0-9]+(\.[0-9]+)?(e-?[0-9]{1,2})?$"
Decimal = Annotated[
    str,
    Field(min_length=1, max_length=24, pattern=DECIMAL),
    Schema(pattern_message='must be a decimal in quotes, such as "0.001" or "1e-3"'),
]


def between(least: int, most: int, why: str) -> Schema:
    """The bounds of a `Decimal`. What is no decimal at all is told so by its pattern alone."""
    bounds = f"double(self) >= {least}.0 && double(self) <= {most}.0"
    rule = f"!self.matches({cel_string(DECIMAL)}) || ({bounds})"
    return Schema(rules=(Rule(rule, f"must be between {least} and {most}: {why}"),))


# What the kubelet can read (github.com/distribution/reference): [registry/]path[:tag][@digest].
_REGISTRY_PART = "[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?"
_REGISTRY = rf"({_REGISTRY_PART}(\.{_REGISTRY_PART})*|\[[0-9A-Fa-f:]+\])(:[0-9]+)?"
_IMAGE_PATH = "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*"
_TAG = "[A-Za-z0-9_][-.A-Za-z0-9_]{0,127}"
_DIGEST = "(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})"
ImageRef = Annotated[
    str,
    Field(
        min_length=1,
        max_length=520,
        pattern=rf"^({_REGISTRY}/)?{_IMAGE_PATH}(/{_IMAGE_PATH})*(:{_TAG})?(@{_DIGEST})?$",
    ),
    Schema(
        pattern_message='must be an image reference, such as "registry.example/team/image:tag": '
        "lower-case letters and digits in the path, no spaces, a whole digest",
        rules=(
            Rule(
                rf"self.matches(r'^[^@]{{1,255}}(:{_TAG})?(@.*)?$')",
                "the image's name, without tag and digest, has at most 255 characters",
            ),
        ),
    ),
]
Timestamp = Annotated[str, Field(max_length=40, json_schema_extra={"format": "date-time"})]

Accelerator = Literal["cpu", "nvidia"]


class Condition(Model):
    """metav1.Condition, bounded. `reason` is never empty and every type exists from the first visit."""

    type: Annotated[str, Field(max_length=63)] = Field(description="What the condition is about: Ready, Accepted ...")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z][A-Za-z0-9]*$")] = Field(
        description="Why, in one word for programs; never empty."
    )
    message: Annotated[str, Field(max_length=4096)] = Field(default="", description="Why, in a sentence for people.")
    observed_generation: Annotated[int, Field(ge=0)] = Field(
        default=0, description="The metadata.generation that this was said of."
    )
    last_transition_time: Timestamp = Field(description="When status last changed.")


Conditions = Annotated[list[Condition], Field(max_length=16), Schema(list_type="map", list_map_keys=("type",))]

LabelValue = Annotated[str, Field(max_length=63)]
AnnotationValue = Annotated[str, Field(max_length=4096)]


@with_config(ConfigDict(extra="forbid"))
class PodMetadata(TypedDict, total=False):
    """Labels and annotations to add to the pods."""

    labels: Annotated[dict[str, LabelValue], Field(max_length=64, description="Labels to add to the pods.")]
    annotations: Annotated[
        dict[str, AnnotationValue], Field(max_length=64, description="Annotations to add to the pods.")
    ]


class PodTemplate(Model):
    """What the user adds to the pods: a partial core/v1 PodTemplateSpec, merged over the rendered one.

    Validated by a dry-run create of the merged template and by Slipway's own policy (plan/pod/policy.py), because a
    structural schema of PodSpec alone would exceed the size of a CRD. The main container is named `main`.
    """

    metadata: PodMetadata = Field(default_factory=PodMetadata, description="Labels and annotations to add to the pods.")
    spec: Annotated[dict[str, Any], Schema(preserve_unknown=True)] = Field(
        default_factory=dict,
        description="A partial core/v1 PodSpec. Lists of named things (containers, volumes, env) merge by name; "
        "the main container is named `main`.",
    )
