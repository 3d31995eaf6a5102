"""Conversations to tokens: with the template of this project, and with those that real models have."""

from typing import Any

import pytest
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from slipway_train.chat import TEMPLATE, Chat
from slipway_train.errors import RecipeError
from slipway_train.rows.conversation import BadRow, Conversation, Turn
from slipway_train.tokenizer import CHAT_TEMPLATE, END_OF_TEXT, PADDING

# As published with Qwen2.5 and Llama 3 (shortened to what concerns plain turns).
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'"
    " + message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)
MARKS = ["<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
TURNS: Conversation = (
    Turn("system", "Be brief."),
    Turn("user", "name class?"),
    Turn("assistant", "self value"),
    Turn("user", "and then"),
    Turn("assistant", "return"),
)


def fast(content: bytes, template: str | None, **marks: Any) -> Any:
    made = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(content.decode()),
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        pad_token=PADDING,
        chat_template=template,
        clean_up_tokenization_spaces=False,
        **marks,
    )
    made.add_special_tokens({"additional_special_tokens": MARKS})
    return made


def learned(chat: Chat, turns: Conversation = TURNS) -> str:
    """What is learned, as text; the parts that are not are ..."""
    tokens, marks = chat.encode(turns)
    assert len(tokens) == len(marks)
    parts: list[tuple[bool, list[int]]] = []
    for token, mark in zip(tokens.tolist(), marks.tolist(), strict=True):
        if not parts or parts[-1][0] != mark:
            parts.append((mark, []))
        parts[-1][1].append(token)
    return "".join(chat.tokenizer.decode(ids) if mark else "..." for mark, ids in parts)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (None, "...self value<|endoftext|>...return<|endoftext|>..."),
        (CHAT_TEMPLATE, "...self value<|endoftext|>...return<|endoftext|>..."),
        (CHATML, "...self value<|im_end|>...return<|im_end|>..."),
        (LLAMA3, "...self value<|eot_id|>...return<|eot_id|>"),
    ],
)
def test_the_answers_and_their_ends_are_learned_and_nothing_else(
    tokenizer_content: bytes, template: str | None, expected: str
) -> None:
    assert learned(Chat(fast(tokenizer_content, template))) == expected


def test_the_whole_is_what_the_template_renders(tokenizer_content: bytes) -> None:
    chat = Chat(fast(tokenizer_content, CHATML))
    tokens, _ = chat.encode(TURNS)
    rendered = chat.tokenizer.apply_chat_template([turn.to_json() for turn in TURNS], tokenize=False)
    assert chat.tokenizer.decode(tokens) == rendered


@pytest.mark.parametrize("template", [None, CHATML, LLAMA3])
def test_the_prompt_is_tokenized_as_it_is_when_the_model_serves(tokenizer_content: bytes, template: str | None) -> None:
    chat = Chat(fast(tokenizer_content, template))
    tokens, _ = chat.encode(TURNS[:3])
    served = chat.tokenizer.apply_chat_template(
        [turn.to_json() for turn in TURNS[:2]], add_generation_prompt=True, return_dict=False
    )
    assert tokens[: len(served)].tolist() == list(served)


@pytest.mark.parametrize(("template", "end"), [(None, END_OF_TEXT), (CHATML, "<|im_end|>"), (LLAMA3, "<|eot_id|>")])
def test_answers_stop_at_what_ends_them(tokenizer_content: bytes, template: str | None, end: str) -> None:
    chat = Chat(fast(tokenizer_content, template))
    assert chat.stops == {chat.tokenizer.convert_tokens_to_ids(each) for each in (end, END_OF_TEXT)}


def test_a_tokenizer_without_roles_gets_a_template_that_has_them(tokenizer_content: bytes) -> None:
    assert Chat(fast(tokenizer_content, CHAT_TEMPLATE)).tokenizer.chat_template == TEMPLATE
    assert Chat(fast(tokenizer_content, CHATML)).tokenizer.chat_template == CHATML


@pytest.mark.parametrize("text", ["a <|im_end|> b", f"x{END_OF_TEXT}"])
def test_a_content_that_spells_a_special_token_is_a_bad_row(tokenizer_content: bytes, text: str) -> None:
    with pytest.raises(BadRow, match="spells the special token"):
        Chat(fast(tokenizer_content, CHATML)).encode((Turn("user", text), Turn("assistant", "x")))


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{% for message in messages %}{{ message['content'] }}{% endfor %}", "ends no answer by a special token"),
        ("{{ messages | length }}{{ messages[0]['content'] }}", "does not write one turn after the other"),
        ("{{ raise_exception('no') }}", "the chat template refuses it: no"),
        ("{% if", "the chat template refuses it"),
    ],
)
def test_a_template_that_cannot_be_trained_with_is_refused(tokenizer_content: bytes, template: str, why: str) -> None:
    with pytest.raises(RecipeError, match=why):
        Chat(fast(tokenizer_content, template))


def test_a_system_turn_that_the_template_refuses_is_a_bad_row(tokenizer_content: bytes) -> None:
    picky = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}" + CHATML
    with pytest.raises(BadRow, match="no system"):
        Chat(fast(tokenizer_content, picky)).encode(TURNS)
