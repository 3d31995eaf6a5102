"""The recipes `lora` and `qlora`: the base model stands still, and low-rank updates of its linear layers are trained.

LoRA is Hu et al. 2021 (arXiv:2106.09685), by peft. Decided here: the adapter is float32; qlora's base is NF4 with its
constants quantized as well (Dettmers et al. 2023, arXiv:2305.14314), by bitsandbytes, and what is measured and merged
is the adapter on the base as it is on disk, unquantized: that is what a server loads. The adapter's directory is peft's
own, which vLLM loads. Checkpoints hold the adapter alone, for the base can be read again. Under fsdp the base lies in
pieces like the adapter, and no gradient of it is made or sent.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import PreTrainedModel

from ..base import Base
from ..chat import Chat
from ..checkpoint import Checkpoint
from ..config import Recipe
from ..errors import RecipeError
from ..export import Finished, exported
from ..gang import Gang
from ..output import Output
from ..strategies import State
from .instruct import Instruct, agreed_base
from .sft import write_served

if TYPE_CHECKING:
    from peft import PeftModel

_MODEL_CARD = "README.md"


def lora(recipe: Recipe, gang: Gang, checkpoint: Checkpoint | None) -> Instruct:
    base = agreed_base(recipe, gang)
    return Instruct(recipe, gang, checkpoint, base, Adapter(recipe, base, {}))


def qlora(recipe: Recipe, gang: Gang, checkpoint: Checkpoint | None) -> Instruct:
    base = agreed_base(recipe, gang)
    return Instruct(recipe, gang, checkpoint, base, Adapter(recipe, base, quantized(recipe, gang.device)))


def quantized(recipe: Recipe, device: torch.device) -> dict[str, Any]:
    """The options of from_pretrained that make the base NF4. Raises RecipeError without bitsandbytes."""
    from transformers import BitsAndBytesConfig

    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        raise RecipeError(
            "recipe: qlora needs bitsandbytes in the image: install slipway[qlora], or use lora"
        ) from None
    computed = torch.bfloat16 if recipe.bf16 else torch.float32
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=computed,
        bnb_4bit_quant_storage=computed if recipe.strategy == "fsdp" else torch.uint8,
    )
    return {"quantization_config": config, "device_map": {"": device}}


def ready(model: torch.nn.Module, *, for_pieces: bool) -> None:
    """bitsandbytes' layers for training. Measured they compute as they do in training: on some CPUs they would reorder
    their numbers for that, and multiply in bfloat16 whatever is asked for.

    `for_pieces` makes their weights plain numbers, which FSDP cuts and gathers like any others; their constants stay
    whole in every process, and a layer finds its own again when its weight is gathered.
    """
    from bitsandbytes.nn import Linear4bit

    for layer in [module for module in model.modules() if isinstance(module, Linear4bit)]:
        layer.support_avx512bf16_for_cpu = False
        if for_pieces:
            constants = layer.weight.quant_state
            layer.weight = torch.nn.Parameter(layer.weight.data.as_subclass(torch.Tensor), requires_grad=False)
            layer.quant_state = layer.weight.quant_state = constants


class Adapter:
    """See `instruct.Trained`. `options` are the base's, as it is trained on."""

    def __init__(self, recipe: Recipe, base: Base, options: dict[str, Any]) -> None:
        self._recipe = recipe
        self._base = base
        self._options = options

    def model(self) -> torch.nn.Module:
        model = self._adapted(self._base.model(**self._options)).train()
        if self._options:
            ready(model, for_pieces=self._recipe.strategy == "fsdp")
        return model

    def whole(self, state: State) -> "PeftModel":
        """On the base as it is on disk. `state` may hold the whole base too, under names of its own."""
        model = self._adapted(self._base.model())
        adapter = {name: tensor for name, tensor in state.items() if ".lora_" in name}
        missing = {name for name, each in model.named_parameters() if each.requires_grad} - set(adapter)
        assert not missing, f"the strategy did not export {sorted(missing)[0]}"
        model.load_state_dict(adapter, strict=False)
        return model

    def export(self, whole: "PeftModel", chat: Chat, output: Output, finished: Finished) -> None:
        with exported(output.adapter, finished, recipe=self._recipe.fingerprint) as partial:
            write_adapter(partial, whole, chat)
        if self._recipe.output.merge == "merged":
            with exported(output.model, finished, recipe=self._recipe.fingerprint) as partial:
                write_served(partial, whole.merge_and_unload(), chat, bf16=self._recipe.bf16)

    def _adapted(self, model: PreTrainedModel) -> "PeftModel":
        """With fresh adapters, the same on every process: the update begins at zero."""
        from peft import LoraConfig, get_peft_model

        spec = self._recipe.adapter
        torch.manual_seed(self._recipe.training.seed)
        config = LoraConfig(
            task_type="CAUSAL_LM",
            r=spec.rank,
            lora_alpha=spec.alpha,
            lora_dropout=spec.dropout_percent / 100,
            target_modules=list(spec.target_modules),
        )
        return get_peft_model(model, config)


def write_adapter(directory: Path, model: "PeftModel", chat: Chat) -> None:
    """adapter_config.json, adapter_model.safetensors, and the tokenizer with the chat template it was trained by."""
    model.save_pretrained(directory, safe_serialization=True)
    (directory / _MODEL_CARD).unlink(missing_ok=True)  # peft's form for a hub, with nothing filled in
    chat.tokenizer.save_pretrained(directory, save_jinja_files=False)
