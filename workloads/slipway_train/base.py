"""The base model of sft, lora and qlora: a directory of Hugging Face's, read without running its Python.

Decided here: safetensors only, no code from the directory (its chat template is rendered in jinja's sandbox), and the
architectures whose packed attention is tested (packing.py). Its identity is its configuration and tokenizer, and the
names and sizes of its weights.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.utils.logging import disable_progress_bar

from .errors import RecipeError

ARCHITECTURES = ("llama", "mistral", "qwen2", "qwen3")
_FIELD = "baseModel.uri"
# Other weights are pickles. Those that do not fit are told by name, and not by an exception with a table in it.
_SAFE = {"local_files_only": True, "use_safetensors": True, "ignore_mismatched_sizes": True}


@dataclass(frozen=True, slots=True)
class Base:
    """`fingerprint` tells one base model from another."""

    path: Path
    config: PretrainedConfig
    fingerprint: str

    def model(self, **options: object) -> PreTrainedModel:
        """A fresh copy, in float32 on the CPU unless `options` of from_pretrained say otherwise."""
        disable_progress_bar()
        options = {"dtype": torch.float32, "attn_implementation": "sdpa", **_SAFE, **options}
        model, told = AutoModelForCausalLM.from_pretrained(self.path, output_loading_info=True, **options)
        strange = {each if isinstance(each, str) else each[0] for each in told["mismatched_keys"]}
        if lacking := sorted({*told["missing_keys"], *strange}):
            raise RecipeError(f"{_FIELD}: {self.path} has no weights that fit {lacking[0]}, which would be random")
        return model

    def tokenizer(self) -> PreTrainedTokenizerFast:
        try:
            found = AutoTokenizer.from_pretrained(self.path, local_files_only=True)
        except OSError:
            raise  # the volume's, perhaps: it may pass
        except Exception as error:  # the tokenizers library raises nothing more precise
            raise RecipeError(f"{_FIELD}: {self.path}/tokenizer.json cannot be used: {error}") from None
        if len(found) > self.config.vocab_size:
            raise RecipeError(
                f"{_FIELD}: its tokenizer has {len(found)} tokens, and the model {self.config.vocab_size}"
            )
        return found


def open_base(path: str, *, context: int) -> Base:
    """Raises RecipeError where the directory cannot be trained from, with at most `context` tokens in a row."""
    directory = Path(path)
    config = _config(directory)
    if config.model_type not in ARCHITECTURES:
        raise RecipeError(f"{_FIELD}: {config.model_type} models are not known here, but {', '.join(ARCHITECTURES)}")
    if context > config.max_position_embeddings:
        raise RecipeError(
            f"baseModel.contextLength: {context} is more than the model's own {config.max_position_embeddings}"
        )
    _check_weights(directory)
    return Base(directory, config, _fingerprint(directory))


def padding_of(tokenizer: PreTrainedTokenizerFast) -> int:
    """What fills a row up; nothing attends to it."""
    found = next((each for each in (tokenizer.pad_token_id, tokenizer.eos_token_id) if each is not None), 0)
    return int(found)


def _config(directory: Path) -> PretrainedConfig:
    for name in ("config.json", "tokenizer.json"):
        if not (directory / name).is_file():
            raise RecipeError(f"{_FIELD}: {directory} has no {name}: it must be a Hugging Face model directory")
    try:
        json.loads((directory / "config.json").read_text())
        return AutoConfig.from_pretrained(directory, local_files_only=True)
    except (ValueError, KeyError, OSError) as error:
        raise RecipeError(f"{_FIELD}: {directory}/config.json cannot be used: {error}") from None


def _check_weights(directory: Path) -> None:
    if not list(directory.glob("*.safetensors")):
        raise RecipeError(f"{_FIELD}: {directory} has no *.safetensors: other weights are programs, and not loaded")


def _fingerprint(directory: Path) -> str:
    digest = hashlib.sha256()
    for name in ("config.json", "tokenizer.json"):
        digest.update((directory / name).read_bytes())
    for path in sorted(directory.glob("*.safetensors")):
        digest.update(f"{path.name} {path.stat().st_size}\n".encode())
    return digest.hexdigest()
