"""One pass over all documents, the work shared by the gang, the decisions the same on every process.

Decided here: everyone reads everything in order, in blocks bounded by number and by text; a process looks at every n-th
document of a block, what was seen is gathered, and everyone judges all of it. So no process waits long for the others,
nothing of the result depends on how many there are, and a wrong dataset ends all of them alike.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

from ..gang import Gang, on_all

BLOCK_DOCUMENTS = 2048
BLOCK_CHARACTERS = 16 << 20

T = TypeVar("T")
S = TypeVar("S")


def sweep(gang: Gang, documents: Iterable[tuple[T, int]], look: Callable[[T], S]) -> Iterator[tuple[T, S]]:
    """Each document with what `look` made of it, in order, on every process. With a document comes its length."""
    for block in _blocks(iter(documents)):
        shares = on_all(gang, partial(_look_at, block[gang.rank :: gang.world_size], look))
        for place, document in enumerate(block):
            yield document, shares[place % gang.world_size][place // gang.world_size]


def _look_at(share: list[T], look: Callable[[T], S]) -> list[S]:
    return [look(each) for each in share]


def _blocks(documents: Iterator[tuple[T, int]]) -> Iterator[list[T]]:
    block: list[T] = []
    characters = 0
    for document, length in documents:
        block.append(document)
        characters += length
        if len(block) == BLOCK_DOCUMENTS or characters >= BLOCK_CHARACTERS:
            yield block
            block, characters = [], 0
    if block:
        yield block
