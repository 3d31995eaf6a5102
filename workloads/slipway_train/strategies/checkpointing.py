"""Activation checkpointing: a layer's activations are computed again in the backward pass instead of being kept.

Decided here: per transformer layer, by transformers' own hook, which leaves the parameters' names alone.
"""

from typing import Any

from ..config import Recipe


def checkpoint_activations(model: Any, recipe: Recipe) -> None:  # noqa: ANN401 - transformers is not typed for us
    if recipe.activation_checkpointing == "full":
        model.gradient_checkpointing_enable({"use_reentrant": False})
