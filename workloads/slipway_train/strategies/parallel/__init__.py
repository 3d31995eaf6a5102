"""Strategy `parallel`: tensor, sequence, context and pipeline parallel, with FSDP over what is left.

Decided here: the order in which a model is cut (stages, then each layer's matrices, then pieces of what remains), and
what holds between the parts: losses are divided by the targets of the global batch and gradients are added up, so it
does not matter which process computed what; the head's and the embedding's gradients are one gradient, also where they
are two stages' weights; and the norm that is clipped is the whole model's.
"""

import logging
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor

from ...batch import Batch
from ...config import Recipe
from ...gang import Gang
from ...model import build_optimizer
from .. import GRADIENT_NORM, State, state
from ..checkpointing import checkpoint_activations
from ..fsdp import in_pieces_again, shard_layers, shard_settings
from ..pieces import Pieces, pieces
from .context import my_part, use_context_attention, whole_rows
from .experts import average_gradients, deal_experts, use_dealt_experts
from .layout import Layout, layout
from .pipeline import Part, Pipeline
from .stage import TIED, Stage, document_numbers
from .tensor import cut_layers


class Parallel:
    """The processes of a data rank hold a model together."""

    def __init__(self, model: Any, recipe: Recipe, gang: Gang) -> None:  # noqa: ANN401 - transformers is not typed for us
        # it warns, once per process and kind of sum, that two meshes' sums are two collectives
        logging.getLogger("torch.distributed.tensor._redistribute").setLevel(logging.ERROR)
        self._gang = gang
        self._layout = layout(recipe.parallel, gang)
        self.data_rank, self.data_size = self._layout.data_rank, self._layout.data_size
        if self._layout.context is not None:
            use_context_attention(model, self._layout.context)
        if self._layout.experts is not None:
            use_dealt_experts(model, self._layout.experts.get_group("expert"))
        checkpoint_activations(model, recipe)
        model.to(gang.device)
        self._stages = [_stage(model, index, recipe, self._layout) for index in self._layout.my_stages]
        self._modules = torch.nn.ModuleList(self._stages)
        self._named = {name: p for stage in self._stages for name, p in stage.parameters_by_name().items()}
        self._trained = {name: parameter for name, parameter in self._named.items() if parameter.requires_grad}
        self._optimizer = build_optimizer(self._modules, recipe.training.optimizer)
        self._optimizer.param_groups = [part for group in self._optimizer.param_groups for part in _by_mesh(group)]
        self._pipeline = Pipeline(self._stages, recipe, self._layout, gang.device)

    def step(self, micro_batches: Sequence[Batch], *, targets: int, rate: float) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        shards = self._layout.mesh["shard"].size()
        parts = [self._part(batch.to(self._gang.device)) for batch in micro_batches]
        loss = self._pipeline.backward(parts, scale=shards / targets)  # FSDP takes a mean, and the sum is wanted
        self._complete_gradients()
        self._clip()
        self._optimizer.step()
        self._optimizer.zero_grad()
        copies: int = shards * self._layout.cut.tensor  # each tensor parallel process has the same
        return float(loss) / copies

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def losses(self, batch: Batch) -> torch.Tensor:
        self._modules.eval()
        losses = self._pipeline.losses(self._part(batch.to(self._gang.device)))
        self._modules.train()
        in_pieces_again(self._modules)
        return whole_rows(losses, self._layout.context).flatten()

    def capture(self) -> State | None:
        return state.collect(state.capture(self._trained, self._optimizer, keep=self._keeps), self._gang)

    def pieces(self) -> Pieces:
        return pieces(state.held(self._trained, self._optimizer))

    def restore(self, captured: state.Source | None) -> None:
        state.restore(self._trained, self._optimizer, self._gang, captured)

    def export_state(self) -> State | None:
        return state.collect(state.whole(self._named, keep=self._keeps), self._gang)

    @property
    def _keeps(self) -> bool:
        """One process of each pipeline rank gathers the whole tensors of its stages."""
        coordinate = self._layout.mesh.get_coordinate() or [0, 0, 0]
        return bool(coordinate[1] == coordinate[2] == 0)

    def _part(self, batch: Batch) -> Part:
        """What this process sees of its data rank's rows, positions always given."""
        rank, size = self._layout.context_rank, self._layout.cut.context
        rows, length = batch.tokens.shape
        positions = batch.positions
        documents = None if positions is None else document_numbers(positions)
        if positions is None:
            positions = torch.arange(length, device=batch.tokens.device).expand(rows, length)
        tokens, labels, mine = (my_part(each, rank=rank, size=size) for each in (batch.tokens, batch.labels, positions))
        return Part(tokens, labels, mine, documents)

    def _complete_gradients(self) -> None:
        """Embedding and head are one matrix: where two stages have it, both step with the sum of its gradients."""
        for stage in self._stages:
            if stage.first != stage.last:
                dist.all_reduce(_local(stage.parameters_by_name()[TIED].grad), group=self._layout.ends)
            if self._layout.experts is not None:
                average_gradients(stage, self._layout.cut.expert)

    def _clip(self) -> None:
        squared = torch.zeros((), device=self._gang.device)
        counted = [parameter for stage in self._stages for parameter in stage.counted()]
        for part in _by_mesh({"params": counted}):
            norm = torch.nn.utils.get_total_norm([p.grad for p in part["params"] if p.grad is not None])
            squared += (norm.full_tensor() if isinstance(norm, DTensor) else norm).square()
        dist.all_reduce(squared, group=self._layout.mesh.get_group("pipeline"))
        for part in self._optimizer.param_groups:
            torch.nn.utils.clip_grads_with_norm_(part["params"], GRADIENT_NORM, squared.sqrt())


def _by_mesh(group: dict[str, Any]) -> list[dict[str, Any]]:
    """A parameter group for each mesh: torch steps and adds up many parameters at once, but not of two meshes."""
    by_mesh: dict[object, list[torch.nn.Parameter]] = {}
    for parameter in group["params"]:
        by_mesh.setdefault(getattr(parameter, "device_mesh", None), []).append(parameter)
    return [group | {"params": parameters} for parameters in by_mesh.values()]


def _stage(model: Any, index: int, recipe: Recipe, where: Layout) -> Stage:  # noqa: ANN401
    """Stage `index` of the whole model, cut into what this process holds of it."""
    layers = where.layers(index, model.config.num_hidden_layers)
    stage = Stage(model, layers, first=index == 0, last=index == where.stages - 1)
    if where.cut.tensor > 1:
        cut_layers(stage, where.mesh["tensor"])
    settings = shard_settings(where.mesh["shard"], recipe, reshard=where.cut.pipeline == 1)
    if where.experts is not None:
        deal_experts(stage, where.experts, settings)
    shard_layers(stage, settings)
    return stage


def _local(gradient: torch.Tensor | None) -> torch.Tensor:
    assert gradient is not None
    return gradient.to_local() if isinstance(gradient, DTensor) else gradient
