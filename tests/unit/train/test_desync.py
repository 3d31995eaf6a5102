import pytest
import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

from slipway_train import desync
from slipway_train.desync import Desync, Piece, check_shapes, first_difference
from slipway_train.errors import RanksDiffer, RecipeError
from slipway_train.gang import Gang
from slipway_train.loop import StepDone


def held(**values: int) -> dict[Piece, int]:
    return {(name, ()): value for name, value in values.items()}


def test_the_first_parameter_and_the_odd_ranks_are_named() -> None:
    assert first_difference([held(a=1, b=2, c=3), held(a=1, b=9, c=9), held(a=1, b=2, c=3)]) == ("b", [1])
    assert first_difference([held(a=1), held(a=9), held(a=9)]) == ("a", [0]), "what most have is right"
    assert first_difference([held(a=1), held(a=2)]) == ("a", [1]), "of two, the first is believed"
    assert first_difference([held(a=1), held(a=1)]) is None


def test_only_copies_of_the_same_piece_are_compared() -> None:
    shards: list[dict[Piece, int]] = [{("w", (rank % 2,)): value} for rank, value in enumerate([1, 2, 1, 2])]
    assert first_difference(shards) is None
    shards[3] = {("w", (1,)): 5}
    assert first_difference(shards) == ("w", [3])
    assert first_difference([held(a=1), held(b=2)]) is None, "stages of a pipeline share no parameters"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64, torch.int8])
def test_a_checksum_sees_one_bit_and_an_exchange(dtype: torch.dtype) -> None:
    one = torch.arange(24).reshape(4, 6).to(dtype)
    other, swapped = one.clone(), one.clone()
    other.view(-1)[7] += 1
    swapped[0, 0], swapped[3, 5] = one[3, 5], one[0, 0]
    sums = {desync._checksum(each) for each in (one, other, swapped)}
    assert len(sums) == 3
    assert desync._checksum(one.t().contiguous().t()) == desync._checksum(one), "of the numbers, not of their layout"


def done(step: int) -> StepDone:
    return StepDone(step, 1.0, 2.0, 0.1, None, False)


class OnRank1:
    """Rank 1's answer, as the other of two ranks, is what the test makes of rank 0's."""

    def __init__(self, change: object) -> None:
        self._change = change

    def gather(self, mine: object) -> list[object]:
        return [mine, self._change(mine)]  # type: ignore[operator]


def test_shapes_are_compared_before_anything_can_hang() -> None:
    model = torch.nn.Linear(3, 2)
    check_shapes(OnRank1(dict), model)  # type: ignore[arg-type]
    other = OnRank1(lambda mine: mine | {("weight", ()): ((2, 4), "torch.float32")})
    with pytest.raises(RanksDiffer, match="at step 0: shape of weight on rank 1 differs"):
        check_shapes(other, model)  # type: ignore[arg-type]


def test_a_gradient_that_differs_is_told_before_the_weights_that_follow_from_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(desync, "EVERY_STEPS", 2)
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def other(mine: dict[object, tuple[object, object]]) -> dict[object, tuple[object, object]]:
        return dict.fromkeys(mine, ((0, 0), (1, 1)))

    watching = Desync(OnRank1(other), model, step=0)  # type: ignore[arg-type]
    try:
        for step in (1, 2):
            model(torch.ones(1, 3)).sum().backward()
            optimizer.step()
            if step == 1:
                watching.on_step(done(step))
        with pytest.raises(RanksDiffer, match="at step 2: gradient of weight on rank 1 differs"):
            watching.on_step(done(2))
    finally:
        watching.close()


def test_after_a_resume_the_first_step_may_be_one_that_is_compared(gang: Gang) -> None:
    model = torch.nn.Linear(3, 2)
    watching = Desync(gang, model, step=desync.EVERY_STEPS - 1)
    model(torch.ones(1, 3)).sum().backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    watching.on_step(done(desync.EVERY_STEPS))
    watching.close()


def test_an_optimizer_of_other_parameters_is_no_silent_consent(gang: Gang) -> None:
    watching = Desync(gang, torch.nn.Linear(3, 2), step=desync.EVERY_STEPS - 1)
    with pytest.raises(RecipeError, match=r"desync: .* leave it out"):
        watching.on_step(done(desync.EVERY_STEPS))
    watching.close()


@pytest.mark.usefixtures("gang")
def test_a_shard_is_known_by_its_place_and_a_replica_by_none() -> None:
    mesh = init_device_mesh("cpu", (1, 1))
    weight = torch.arange(6.0).reshape(3, 2)
    sharded = distribute_tensor(weight, mesh, [Replicate(), Shard(0)])
    assert desync._shard(sharded) == (0,)
    assert desync._shard(distribute_tensor(weight, mesh, [Replicate(), Replicate()])) == desync._shard(weight) == ()
    assert desync._checksum(desync._local(sharded)) == desync._checksum(weight)
