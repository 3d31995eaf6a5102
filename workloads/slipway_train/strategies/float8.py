"""fp8: the products of a model's layers in eight bits, all else in bfloat16, weights and optimizer in float32.

The formats are those of Micikevicius et al. 2022 (arXiv:2209.05433): E4M3 for activations and weights, E5M2 for
gradients. Decided here: a matrix has one scale, which is made anew from its own largest number at every product. So a
step stays a function of the checkpoint before it, and no history of scales has to be saved. The products are torch's
scaled_mm; embedding and head stay in bfloat16, which is usual: they lose the most and are multiplied once. A model that
is measured computes in bfloat16, as whoever serves it will.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import ScalingType, scaled_mm
from transformers.modeling_layers import GradientCheckpointingLayer  # what its transformer layers have in common

from slipway.api.precision import FP8_MULTIPLE

from ..config import Recipe
from ..errors import RecipeError

LEAST_CAPABILITY = (8, 9)  # CUDA's: Ada; Hopper is 9.0
_NUMBERS, _GRADIENTS = torch.float8_e4m3fn, torch.float8_e5m2
_TINY = 1e-12  # instead of the largest number of a matrix of zeros


def check_device(recipe: Recipe, device: torch.device) -> None:
    """Raises RecipeError where the recipe computes in fp8 and this device does not multiply it."""
    if recipe.precision != "fp8":
        return
    if device.type != "cuda":
        raise RecipeError(f"precision: fp8 needs a GPU that multiplies it, and this is a {device.type}: use bf16")
    capability = torch.cuda.get_device_capability(device)
    if capability < LEAST_CAPABILITY:
        least, found = (".".join(map(str, each)) for each in (LEAST_CAPABILITY, capability))
        raise RecipeError(
            f"precision: fp8 needs a GPU of compute capability {least} or more (L4, L40S, H100 and later), and "
            f"{torch.cuda.get_device_name(device)} has {found}: use bf16, or ask for another GPU"
        )


def use_float8(model: torch.nn.Module) -> None:
    """Before a strategy takes the model, whose parameters stay as they are. RecipeError where a layer's width does not
    allow it."""
    for layer in [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]:
        for parent, name, linear in list(_linears(layer)):
            if linear.in_features % FP8_MULTIPLE or linear.out_features % FP8_MULTIPLE:
                raise RecipeError(
                    f"precision: fp8 multiplies by sixteens, and the model's {name} is {linear.in_features} by "
                    f"{linear.out_features}: use bf16"
                )
            setattr(parent, name, Float8Linear.of(linear))


class Float8Linear(torch.nn.Linear):  # type: ignore[misc]
    """Multiplies in eight bits while it is trained."""

    @classmethod
    def of(cls, linear: torch.nn.Linear) -> "Float8Linear":
        """With the very parameters of `linear`."""
        made = cls(linear.in_features, linear.out_features, bias=linear.bias is not None, device="meta")
        made.weight, made.bias = linear.weight, linear.bias
        made.train(linear.training)
        return made

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """(..., in) -> (..., out), of bfloat16 in training."""
        if not self.training:
            return super().forward(rows)
        flat: torch.Tensor = _Product.apply(rows.to(torch.bfloat16).flatten(0, -2), self.weight)
        product = flat.unflatten(0, rows.shape[:-1])
        return product if self.bias is None else product + self.bias.to(product.dtype)


class _Product(torch.autograd.Function):  # type: ignore[misc]
    """rows (n, in) and weight (out, in) -> (n, out)."""

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:  # noqa: ANN401 - torch's own
        ctx.save_for_backward(rows, weight)
        return _multiplied(_scaled(rows, _NUMBERS), _scaled(weight, _NUMBERS), rows.dtype, fast=True)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # noqa: ANN401
        rows, weight = ctx.saved_tensors
        scaled = _scaled(gradient, _GRADIENTS)
        of_rows = _multiplied(scaled, _scaled(weight, _NUMBERS).turned(), rows.dtype)
        return of_rows, _multiplied(scaled.turned(), _scaled(rows, _NUMBERS).turned(), weight.dtype)


@dataclass(frozen=True, slots=True)
class _Scaled:
    """`numbers` of eight bits, row after row; times `scale` they are the matrix."""

    numbers: torch.Tensor
    scale: torch.Tensor

    def turned(self) -> "_Scaled":
        return _Scaled(self.numbers.t().contiguous(), self.scale)


def _scaled(matrix: torch.Tensor, form: torch.dtype) -> _Scaled:
    most = torch.finfo(form).max
    scale = matrix.abs().amax().float().clamp(min=_TINY) / most
    return _Scaled((matrix.float() / scale).clamp(-most, most).to(form).contiguous(), scale)


def _multiplied(left: _Scaled, right: _Scaled, result: torch.dtype, *, fast: bool = False) -> torch.Tensor:
    """`left` times `right` turned: both have the numbers that are added up in a row, as Hopper wants them. `fast` adds
    up in fewer bits there, which a forward pass bears."""
    whole = ScalingType.TensorWise
    return scaled_mm(
        left.numbers,
        right.numbers.t(),
        left.scale,
        whole,
        right.scale,
        whole,
        output_dtype=result,
        use_fast_accum=fast,
    )


def _linears(layer: torch.nn.Module) -> Iterator[tuple[torch.nn.Module, str, torch.nn.Linear]]:
    """Each with the module that has it, and its name there."""
    for parent in layer.modules():
        for name, child in parent.named_children():
            if type(child) is torch.nn.Linear:
                yield parent, name, child
