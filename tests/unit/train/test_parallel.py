"""The parts of strategy parallel that need one process; gangs are in tests/integration/test_train_strategies.py."""

from typing import Any

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from slipway.api.strategies import ParallelSpec
from slipway_train.config import Recipe
from slipway_train.model import build_model, llama_config
from slipway_train.strategies.parallel import context, stage
from slipway_train.strategies.parallel.layout import Layout, layout
from slipway_train.strategies.parallel.stage import TIED, Stage


def where(cut: ParallelSpec, pipeline_rank: int = 0) -> Layout:
    nothing: Any = None
    return Layout(
        mesh=nothing,
        cut=cut,
        data_rank=0,
        data_size=1,
        pipeline_rank=pipeline_rank,
        context_rank=0,
        context=None,
        ends=None,
        experts=None,
    )


def test_stages_are_dealt_out_in_turn() -> None:
    two = ParallelSpec(pipeline=2)
    assert [where(two, rank).my_stages for rank in range(2)] == [[0], [1]]
    interleaved = ParallelSpec(pipeline=2, schedule="Interleaved1F1B")
    assert [where(interleaved, rank).my_stages for rank in range(2)] == [[0, 2], [1, 3]]
    assert [list(where(interleaved).layers(index, 8)) for index in range(4)] == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_a_process_alone_is_every_rank(gang: Any) -> None:
    alone = layout(ParallelSpec(), gang)
    assert (alone.data_rank, alone.data_size, alone.pipeline_rank, alone.context_rank) == (0, 1, 0, 0)
    assert (alone.context, alone.ends) == (None, None)
    assert (alone.stages, alone.my_stages) == (1, [0])


@pytest.mark.parametrize("size", [1, 2, 4])
def test_parts_of_a_sequence_are_as_much_work_each_and_make_it_whole(size: int) -> None:
    rows = torch.arange(32).reshape(2, 16)
    parts = [context.my_part(rows, rank=rank, size=size) for rank in range(size)]
    assert {part.shape for part in parts} == {(2, 16 // size)}
    assert len({int(part[0].sum()) for part in parts}) == 1, "as many earlier tokens to look at"
    if size > 1:
        assert torch.equal(context._in_order(parts, dim=1), rows)


@pytest.mark.parametrize("documents", [None, torch.tensor([[1, 1, 1, 2, 2, 2, 2, 3]])])
@pytest.mark.parametrize("piece", [0, 1, 3])
def test_a_piece_looks_back_as_far_as_the_whole_does(documents: torch.Tensor | None, piece: int) -> None:
    random = torch.Generator().manual_seed(0)
    query = torch.randn(1, 4, 8, 16, generator=random)
    key, value = (torch.randn(1, 2, 8, 16, generator=random) for _ in range(2))
    mask = torch.ones(1, 1, 8, 8).tril().bool() if documents is None else stage._mask(documents)
    whole = scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=0.3, enable_gqa=True)
    mine = query[:, :, 2 * piece : 2 * piece + 2]
    found = context._causal(mine, key, value, piece=piece, documents=documents, scale=0.3)
    assert torch.allclose(found, whole[:, :, 2 * piece : 2 * piece + 2], atol=1e-6)


def test_documents_are_numbered_by_where_positions_begin() -> None:
    assert stage.document_numbers(torch.tensor([[0, 1, 2, 0, 0, 1]])).tolist() == [[1, 1, 1, 2, 3, 3]]
    mask = stage._mask(torch.tensor([[1, 1, 2]]))[0, 0]
    assert mask.tolist() == [[True, False, False], [True, True, False], [False, False, True]]


@pytest.fixture
def model(recipe: Recipe, tokenizer: Any) -> Any:
    deeper = recipe.model.model_copy(update={"layers": 4})
    return build_model(llama_config(deeper, tokenizer), seed=1)


def test_stages_compute_what_the_model_computes(model: Any) -> None:
    tokens = torch.randint(0, 512, (2, 8), generator=torch.Generator().manual_seed(0))
    positions = torch.tensor([[0, 1, 2, 3, 4, 0, 1, 2]] * 2)
    first, last = (
        Stage(model, range(2), first=True, last=False),
        Stage(model, range(2, 4), first=False, last=True),
    )
    documents = stage.document_numbers(positions)
    found = last(first(tokens, positions=positions, documents=documents), positions=positions, documents=documents)
    expected = model(input_ids=tokens, position_ids=positions, use_cache=False).logits
    assert torch.allclose(found, expected, atol=1e-5)
    assert not torch.allclose(found, model(input_ids=tokens, use_cache=False).logits, atol=1e-3)


def test_a_stages_parameters_keep_their_names_and_the_head_is_the_embedding(model: Any) -> None:
    stages = [
        Stage(model, range(2), first=True, last=False),
        Stage(model, range(2, 4), first=False, last=True),
    ]
    names = [set(each.parameters_by_name()) for each in stages]
    assert names[0] | names[1] == {name for name, _ in model.named_parameters()}
    assert names[0] & names[1] == {TIED}
    counted = [parameter for each in stages for parameter in each.counted()]
    assert len(counted) == len({id(p) for p in counted}) == len(list(model.parameters()))


def test_a_stage_that_has_both_ends_has_one_matrix_for_them(model: Any) -> None:
    whole = Stage(model, range(4), first=True, last=True)
    whole.model.embed_tokens.weight = torch.nn.Parameter(whole.model.embed_tokens.weight.detach().clone())
    assert whole.lm_head.weight is not whole.model.embed_tokens.weight
    whole.tie()
    assert whole.lm_head.weight is whole.model.embed_tokens.weight
    assert len(whole.parameters_by_name()) == len(list(model.parameters()))
