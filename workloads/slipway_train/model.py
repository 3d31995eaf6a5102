"""The model: Llama's architecture, with experts Mixtral's, in the recipe's shape, as transformers builds it.

Decided here: input and output embeddings are one matrix (in a small model they would be a third of it), the
feed-forward width is 8/3 of the hidden size rounded up to 32, and the learning rate is a pure function of the step, so
that a checkpoint need not hold a scheduler.
"""

import math
from typing import TypeAlias

import torch
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM, MixtralConfig, MixtralForCausalLM

from slipway.api.trainingjob import ModelSpec, OptimizerSpec

from .batch import IGNORED, Batch
from .config import feed_forward_width
from .tokenizer import END_OF_TEXT, PADDING

Config: TypeAlias = LlamaConfig | MixtralConfig
_FINAL_SHARE = 0.1  # of the learning rate, at the last step


def llama_config(spec: ModelSpec, tokenizer: Tokenizer) -> Config:
    """The Hugging Face configuration; serving reads the same file. With experts it is a Mixtral's."""
    end = tokenizer.token_to_id(END_OF_TEXT)
    shape = {
        "vocab_size": spec.vocab_size,
        "hidden_size": spec.hidden_size,
        "intermediate_size": feed_forward_width(spec.hidden_size),
        "num_hidden_layers": spec.layers,
        "num_attention_heads": spec.heads,
        "num_key_value_heads": spec.kv_heads,
        "max_position_embeddings": spec.context_length,
        "tie_word_embeddings": True,
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": tokenizer.token_to_id(PADDING),
    }
    if spec.experts == 1:
        return LlamaConfig(**shape)
    experts = {"num_local_experts": spec.experts, "num_experts_per_tok": spec.experts_per_token}
    return MixtralConfig(**shape, **experts, head_dim=spec.hidden_size // spec.heads, router_aux_loss_coef=0.0)


def build_model(config: Config, *, seed: int) -> LlamaForCausalLM | MixtralForCausalLM:
    """A fresh model with weights in float32 on the CPU; the same seed gives the same weights."""
    torch.manual_seed(seed)
    return MixtralForCausalLM(config) if isinstance(config, MixtralConfig) else LlamaForCausalLM(config)


def build_optimizer(model: torch.nn.Module, spec: OptimizerSpec) -> torch.optim.Optimizer:
    """AdamW; weight decay on matrices only, as usual: a norm's scale has no reason to be small."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": float(spec.weight_decay)},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=float(spec.learning_rate), betas=(0.9, 0.95), fused=True)


def learning_rate(step: int, *, steps: int, spec: OptimizerSpec) -> float:
    """At `step`, counted from 0: linear warm-up, then a cosine to a tenth at the last step."""
    peak, warmup = float(spec.learning_rate), spec.warmup_steps
    if step < warmup:
        return peak * (step + 1) / warmup
    done = min(1.0, (step - warmup) / max(1, steps - 1 - warmup))
    return peak * (_FINAL_SHARE + (1 - _FINAL_SHARE) * (1 + math.cos(math.pi * done)) / 2)


def token_losses(model: torch.nn.Module, batch: Batch, *, bf16: bool) -> torch.Tensor:
    """Cross-entropy in nats per label, shape (rows * context,); IGNORED counts 0. Logits are taken in float32."""
    packed = {} if batch.positions is None else {"position_ids": batch.positions}
    with torch.autocast(batch.tokens.device.type, dtype=torch.bfloat16, enabled=bf16):
        logits = model(input_ids=batch.tokens, use_cache=False, **packed).logits
    return torch.nn.functional.cross_entropy(
        logits.float().flatten(0, 1), batch.labels.flatten(), ignore_index=IGNORED, reduction="none"
    )
