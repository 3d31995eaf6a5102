"""Conversations to tokens through the tokenizer's own chat template, and which tokens are the assistant's.

Decided here: the template is rendered up to each answer and behind it, and the two parts are tokenized apart, as they
are when the model serves: prompt first, then token by token. An answer ends with its last special token, so the model
learns to stop; what a template writes after that is not learned. A content that spells a special token is a bad row:
in a rendered text nobody could tell it from the template's. A tokenizer without a template (or with the one of
`pretrain`, which knows no roles) gets TEMPLATE, and so does the model that is exported.
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from .errors import RecipeError
from .rows.conversation import BadRow, Conversation, Turn
from .tokenizer import CHAT_TEMPLATE as ROLELESS

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '### ' + message['role'] + '\\n' + message['content'] + eos_token + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '### assistant\\n' }}{% endif %}"
)
_PROBE = (Turn("user", "What is it?"), Turn("assistant", "A probe."), Turn("user", "And?"), Turn("assistant", "Fine."))

Encoded = tuple[NDArray[np.int32], NDArray[np.bool_]]


class Chat:
    """The tokenizer is given TEMPLATE where it needs one."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self.tokenizer = tokenizer
        if not tokenizer.chat_template or tokenizer.chat_template == ROLELESS:
            tokenizer.chat_template = TEMPLATE
        self._specials = {
            number: str(token) for number, token in tokenizer.added_tokens_decoder.items() if token.special
        }
        self._spelled = re.compile("|".join(re.escape(text) for text in self._specials.values()) or "(?!)")
        self.stops = self._check()

    def encode(self, turns: Conversation) -> Encoded:
        """Token ids, and for each whether it is to be learned. Raises BadRow."""
        for turn in turns:
            if found := self._spelled.search(turn.content):
                raise BadRow(f"a content spells the special token {found[0]}")
        tokens: list[int] = []
        learned: list[bool] = []
        for text, answer in self._parts(turns):
            ids = self._ids(text)
            end = self._end(ids) if answer else 0
            tokens += ids
            learned += [index < end for index in range(len(ids))]
        return np.array(tokens, np.int32), np.array(learned, np.bool_)

    def text(self, tokens: Sequence[int]) -> str:
        """Without special tokens, and without white space at the ends."""
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True)).strip()

    def _parts(self, turns: Conversation) -> list[tuple[str, bool]]:
        """The rendered text cut at the answers: (text, whether it is an answer)."""
        parts: list[tuple[str, bool]] = []
        done = ""
        for index, turn in enumerate(turns):
            if turn.role != "assistant":
                continue
            before = self._rendered(turns[:index], prompt=True)
            after = self._rendered(turns[: index + 1], prompt=False)
            if not (before.startswith(done) and after.startswith(before)):
                raise BadRow("the chat template does not write one turn after the other")
            parts += [(before[len(done) :], False), (after[len(before) :], True)]
            done = after
        return parts

    def _rendered(self, turns: Conversation, *, prompt: bool) -> str:
        messages = [turn.to_json() for turn in turns]
        try:
            text = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)
        except Exception as error:  # a template is a program of its author's, and may raise what it likes
            raise BadRow(f"the chat template refuses it: {error}") from None
        return str(text)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _end(self, ids: Sequence[int]) -> int:
        """Behind the last special token of an answer; 0 where there is none."""
        return next((at for at in range(len(ids), 0, -1) if ids[at - 1] in self._specials), 0)

    def _check(self) -> frozenset[int]:
        """What ends an answer. Raises RecipeError where the template or the tokenizer cannot be trained with."""
        halves = self._ids("Hello wor") + self._ids("ld")
        if self.tokenizer.decode(halves) != "Hello world":
            raise RecipeError("baseModel: its tokenizer joins no halves of a text: only byte-level ones can be trained")
        try:
            tokens, learned = self.encode(_PROBE)
        except BadRow as error:
            raise RecipeError(f"baseModel: its chat template cannot be trained with: {error}") from None
        if not learned.any():
            raise RecipeError("baseModel: its chat template ends no answer by a special token: it would never stop")
        ends = np.flatnonzero(learned & ~np.append(learned[1:], False))
        end_of_text = self.tokenizer.eos_token_id
        return frozenset(tokens[ends].tolist()) | ({end_of_text} if end_of_text is not None else set())
