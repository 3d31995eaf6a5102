"""The number format of a recipe's forward and backward pass, and what fp8 cannot go with.

Decided here: fp8 is for the products of a model's layers where a process computes whole layers of it (ddp, fsdp) and
trains all of them (pretrain, sft). GPUs multiply eight-bit matrices by sixteens, so widths and contexts that are no
multiples are refused before a pod is made. Which GPU can, plan/capacity knows where the spec names it, and the trainer
where it does not.
"""

from typing import Literal

from .common import Rule
from .strategies import Shape, of_model

Precision = Literal["fp32", "bf16", "fp8"]
FP8_MULTIPLE = 16
FP8_STRATEGIES = ("ddp", "fsdp")
FP8_RECIPES = ("pretrain", "sft")


def precision_rules(default: Shape) -> tuple[Rule, ...]:
    """Rules of a TrainingJob's spec."""
    hidden, heads = of_model("hiddenSize", default.hidden_size), of_model("heads", default.heads)
    keys = f"{hidden} / {heads} * {of_model('kvHeads', default.kv_heads)}"
    pretrained = of_model("contextLength", default.context_length)
    context = f"(has(self.baseModel) ? self.baseModel.contextLength : {pretrained})"
    return (
        _rule("self.accelerator != 'cpu'", "needs a GPU that multiplies it: with accelerator cpu use bf16 or fp32"),
        _rule(
            "self.strategy == 'auto' || self.strategy == 'ddp' || self.strategy == 'fsdp'",
            "trains by strategy ddp or fsdp: with deepspeed and parallel use bf16",
        ),
        _rule(
            "!has(self.recipe) || self.recipe == 'pretrain' || self.recipe == 'sft'",
            "is for pretrain and sft, which train every weight: with lora and qlora use bf16",
        ),
        _rule(f"{of_model('experts', default.experts)} == 1", "multiplies no experts: with model.experts use bf16"),
        _rule(
            f"{heads} < 1 || ({hidden} % {FP8_MULTIPLE} == 0 && {keys} % {FP8_MULTIPLE} == 0)",
            f"multiplies by sixteens: make model.hiddenSize and hiddenSize / heads * kvHeads multiples of "
            f"{FP8_MULTIPLE}, or use bf16",
        ),
        _rule(
            f"{context} % {FP8_MULTIPLE} == 0",
            f"multiplies by sixteens: make contextLength a multiple of {FP8_MULTIPLE}, or use bf16",
        ),
    )


def _rule(holds: str, message: str) -> Rule:
    return Rule(f"self.precision != 'fp8' || {holds}", f"precision fp8 {message}")
