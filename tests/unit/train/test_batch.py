"""How a gang splits a batch, and what counts in it."""

import numpy as np
import pytest
import torch

from slipway_train.batch import IGNORED, Batch


@pytest.fixture
def batch() -> Batch:
    tokens = torch.arange(24).reshape(6, 4)
    return Batch(tokens, tokens + 1, torch.arange(4).expand(6, 4))


def test_a_token_is_to_be_followed_by_the_next_of_its_window() -> None:
    batch = Batch.from_windows(np.array([[5, 6, 7, 8], [9, 10, IGNORED, IGNORED]], np.int32))
    assert batch.tokens.tolist() == [[5, 6, 7], [9, 10, 0]]
    assert batch.labels.tolist() == [[6, 7, 8], [10, IGNORED, IGNORED]]
    assert batch.targets == 4
    assert batch.positions is None


def test_a_process_takes_every_nth_row(batch: Batch) -> None:
    share = batch.share(rank=1, size=3)
    assert share.tokens.tolist() == [[4, 5, 6, 7], [16, 17, 18, 19]]
    assert torch.equal(share.labels, share.tokens + 1)
    assert share.positions is not None
    assert share.positions.shape == (2, 4)


@pytest.mark.parametrize(("parts", "sizes"), [(1, [6]), (2, [3, 3]), (3, [2, 2, 2]), (6, [1] * 6), (4, [2, 2, 2])])
def test_micro_batches_are_the_rows_in_order(batch: Batch, parts: int, sizes: list[int]) -> None:
    split = batch.split(parts)
    assert [len(each.tokens) for each in split] == sizes
    assert torch.equal(torch.cat([each.tokens for each in split]), batch.tokens)
    assert torch.equal(torch.cat([each.labels for each in split]), batch.labels)
