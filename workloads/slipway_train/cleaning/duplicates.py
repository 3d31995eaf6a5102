"""Duplicates in one pass and in bounded memory: exact ones by hash, near ones by MinHash and banding.

A document's shingles are the sequences of 5 words in it, without case and punctuation. MinHash (Broder 1997): the
share of equal minima over 128 hash functions estimates the Jaccard similarity of two sets of shingles, with a standard
error of 0.035 at 0.8. Candidates are found in 32 bands of 4 minima (recall above 99.9 % at 0.8, 87 % at 0.5), and each
is then compared by all its minima, so a band's chance collision drops nothing.

Decided here: memory is fixed. The last NEAR_REMEMBERED documents are compared with (192 MiB), and hashes of about
EXACT_REMEMBERED (32 MiB); a duplicate of something further back is kept. Equal input gives equal output, on every
machine: all arithmetic is on unsigned 64-bit integers. datasketch would do as much with dictionaries that grow.
"""

import hashlib
import re
import zlib

import numpy as np
from numpy.typing import NDArray

HASHES, BANDS = 128, 32
SHINGLE_WORDS = 5
NEAR_REMEMBERED = 1 << 18
EXACT_REMEMBERED = 1 << 22
_SLOTS_EACH = 2  # of a band's table, for each document
_WORD = re.compile(r"\w+")
_CHUNK_SHINGLES = 4096

Signature = NDArray[np.uint32]
U64 = np.uint64

_seeds = np.random.default_rng(20240607)  # fixed: signatures of two runs compare
_MULTIPLIERS = _seeds.integers(1, 1 << 63, HASHES, dtype=np.uint64) * U64(2) + U64(1)
_OFFSETS = _seeds.integers(0, 1 << 63, HASHES, dtype=np.uint64)
_POWERS = _seeds.integers(1, 1 << 63, SHINGLE_WORDS, dtype=np.uint64) * U64(2) + U64(1)


def content_hash(text: str) -> int:
    """64 bits of the words: white space at the ends and between them does not count."""
    return int.from_bytes(hashlib.blake2b(" ".join(text.split()).encode(), digest_size=8).digest(), "little")


def signature(text: str) -> Signature:
    """The 128 minima, of 32 bits each."""
    shingles = _shingles(text)
    least = np.full(HASHES, np.iinfo(np.uint64).max, np.uint64)
    for at in range(0, len(shingles), _CHUNK_SHINGLES):
        part = shingles[at : at + _CHUNK_SHINGLES]
        least = np.minimum(least, (part[:, None] * _MULTIPLIERS + _OFFSETS).min(axis=0))
    return (least >> U64(32)).astype(np.uint32)


def _shingles(text: str) -> NDArray[np.uint64]:
    """A hash of each sequence of words; of the whole text where it is shorter."""
    words = np.array([zlib.crc32(word.encode()) for word in _WORD.findall(text.lower())], np.uint64)
    if len(words) < SHINGLE_WORDS:
        return np.array([content_hash(text.lower())], np.uint64)
    count = len(words) - SHINGLE_WORDS + 1
    mixed = np.zeros(count, np.uint64)
    for place in range(SHINGLE_WORDS):
        mixed += _mix(words[place : place + count] * _POWERS[place])
    return np.unique(_mix(mixed))


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """splitmix64's finalizer: neighbouring inputs give unrelated outputs."""
    values = (values ^ (values >> U64(30))) * U64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> U64(27))) * U64(0x94D049BB133111EB)
    return values ^ (values >> U64(31))


def similarity(a: Signature, b: Signature) -> float:
    """The estimate of the Jaccard similarity."""
    return float((a == b).mean())


class Exact:
    """Whether the same words came before. A slot holds the newest hash that fell into it."""

    def __init__(self, remembered: int = EXACT_REMEMBERED) -> None:
        self._slots = np.zeros(remembered, np.uint64)

    def seen(self, content: int) -> bool:
        """Remembers `content`, a `content_hash`, and says whether it was there."""
        slot = content % len(self._slots)
        found = int(self._slots[slot]) == content
        self._slots[slot] = content
        return found


class Near:
    """Whether something similar came before, by at least `least` (0 to 1), among the documents that were kept."""

    def __init__(self, least: float, remembered: int = NEAR_REMEMBERED) -> None:
        self._least = least
        self._signatures = np.zeros((remembered, HASHES), np.uint32)
        self._tables = np.zeros((BANDS, _SLOTS_EACH * remembered), np.uint32)  # the newest document's place + 1
        self._count = 0

    def seen(self, mine: Signature) -> bool:
        """Remembers `mine` unless something like it is remembered."""
        slots = _band_hashes(mine) % U64(self._tables.shape[1])
        rows = np.arange(BANDS)
        found = self._tables[rows, slots]
        candidates = np.unique(found[found > 0]) - 1
        if len(candidates) and (self._signatures[candidates] == mine).mean(axis=1).max() >= self._least:
            return True
        at = self._count % len(self._signatures)
        self._signatures[at] = mine
        self._tables[rows, slots] = at + 1
        self._count += 1
        return False


def _band_hashes(mine: Signature) -> NDArray[np.uint64]:
    bands = mine.reshape(BANDS, HASHES // BANDS).astype(np.uint64)
    mixed = np.arange(BANDS, dtype=np.uint64)
    for column in range(bands.shape[1]):
        mixed = _mix(mixed * U64(0x9E3779B97F4A7C15) + bands[:, column])
    return mixed
