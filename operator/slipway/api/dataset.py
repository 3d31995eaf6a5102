"""What a recipe trains on: `spec.dataset`, with how it is cleaned and how many bad rows it may have."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .common import CLAIM_NAME, NO_NUL, SUBDOMAIN, Model, Rule, Schema
from .pattern import FINDS_SOMETHING, PATTERN_MAX, fault_in_replacing

NO_PARENT_DIRECTORY = Rule(r"!self.matches(r'(^|/)\.\.(/|$)')", "must not step out with '..'")

DEFAULT_TEXT_FIELD = "text"
_TEXTS = ("**/*.txt",)
_ROWS = ("**/*.jsonl", "**/*.parquet", "**/*.arrow")


def default_include(recipe: str) -> tuple[str, ...]:
    """What `include` is where nothing is said."""
    return _TEXTS if recipe == "pretrain" else _ROWS


DatasetUri = Annotated[
    str,
    Field(
        max_length=1024,
        pattern=rf"^(file:///|pvc://{SUBDOMAIN}(/|$)|(s3|gs)://[a-z0-9][-a-z0-9._]*(/|$)).*$",
    ),
    Schema(
        pattern_message="must be file:///path, pvc://claim/path, s3://bucket/path or gs://bucket/path",
        rules=(NO_PARENT_DIRECTORY, CLAIM_NAME, NO_NUL),
    ),
]
Include = Annotated[
    list[
        Annotated[
            str,
            Field(min_length=1, max_length=256),
            Schema(
                rules=(
                    NO_PARENT_DIRECTORY,
                    Rule("!self.startsWith('/')", "is relative to uri: must not start with /"),
                    Rule(
                        r"!self.matches(r'/\.?(/|$)|^\./|^\.$')",
                        "names files below uri: one / between names, none at the end, no '.', such as train/*.jsonl",
                    ),
                    Rule(
                        r"!self.matches(r'[^/]\*\*|\*\*[^/]')",
                        "** must stand alone between slashes: **/*.txt, not **.txt",
                    ),
                    NO_NUL,
                )
            ),
        ]
    ],
    Field(min_length=1, max_length=16),
    Schema(list_type="set"),
]
FieldName = Annotated[
    str,
    Field(min_length=1, max_length=63, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"),
    Schema(pattern_message="must be the name of a field: letters, digits and '_'"),
]
Language = Annotated[
    str,
    Field(min_length=2, max_length=2, pattern=r"^[a-z]{2}$"),
    Schema(pattern_message="must be a language by ISO 639-1, such as en"),
]


class ScrubPattern(Model):
    """Something of the user's own that is replaced, such as the number of a customer."""

    name: Annotated[
        str,
        Field(min_length=1, max_length=32, pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$"),
        Schema(
            pattern_message="must be a word for the placeholder: lower-case letters, digits and '-', a letter first"
        ),
    ] = Field(description="What it is; the placeholder is the same in capitals, such as <CUSTOMER> for customer.")
    pattern: Annotated[str, Field(min_length=1, max_length=PATTERN_MAX), Schema(rules=(FINDS_SOMETHING,))] = Field(
        description="A regular expression (RE2). All that it matches is replaced, from left to right."
    )

    @property
    def placeholder(self) -> str:
        return f"<{self.name.upper()}>"


class CleaningSpec(Model):
    """What is left out of the data before training. A document is a file of text, or a row."""

    duplicates: Literal["keep", "exact", "near"] = Field(
        default="keep",
        description="exact drops a document that came before in the same words; near one that is similar, too.",
    )
    similarity_percent: Annotated[int, Field(ge=50, le=100)] = Field(
        default=80,
        description="How similar near is: estimated share of 5-word sequences in common, in percent.",
    )
    characters_least: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=0, description="A document with fewer characters is dropped."
    )
    characters_most: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = Field(
        default=None, description="A document with more characters is dropped; no limit when left out."
    )
    languages: Annotated[list[Language], Field(min_length=1, max_length=16), Schema(list_type="set")] | None = Field(
        default=None, description="Languages to keep, by ISO 639-1; all when left out."
    )
    repetition: Literal["keep", "gopher"] = Field(
        default="keep", description="gopher drops documents that repeat themselves, by Gopher's rules."
    )
    scrub: (
        Annotated[
            list[Literal["email", "phone", "ip", "key"]], Field(min_length=1, max_length=4), Schema(list_type="set")
        ]
        | None
    ) = Field(default=None, description="What is replaced by a placeholder wherever it stands, such as <EMAIL>.")
    scrub_patterns: (
        Annotated[
            list[ScrubPattern],
            Field(min_length=1, max_length=16),
            Schema(list_type="map", list_map_keys=("name",)),
        ]
        | None
    ) = Field(default=None, description="Patterns of your own, replaced in their order and before what `scrub` names.")

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.charactersMost) || self.charactersLeast <= self.charactersMost",
            "charactersLeast must not exceed charactersMost",
        ),
    )

    def wrong_patterns(self) -> Iterator[str]:
        """A sentence for each pattern that cannot be used, with its path in `cleaning`."""
        for place, each in enumerate(self.scrub_patterns or ()):
            if wrong := fault_in_replacing(each.pattern):
                yield f"scrubPatterns[{place}].pattern: {wrong}"


class DatasetSpec(Model):
    """What to train on: files under `uri`, in a fixed order; a share is held out for evaluation."""

    uri: DatasetUri = Field(
        description="file:///path in the image, pvc://claim/path in the job's namespace (mounted read-only), "
        "s3://bucket/path or gs://bucket/path."
    )
    include: Include | None = Field(
        default=None,
        description="Glob patterns under `uri`; ** stands for any directories. When left out: **/*.txt for pretrain, "
        "**/*.jsonl, **/*.parquet and **/*.arrow for the other recipes.",
    )
    held_out_percent: Annotated[int, Field(ge=1, le=50)] = Field(
        default=5, description="Share kept from training, in percent: of the files of text, of the rows of others."
    )
    text_field: FieldName | None = Field(
        default=None, description="pretrain: the field of a row that holds its text; `text` when left out."
    )
    bad_rows_percent: Annotated[int, Field(ge=0, le=100)] = Field(
        default=1, description="Most rows that may be unusable (and are left out), in percent; more fail the job."
    )
    cleaning: CleaningSpec | None = Field(default=None, description="What is left out; nothing when left out.")
