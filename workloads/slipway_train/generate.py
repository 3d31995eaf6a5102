"""Greedy answers to a batch of prompts, with a key-value cache.

Decided here: our own loop and not `generate`, whose defaults come from the base model's directory: greedy means the
most likely token, always. Prompts are padded at the left and masked, so an answer does not depend on its neighbours.
"""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel


@torch.no_grad()  # type: ignore[untyped-decorator]
def answer(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    *,
    most: int,
    stops: frozenset[int],
    padding: int,
    bf16: bool,
) -> list[list[int]]:
    """At most `most` tokens for each prompt, without the one of `stops` that ended it."""
    device = next(model.parameters()).device
    longest = max(map(len, prompts))
    tokens = torch.tensor([[padding] * (longest - len(each)) + list(each) for each in prompts], device=device)
    mask = torch.tensor([[0] * (longest - len(each)) + [1] * len(each) for each in prompts], device=device)
    answers: list[list[int]] = [[] for _ in prompts]
    open_ = set(range(len(prompts)))
    cache = None
    for _ in range(min(most, model.config.max_position_embeddings - longest)):
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
            out = model(tokens, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True)
        cache, chosen = out.past_key_values, out.logits[:, -1].argmax(dim=-1)
        for index, token in enumerate(chosen.tolist()):
            if index in open_:
                open_.discard(index) if token in stops else answers[index].append(token)
        if not open_:
            break
        tokens = chosen[:, None]
        mask = torch.cat([mask, torch.ones_like(tokens)], dim=1)
    return answers
