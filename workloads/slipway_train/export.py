"""The finished model: a Hugging Face directory that transformers and vLLM load, beside a record of how it was made.

Decided here: `model/` appears by one rename, so whoever sees it sees all of it, and its record tells a later run of the
same job that nothing is left to do. Weights are stored in the precision they were trained for.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils.logging import disable_progress_bar

from .errors import RecipeError
from .files import whole_directory
from .tokenizer import CHAT_TEMPLATE, END_OF_TEXT, PADDING

_RECORD = "slipway.json"


@dataclass(frozen=True, slots=True)
class Finished:
    """What a finished run has to say again: see the termination message in docs/training.md."""

    step: int
    evaluation: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        return {"evaluation": self.evaluation, "step": self.step}


def export_model(
    directory: Path, model: LlamaForCausalLM, tokenizer: Tokenizer, finished: Finished, *, recipe: str, bf16: bool
) -> None:
    """Writes `directory`. `recipe` is the fingerprint; after this call the model's weights may have been cast."""
    disable_progress_bar()
    with whole_directory(directory) as partial:
        model.to(torch.bfloat16 if bf16 else torch.float32).save_pretrained(partial)
        _serving_tokenizer(tokenizer, model.config.max_position_embeddings).save_pretrained(
            partial, save_jinja_files=False
        )
        (partial / _RECORD).write_text(json.dumps({"recipe": recipe, **finished.to_json()}, indent=2))


def read_finished(directory: Path, *, recipe: str) -> Finished | None:
    """What an earlier run of this recipe exported, if it did. Raises RecipeError where another recipe did."""
    if not directory.exists():
        return None
    try:
        record = json.loads((directory / _RECORD).read_text())
    except (OSError, ValueError) as error:
        raise RecipeError(
            f"{directory} is there, but not by this recipe ({error}): give this job an output of its own"
        ) from None
    if record.get("recipe") != recipe:
        raise RecipeError(f"{directory} was made from another recipe: give this job an output of its own")
    return Finished(step=record["step"], evaluation=record["evaluation"])


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
