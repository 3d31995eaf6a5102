"""Tensor parallel layers, sequence parallel between them, through torch's own parallelize_module.

Decided here: attention is cut by heads and the feed-forward by its width, each column-wise then row-wise, so a layer
sends twice in each direction. Between them, where every token is on its own, each process has its share of the
sequence; embedding and head are cut by the vocabulary.
"""

from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import Replicate, Shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    ParallelStyle,
    PrepareModuleInput,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)

from .stage import Stage


def cut_layers(stage: Stage, mesh: DeviceMesh) -> None:
    """In place, over `mesh`'s processes."""
    for layer in stage.model.layers.values():
        parallelize_module(layer, mesh, _layer_plan())
    parallelize_module(stage, mesh, _ends_plan(stage))
    stage.tie()


def _layer_plan() -> dict[str, ParallelStyle]:
    whole_sequence = {"input_kwarg_layouts": {"hidden_states": Shard(1)}}
    return {
        "input_layernorm": SequenceParallel(),
        "self_attn": PrepareModuleInput(**whole_sequence, desired_input_kwarg_layouts={"hidden_states": Replicate()}),
        "self_attn.q_proj": ColwiseParallel(),
        "self_attn.k_proj": ColwiseParallel(),
        "self_attn.v_proj": ColwiseParallel(),
        "self_attn.o_proj": RowwiseParallel(output_layouts=Shard(1)),
        "post_attention_layernorm": SequenceParallel(),
        "mlp": PrepareModuleInput(input_layouts=(Shard(1),), desired_input_layouts=(Replicate(),)),
        "mlp.gate_proj": ColwiseParallel(),
        "mlp.up_proj": ColwiseParallel(),
        "mlp.down_proj": RowwiseParallel(output_layouts=Shard(1)),
    }


def _ends_plan(stage: Stage) -> dict[str, ParallelStyle]:
    plan: dict[str, ParallelStyle] = {}
    if stage.first:
        plan["model.embed_tokens"] = RowwiseParallel(input_layouts=Replicate(), output_layouts=Shard(1))
    if stage.last:
        plan["model.norm"] = SequenceParallel()
        plan["lm_head"] = ColwiseParallel(input_layouts=Shard(1), output_layouts=Replicate())
    return plan
