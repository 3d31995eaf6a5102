"""How a model is measured on held-out data, and what it must reach before it is handed on (`output.require`).

`Requirement.unmet` is the one place that compares: the trainer asks it before it exports, the operator before it says
Complete.
"""

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from .common import Decimal, Model, Rule, between

Figure = Annotated[str, Field(max_length=24)]
Perplexity = Annotated[Decimal, between(1, 1_000_000, "1 is that of a model which is always certain, and right")]
BitsPerByte = Annotated[Decimal, between(0, 8, "a byte has no more bits, so any model would do")]
Share = Annotated[Decimal, between(0, 1, "it is a share, such as 0.5 for half of them")]


class EvaluationSpec(Model):
    """How answers are generated for exact match and ROUGE: greedily, on held-out prompts."""

    prompts: Annotated[int, Field(ge=0, le=100_000)] = Field(
        default=32, description="How many held-out prompts are answered, at most; 0 measures no answers."
    )
    answer_tokens: Annotated[int, Field(ge=1, le=8192)] = Field(
        default=128, description="Longest answer, in tokens: what is longer is cut off."
    )


class Requirement(Model):
    """What the model must reach on held-out data. A job that does not reach it fails, and hands on no model."""

    perplexity_most: Perplexity | None = Field(default=None, description="Highest perplexity per token: a decimal.")
    bits_per_byte_most: BitsPerByte | None = Field(default=None, description="Most bits per byte: a decimal.")
    exact_match_least: Share | None = Field(
        default=None, description="Smallest share of answers that equal the reference, 0 to 1: a decimal."
    )
    rouge1_least: Share | None = Field(default=None, description="Least ROUGE-1 F1, 0 to 1: a decimal.")
    rouge2_least: Share | None = Field(default=None, description="Least ROUGE-2 F1, 0 to 1: a decimal.")
    rouge_l_least: Share | None = Field(default=None, description="Least ROUGE-L F1, 0 to 1: a decimal.")

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.perplexityMost) || has(self.bitsPerByteMost) || has(self.exactMatchLeast)"
            " || has(self.rouge1Least) || has(self.rouge2Least) || has(self.rougeLLeast)",
            "must ask for something: leave require out, or set a bound",
        ),
    )

    @property
    def needs_answers(self) -> bool:
        """Whether a bound is on generated answers."""
        return any(name not in ("perplexity", "bitsPerByte") for name, _, _ in self._bounds())

    def unmet(self, evaluation: Mapping[str, object]) -> list[str]:
        """Each bound that `evaluation` (status.evaluation) does not reach, in a few words with both numbers."""
        found = (_complaint(name, kind, bound, evaluation.get(name)) for name, kind, bound in self._bounds())
        return [complaint for complaint in found if complaint]

    def _bounds(self) -> list[tuple[str, str, str]]:
        """(name in the evaluation, Most or Least, bound)."""
        said = self.model_dump(by_alias=True, exclude_none=True)
        kinds = ((field, kind) for field in said for kind in ("Most", "Least") if field.endswith(kind))
        return [(field.removesuffix(kind), kind, said[field]) for field, kind in kinds]


def _complaint(name: str, kind: str, bound: str, measured: object) -> str:
    value = _number(measured)
    if value is None:
        return f"{name} was not measured, {_WORDS[kind]} {bound} is required"
    reached = value <= float(bound) if kind == "Most" else value >= float(bound)
    return "" if reached else f"{name} is {measured}, {_WORDS[kind]} {bound} is required"


_WORDS = {"Most": "at most", "Least": "at least"}


def _number(measured: object) -> float | None:
    try:
        value = float(measured) if isinstance(measured, str) else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


class Evaluation(Model):
    """On the held-out data, after training: the model's bits per byte, and the unigram byte entropy beside them."""

    bits_per_byte: Figure = Field(description="The model's, a decimal; lower is better. Of the answers, with sft.")
    unigram_bits_per_byte: Figure = Field(
        description="Of a model that knows only how frequent each byte is: what training has to beat."
    )
    perplexity: Figure | None = Field(default=None, description="Per token, a decimal; lower is better.")
    answers: Annotated[int, Field(ge=0)] | None = Field(default=None, description="How many prompts were answered.")
    exact_match: Figure | None = Field(
        default=None, description="Share of answers that equal the reference, 0 to 1: a decimal."
    )
    rouge1: Figure | None = Field(default=None, description="ROUGE-1 F1 of the answers, 0 to 1: a decimal.")
    rouge2: Figure | None = Field(default=None, description="ROUGE-2 F1 of the answers, 0 to 1: a decimal.")
    rouge_l: Figure | None = Field(default=None, description="ROUGE-L F1 of the answers, 0 to 1: a decimal.")
