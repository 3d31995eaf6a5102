"""Greedy answers, beside those of transformers' own `generate`."""

from typing import Any

import pytest
import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from slipway_train.generate import answer

PROMPTS = [[5, 9, 2, 44], [17], [3, 3, 60, 21, 8, 90, 11]]
PADDING = 0


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=97, max_position_embeddings=24, num_key_value_heads=1, **shape)
    return LlamaForCausalLM(config).eval()


def answers(model: Any, prompts: list[list[int]], *, most: int = 8, stops: frozenset[int] = frozenset()) -> Any:
    return answer(model, prompts, most=most, stops=stops, padding=PADDING, bf16=False)


def theirs(model: Any, prompt: list[int], most: int) -> list[int]:
    config = GenerationConfig(do_sample=False, max_new_tokens=most, eos_token_id=None, pad_token_id=PADDING)
    found = model.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), generation_config=config)
    tokens: list[int] = found[0, len(prompt) :].tolist()
    return tokens


def test_an_answer_is_the_likeliest_token_each_time_whatever_its_neighbours(model: Any) -> None:
    assert answers(model, PROMPTS) == [theirs(model, prompt, 8) for prompt in PROMPTS]
    assert answers(model, PROMPTS[::-1]) == answers(model, PROMPTS)[::-1]


def test_an_answer_ends_before_what_stops_it(model: Any) -> None:
    whole = answers(model, PROMPTS)
    stop = whole[0][3]
    expected = [each[: each.index(stop)] if stop in each else each for each in whole]
    assert answers(model, PROMPTS, stops=frozenset({stop})) == expected


def test_an_answer_ends_where_the_models_context_does(model: Any) -> None:
    assert {len(each) for each in answers(model, PROMPTS, most=1000)} == {24 - 7}
