"""What the training tests share: a small dataset, a recipe for it, and a real process group of one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from slipway_train.config import Recipe
from slipway_train.corpus import Corpus, open_corpus
from slipway_train.gang import Gang
from slipway_train.tokenizer import load_tokenizer, train_tokenizer

from .support import free_port, parse, recipe_json, write_dataset


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dataset")
    write_dataset(root)
    return root


@pytest.fixture(scope="session")
def recipe(dataset: Path) -> Recipe:
    return parse(recipe_json(dataset))


@pytest.fixture(scope="session")
def corpus(recipe: Recipe) -> Corpus:
    return open_corpus(recipe.dataset)


@pytest.fixture(scope="session")
def tokenizer_content(corpus: Corpus) -> bytes:
    return train_tokenizer(corpus, 512)


@pytest.fixture
def tokenizer(tokenizer_content: bytes) -> Any:
    return load_tokenizer(tokenizer_content)


@pytest.fixture(scope="session")
def gang() -> Iterator[Gang]:
    """A real gloo process group with this process alone in it."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        world = {"LOCAL_RANK": "0", "RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
        for name, value in (world | {"MASTER_PORT": str(free_port())}).items():
            patch.setenv(name, value)
        joined = Gang("cpu")
        yield joined
        joined.close()
