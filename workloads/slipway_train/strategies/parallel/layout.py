"""Where this process stands: which stages, which rows, which part of the sequence, which share of a layer.

Decided here: tensor parallel processes are neighbours, since they talk most, then context parallel ones, then data
parallel ones; stages are farthest apart. Experts are dealt out among neighbours. FSDP cuts the weights over data and
context parallel processes alike, because both add up gradients.
"""

from dataclasses import dataclass

import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from slipway.api.strategies import ParallelSpec

from ...config import stages_per_process
from ...gang import Gang

_MESH = ("pipeline", "shard", "tensor")


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes, this process's coordinates, and whom it shares what with."""

    mesh: DeviceMesh
    cut: ParallelSpec
    data_rank: int
    data_size: int
    pipeline_rank: int
    context_rank: int
    context: dist.ProcessGroup | None
    ends: dist.ProcessGroup | None  # the first and the last process of a pipeline, on both; None elsewhere
    experts: DeviceMesh | None  # its dimensions `replica` and `expert`; None where experts are not dealt out

    @property
    def stages(self) -> int:
        return self.cut.pipeline * stages_per_process(self.cut)

    @property
    def my_stages(self) -> list[int]:
        return list(range(self.pipeline_rank, self.stages, self.cut.pipeline))

    def layers(self, stage: int, layers: int) -> range:
        size = layers // self.stages
        return range(stage * size, (stage + 1) * size)


def layout(cut: ParallelSpec, gang: Gang) -> Layout:
    """`cut` has been checked to divide the gang. A collective: process groups are made."""
    shards = gang.world_size // (cut.pipeline * cut.tensor)
    mesh = init_device_mesh(gang.device.type, (cut.pipeline, shards, cut.tensor), mesh_dim_names=_MESH)
    pipeline_rank, shard, _ = mesh.get_coordinate() or (0, 0, 0)
    ranks = mesh.mesh.reshape(cut.pipeline, shards // cut.context, cut.context, cut.tensor)
    return Layout(
        mesh=mesh,
        cut=cut,
        data_rank=shard // cut.context,
        data_size=shards // cut.context,
        pipeline_rank=pipeline_rank,
        context_rank=shard % cut.context,
        context=_group(ranks.movedim(2, -1).reshape(-1, cut.context).tolist()),
        ends=_group(ranks[[0, -1]].flatten(1).T.tolist()) if cut.pipeline > 1 else None,
        experts=_experts(cut, gang, shards) if cut.expert > 1 else None,
    )


def _experts(cut: ParallelSpec, gang: Gang, shards: int) -> DeviceMesh:
    """`tensor` is 1: there is no mesh for both."""
    sizes = (cut.pipeline, shards // cut.expert, cut.expert)
    return init_device_mesh(gang.device.type, sizes, mesh_dim_names=("pipeline", "replica", "expert"))


def _group(lists: list[list[int]]) -> dist.ProcessGroup | None:
    """The group of this process among groups of these ranks; None where it is in none, or alone."""
    mine: dist.ProcessGroup | None = None
    for ranks in lists:
        group = dist.new_group(ranks) if len(ranks) > 1 else None
        if dist.get_rank() in ranks:
            mine = group
    return mine
