"""How much of its devices' peak a run uses: mfu.py's formula, of the very model that is trained on the very device.

Decided here: parameters are counted in the model before a strategy cuts it, as a token meets them: an input embedding
that is not the output projection too is left out, and of a layer's experts those that a token visits count. The device
is rank 0's, and the gang is taken to have no other kind.
"""

import math
from dataclasses import dataclass

import torch

from .config import Recipe
from .gang import Gang
from .mfu import flops_per_token, mfu_percent, peak_flops

_EXPERTS = ".experts."


@dataclass(frozen=True, slots=True)
class Utilization:
    """`devices` of the gang, each with `peak_flops` operations per second."""

    flops_per_token: int
    devices: int
    peak_flops: float

    def percent(self, tokens_per_second: float) -> float:
        """`tokens_per_second` over the whole gang."""
        return mfu_percent(
            tokens_per_second=tokens_per_second,
            flops_per_token=self.flops_per_token,
            devices=self.devices,
            peak_flops=self.peak_flops,
        )


def of_gang(model: torch.nn.Module, recipe: Recipe, gang: Gang) -> Utilization | None:
    """None on CPUs, and on a device whose peak is not known."""
    name = torch.cuda.get_device_name(gang.device) if gang.device.type == "cuda" else "cpu"
    return of_devices(model, recipe, name, devices=gang.world_size)


def of_devices(model: torch.nn.Module, recipe: Recipe, name: str, *, devices: int) -> Utilization | None:
    peak = peak_flops(name, recipe.precision)
    return None if peak is None else Utilization(count_flops(model, context=recipe.context_length), devices, peak)


def count_flops(model: torch.nn.Module, *, context: int) -> int:
    """For one token of a row of `context` tokens, forward and backward. `model` is transformers' own, or peft's on it,
    whole."""
    config = model.config
    trained, frozen = 0, 0
    for name, parameter in model.named_parameters():
        if parameter is _looked_up(model):
            continue
        count = _size(parameter)
        if _EXPERTS in name:
            count = count * config.num_experts_per_tok // config.num_local_experts
        trained += count if parameter.requires_grad else 0
        frozen += 0 if parameter.requires_grad else count
    return flops_per_token(
        parameters=trained,
        frozen_parameters=frozen,
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        head_size=getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
        sequence_length=context,
    )


def _looked_up(model: torch.nn.Module) -> torch.nn.Parameter | None:
    """The input embedding, where nothing is multiplied with it."""
    weight: torch.nn.Parameter = model.get_input_embeddings().weight
    return None if weight is model.get_output_embeddings().weight else weight


def _size(parameter: torch.nn.Parameter) -> int:
    """In numbers: bitsandbytes keeps two of four bits in a byte, and their shape beside them."""
    quantized = getattr(parameter, "quant_state", None)
    return math.prod(quantized.shape) if quantized is not None else parameter.numel()
