"""Packing: nothing is cut, lost or seen by its neighbours."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForCausalLM

from slipway_train.base import ARCHITECTURES
from slipway_train.batch import IGNORED, Batch
from slipway_train.data import DataPosition
from slipway_train.model import token_losses
from slipway_train.packing import OPEN_ROWS, PackedSamples, batch_of, pack, rounds
from slipway_train.spool import Table

CONTEXT, VOCABULARY, PADDING = 32, 97, 96


def table(lengths: list[int], seed: int = 0) -> Table:
    """Random tokens; the first third of each sample is its prompt."""
    random = np.random.default_rng(seed)
    tokens = [random.integers(0, VOCABULARY - 1, length).astype(np.int32) for length in lengths]
    stored = [np.where(np.arange(len(each)) * 3 < len(each), ~each, each) for each in tokens]
    ends = np.cumsum(lengths)
    return Table(np.concatenate(stored), ends - np.array(lengths), np.array(lengths, np.int32))


def samples(of: Table, start: int = 0, seed: int = 5) -> PackedSamples:
    return PackedSamples(of, seed=seed, context=CONTEXT, padding=PADDING, start=DataPosition(start))


@given(st.lists(st.integers(1, CONTEXT), max_size=200))
def test_every_sample_is_in_one_row_whole(sizes: list[int]) -> None:
    rows = pack(np.array(sizes, np.int32), CONTEXT)
    assert sorted(index for row in rows for index in row) == list(range(len(sizes)))
    assert all(sum(sizes[index] for index in row) <= CONTEXT for row in rows)


def test_rows_are_well_filled_and_few_are_open() -> None:
    sizes = np.random.default_rng(0).integers(1, 400, 5000).astype(np.int32)
    rows = pack(sizes, 1024)
    assert sizes.sum() / (len(rows) * 1024) > 0.98
    assert len(rows) > OPEN_ROWS


def test_what_is_learned_is_what_follows() -> None:
    two = Table(np.array([~1, ~2, 3, 4, ~5, 6], np.int32), np.array([0, 4]), np.array([4, 2], np.int32))
    batch = batch_of(two, [[0, 1], []], context=6, padding=9)
    assert batch.tokens.tolist() == [[1, 2, 3, 5, 9, 9], [9] * 6]
    assert batch.labels.tolist() == [[IGNORED, 3, 4, 6, IGNORED, IGNORED], [IGNORED] * 6]
    assert batch.positions is not None
    assert batch.positions.tolist() == [[0, 1, 2, 0, 0, 1], [0, 1, 2, 3, 4, 5]]
    assert batch.targets == 3


def tiny(architecture: str) -> Any:
    torch.manual_seed(1)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = AutoConfig.for_model(
        architecture, vocab_size=VOCABULARY, num_key_value_heads=1, head_dim=16, max_position_embeddings=64, **sizes
    )
    return AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").eval()


def losses(model: Any, batch: Batch) -> list[float]:
    """Of the labels that count, in order."""
    found = token_losses(model, batch, bf16=False)
    counting: list[float] = found[batch.labels.flatten() != IGNORED].tolist()
    return counting


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_loss_of_a_sample_does_not_depend_on_its_neighbours(architecture: str) -> None:
    model = tiny(architecture)
    of = table([9, 12, 7, 4])
    with torch.no_grad():
        packed = losses(model, batch_of(of, [[0, 1, 2, 3]], context=CONTEXT, padding=PADDING))
        turned = losses(model, batch_of(of, [[3, 2], [1, 0]], context=CONTEXT, padding=PADDING))
        alone = [
            losses(model, batch_of(of, [[each]], context=int(of.sizes[each]), padding=PADDING)) for each in range(4)
        ]
    assert packed == pytest.approx([loss for each in alone for loss in each], abs=1e-5)
    assert turned == pytest.approx([loss for each in (3, 2, 1, 0) for loss in alone[each]], abs=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_without_positions_neighbours_would_be_seen(architecture: str) -> None:
    """What the test before would say of a mask that does not work."""
    model = tiny(architecture)
    batch = batch_of(table([9, 12, 7, 4]), [[0, 1, 2, 3]], context=CONTEXT, padding=PADDING)
    with torch.no_grad():
        blind = losses(model, Batch(batch.tokens, batch.labels))
        assert blind != pytest.approx(losses(model, batch), abs=1e-3)


def test_gradients_of_a_pack_are_those_of_its_samples() -> None:
    model, of = tiny("llama"), table([9, 12, 7])
    gradients = []
    for rows in ([[0, 1, 2]], [[0], [1], [2]]):
        model.zero_grad()
        token_losses(model, batch_of(of, rows, context=CONTEXT, padding=PADDING), bf16=False).sum().backward()
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in model.parameters()]))
    assert torch.allclose(*gradients, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(before=st.integers(0, 40), then=st.integers(1, 12))
def test_rows_go_on_from_any_row(before: int, then: int) -> None:
    of = table([5, 9, 30, 2, 17, 22, 8, 8, 3, 28, 11])
    whole = samples(of)
    whole.batch(before) if before else None
    position = whole.position
    assert position == DataPosition(before)
    assert (samples(of, position.sample).batch(then).tokens == whole.batch(then).tokens).all()


def test_each_pass_has_every_row_in_another_order() -> None:
    of = table([20] * 40)
    reading = samples(of)
    passes = [reading.batch(len(reading.rows)).tokens.tolist() for _ in range(3)]
    assert sorted(passes[0]) == sorted(passes[1]) == sorted(passes[2])
    assert passes[0] != passes[1] != passes[2]
    assert samples(of, seed=6).batch(40).tokens.tolist() != passes[0]


def test_rounds_have_every_sample_once_and_one_size() -> None:
    of = table([20, 9, 30, 2, 17])
    batches = list(rounds(of, context=CONTEXT, padding=PADDING, size=3))
    assert {len(batch.tokens) for batch in batches} == {3}
    learned = sum(int(of.row(index)[1][1:].sum()) for index in range(5))
    assert sum(batch.targets for batch in batches) == learned
