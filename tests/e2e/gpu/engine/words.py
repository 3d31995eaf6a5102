"""What the simulated engine says and how it counts: a word is a token, and the next one follows from all before it.

So the same prompt has the same answer on every replica of the same seed, and a prompt to which the first words of its
answer were added goes on with the others: what a failover that replays a stream relies on.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

BLOCK_TOKENS = 16  # of the prefix cache, as in vLLM
ANSWER_TOKENS_MIN = 64  # an answer that nobody limits ends by itself after 64 to 127 words
WORDS = (
    *("amber", "basil", "cedar", "delta", "ember", "fjord", "grove", "haven"),
    *("ivory", "jolly", "karst", "lunar", "maple", "nylon", "ocean", "pearl"),
    *("quill", "raven", "sable", "tulip", "umber", "vivid", "wheat", "xenon"),
    *("yield", "zebra", "acorn", "birch", "coral", "drift", "eagle", "flint"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """`state` stands for all of its words, and each of `blocks` for the words up to the end of that full block."""

    tokens: int
    state: bytes
    blocks: tuple[bytes, ...]


def split(text: str) -> tuple[str, ...]:
    """The tokens of a text; an empty one has a single token, as a model's start of text."""
    return tuple(text.split()) or ("",)


def read(seed: int, speaker: str, words: Iterable[str]) -> Prompt:
    """`speaker` is the model or adapter that answers: each says something else, and has its own cached blocks."""
    state, count, blocks = _digest(f"{seed} {speaker}".encode()), 0, []
    for word in words:
        state, count = follow(state, word), count + 1
        if count % BLOCK_TOKENS == 0:
            blocks.append(state)
    return Prompt(tokens=count, state=state, blocks=tuple(blocks))


def follow(state: bytes, word: str) -> bytes:
    """The state after one more word."""
    return _digest(state + word.encode())


def next_word(state: bytes, choice: int) -> str:
    """What comes after `state` in the answer with that index: `n` answers to one prompt differ."""
    return WORDS[_digest(state + bytes([choice % 256]))[0] % len(WORDS)]


def natural_tokens(state: bytes) -> int:
    """After how many words the answer to a prompt ends by itself."""
    return ANSWER_TOKENS_MIN + state[0] % ANSWER_TOKENS_MIN


def share(state: bytes) -> float:
    """A number from 0 up to 1, drawn by the state: what jitter is made of."""
    return int.from_bytes(state[1:5]) / 2**32


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
