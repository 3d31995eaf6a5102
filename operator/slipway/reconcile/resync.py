"""Visiting everything: when leadership begins, and every ten hours (give or take a tenth) as a net under every mistake
that no event would uncover. What has no answer yet comes first: somebody waits for that, and for the rest nobody does.
"""

import asyncio
import random
from collections.abc import Callable

from ..plan.observed import Owner
from .index import Index
from .keys import Key

RESYNC_SECONDS = 36_000.0
JITTER = 0.1


def everything(index: Index, add: Callable[[Key], None]) -> int:
    """Add every key; returns how many."""
    keys = index.keys()
    for key in sorted(keys, key=lambda key: _is_answered(index.owner(key))):
        add(key)
    return len(keys)


def _is_answered(owner: Owner | None) -> bool:
    return owner is not None and owner.status.get("observedGeneration") == owner.generation


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
