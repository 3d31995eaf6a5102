import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from slipway_train.config import Recipe
from slipway_train.errors import RecipeError
from slipway_train.export import Finished, export_model, read_finished
from slipway_train.model import build_model, llama_config

FINISHED = Finished(step=8, evaluation={"bitsPerByte": "2.5", "unigramBitsPerByte": "4.6"})


@pytest.fixture
def model(recipe: Recipe, tokenizer: Any) -> Any:
    return build_model(llama_config(recipe.model, tokenizer), seed=0)


def export(directory: Path, model: Any, tokenizer: Any, *, bf16: bool = False) -> Path:
    export_model(directory, model, tokenizer, FINISHED, recipe="fingerprint", bf16=bf16)
    return directory


def test_transformers_loads_the_same_model(tmp_path: Path, model: Any, tokenizer: Any) -> None:
    directory = export(tmp_path / "model", model, tokenizer)
    loaded = AutoModelForCausalLM.from_pretrained(directory)
    tokens = torch.arange(20)[None]
    assert torch.equal(loaded(tokens).logits, model(tokens).logits)
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight


def test_a_model_with_experts_is_a_mixtral_to_whoever_loads_it(tmp_path: Path, recipe: Recipe, tokenizer: Any) -> None:
    spec = recipe.model.model_copy(update={"experts": 4, "experts_per_token": 2})
    model = build_model(llama_config(spec, tokenizer), seed=0)
    directory = export(tmp_path / "model", model, tokenizer)
    loaded = AutoModelForCausalLM.from_pretrained(directory)
    assert type(loaded).__name__ == "MixtralForCausalLM"
    tokens = torch.arange(20)[None]
    assert torch.equal(loaded(tokens).logits, model(tokens).logits)
    with safe_open(directory / "model.safetensors", "pt") as file:
        experts = {name for name in file.keys() if "layers.0.block_sparse_moe.experts." in name}  # noqa: SIM118
    prefix = "model.layers.0.block_sparse_moe.experts"
    assert experts == {f"{prefix}.{number}.w{part}.weight" for number in range(4) for part in (1, 2, 3)}, (
        "the names of Mixtral's own checkpoints, which servers read"
    )


def test_transformers_loads_the_same_tokenizer(tmp_path: Path, model: Any, tokenizer: Any) -> None:
    loaded = AutoTokenizer.from_pretrained(export(tmp_path / "model", model, tokenizer))
    text = "def value(self):\n    return None  # ä€𐍈\n"
    assert loaded(text)["input_ids"] == tokenizer.encode(text).ids
    assert loaded.decode(loaded(text)["input_ids"]) == text
    assert (loaded.eos_token_id, loaded.pad_token_id, loaded.model_max_length) == (0, 1, 32)


def test_a_conversation_becomes_text_that_the_model_goes_on_from(tmp_path: Path, model: Any, tokenizer: Any) -> None:
    loaded = AutoTokenizer.from_pretrained(export(tmp_path / "model", model, tokenizer))
    conversation = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "x = 1"},
        {"role": "assistant", "content": "y = 2"},
        {"role": "user", "content": "z"},
    ]
    text = loaded.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)
    assert text == "<|endoftext|>Be brief.\nx = 1\ny = 2\nz"
    ids = loaded.apply_chat_template(conversation, add_generation_prompt=True, return_dict=False)
    assert ids[0] == 0
    assert 0 not in ids[1:], "one start, from the template alone"


def test_the_files_are_those_that_a_server_looks_for(tmp_path: Path, model: Any, tokenizer: Any) -> None:
    directory = export(tmp_path / "model", model, tokenizer)
    assert {path.name for path in directory.iterdir()} == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "slipway.json",
    }
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o644}
    assert "chat_template" in json.loads((directory / "tokenizer_config.json").read_text())
    config = json.loads((directory / "config.json").read_text())
    assert (config["architectures"], config["model_type"]) == (["LlamaForCausalLM"], "llama")
    assert config["max_position_embeddings"] == 32
    assert GenerationConfig.from_pretrained(directory).eos_token_id == 0


@pytest.mark.parametrize(("bf16", "name"), [(False, "float32"), (True, "bfloat16")])
def test_the_precision_is_the_recipes(tmp_path: Path, model: Any, tokenizer: Any, bf16: bool, name: str) -> None:
    directory = export(tmp_path / "model", model, tokenizer, bf16=bf16)
    assert json.loads((directory / "config.json").read_text())["dtype"] == name


def test_a_finished_model_is_recognised(tmp_path: Path, model: Any, tokenizer: Any) -> None:
    assert read_finished(tmp_path / "model", recipe="fingerprint") is None
    directory = export(tmp_path / "model", model, tokenizer)
    assert read_finished(directory, recipe="fingerprint") == FINISHED


def test_a_model_of_another_recipe_is_refused(tmp_path: Path, model: Any, tokenizer: Any) -> None:
    directory = export(tmp_path / "model", model, tokenizer)
    with pytest.raises(RecipeError, match="made from another recipe"):
        read_finished(directory, recipe="other")
    (directory / "slipway.json").unlink()
    with pytest.raises(RecipeError, match="not by this recipe"):
        read_finished(directory, recipe="fingerprint")


def test_a_volume_that_fails_is_no_other_recipe(
    tmp_path: Path, model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job is tried again, and does not end for good."""
    directory = export(tmp_path / "model", model, tokenizer)

    def fails(*_: object, **__: object) -> str:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "read_text", fails)
    with pytest.raises(OSError, match="Input/output error"):
        read_finished(directory, recipe="fingerprint")


def test_a_failed_export_shows_nothing(tmp_path: Path, model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="backend tokenizer"):
        export(tmp_path / "model", model, None)
    assert read_finished(tmp_path / "model", recipe="fingerprint") is None
