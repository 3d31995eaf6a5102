"""Visiting everything: when leadership begins, and every ten hours (give or take a tenth) as a net under every mistake
that no event would uncover."""

import asyncio
import random
from collections.abc import Callable

from .index import Index
from .keys import Key

RESYNC_SECONDS = 36_000.0
JITTER = 0.1


def everything(index: Index, add: Callable[[Key], None]) -> int:
    """Add every key; returns how many."""
    keys = index.keys()
    for key in keys:
        add(key)
    return len(keys)


async def forever(
    index: Index,
    add: Callable[[Key], None],
    *,
    seconds: float = RESYNC_SECONDS,
    chance: Callable[[], float] = random.random,
) -> None:
    """Add every key again and again until cancelled; the pause is `seconds` plus or minus a tenth."""
    while True:
        await asyncio.sleep(seconds * (1 - JITTER + 2 * JITTER * chance()))
        everything(index, add)
