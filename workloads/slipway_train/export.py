"""The finished model: a Hugging Face directory that transformers and vLLM load, beside a record of how it was made.

Decided here: `model/` appears by one rename, so whoever sees it sees all of it, and its record tells a later run of the
same job that nothing is left to do. Weights are stored in the precision they were trained for.
"""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast
from transformers.utils.logging import disable_progress_bar

from slipway.api.evaluation import Requirement

from .errors import Diverged, RecipeError, RequirementNotMet, is_volumes_fault
from .files import whole_directory
from .logs import event, log
from .tokenizer import CHAT_TEMPLATE, END_OF_TEXT, PADDING

_RECORD = "slipway.json"


Figures = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Finished:
    """What a finished run has to say again: see the termination message in docs/training.md. `data` counts rows."""

    step: int
    evaluation: Figures
    data: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        said = {"evaluation": dict(self.evaluation), "step": self.step}
        return said | {"data": dict(self.data)} if self.data else said


def check_finite(evaluation: Figures) -> None:
    """Before anything is exported, on every rank: the last step may have broken a model whose loss was still finite."""
    for name, figure in evaluation.items():
        if not math.isfinite(float(figure)):
            raise Diverged(f"evaluation: {name} is {figure}")


def check_required(require: Requirement | None, evaluation: Figures) -> None:
    """Before anything is exported. Raises RequirementNotMet with both numbers of each bound that is missed."""
    if unmet := require.unmet(evaluation) if require else []:
        raise RequirementNotMet(f"output.require: {'; '.join(unmet)}", evaluation)


def export_model(
    directory: Path, model: LlamaForCausalLM, tokenizer: Tokenizer, finished: Finished, *, recipe: str, bf16: bool
) -> None:
    """Writes `directory`. `recipe` is the fingerprint; after this call the model's weights may have been cast."""
    serving = _serving_tokenizer(tokenizer, model.config.max_position_embeddings)
    with exported(directory, finished, recipe=recipe) as partial:
        write_model(partial, model, serving, bf16=bf16)


@contextmanager
def exported(directory: Path, finished: Finished, *, recipe: str) -> Iterator[Path]:
    """Yields a directory to fill, which then gets its record and becomes `directory` at once."""
    disable_progress_bar()
    with whole_directory(directory) as partial:
        yield partial
        (partial / _RECORD).write_text(json.dumps({"recipe": recipe, **finished.to_json()}, indent=2))
    log.info(event("exported", directory=directory))


def write_model(directory: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, *, bf16: bool) -> None:
    """Casts the model."""
    model.to(torch.bfloat16 if bf16 else torch.float32).save_pretrained(directory)
    tokenizer.save_pretrained(directory, save_jinja_files=False)


def read_finished(directory: Path, *, recipe: str) -> Finished | None:
    """What an earlier run of this recipe exported, if it did.

    Raises RecipeError where another recipe did, and OSError where the volume fails.
    """
    if not directory.exists():
        return None
    try:
        record = json.loads((directory / _RECORD).read_text())
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and is_volumes_fault(error):
            raise
        raise RecipeError(
            f"{directory} is there, but not by this recipe ({error}): give this job an output of its own"
        ) from None
    if record.get("recipe") != recipe:
        raise RecipeError(f"{directory} was made from another recipe: give this job an output of its own")
    return Finished(record["step"], record["evaluation"], record.get("data", {}))


def _serving_tokenizer(tokenizer: Tokenizer, context: int) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        pad_token=PADDING,
        model_max_length=context,
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )
