"""Visiting everything: when leadership begins, and every ten hours (give or take a tenth) as a net under every mistake
that no event would uncover. What has no answer yet comes first, with what happens meanwhile: somebody waits for that,
and for the rest nobody does.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Protocol

from ..plan.observed import Owner
from .index import Index
from .keys import Key

RESYNC_SECONDS = 36_000.0
JITTER = 0.1


class Add(Protocol):
    """The queue's: `later` is for what something that happens may go before."""

    def __call__(self, key: Key, *, later: bool) -> None: ...


def everything(index: Index, add: Add) -> int:
    """Add every key; returns how many."""
    keys = index.keys()
    for key in keys:
        add(key, later=_is_answered(index.owner(key)))
    return len(keys)


def _is_answered(owner: Owner | None) -> bool:
    return owner is not None and owner.status.get("observedGeneration") == owner.generation


async def forever(
    index: Index,
    add: Add,
    *,
    seconds: float = RESYNC_SECONDS,
    chance: Callable[[], float] = random.random,
) -> None:
    """Add every key again and again until cancelled; the pause is `seconds` plus or minus a tenth."""
    while True:
        await asyncio.sleep(seconds * (1 - JITTER + 2 * JITTER * chance()))
        everything(index, add)
