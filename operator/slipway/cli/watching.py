"""`slipway status --watch`: a table that is redrawn in a terminal, a line for each change elsewhere.

What is decided here: when something is drawn. A terminal sees a change at once, but no more than ten times a second,
and times that go by each second. A pipe or a file gets the lines that say something new.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from rich.console import Console
from rich.live import Live

from ..plan.clock import rfc3339
from ..plan.observed import Obj
from .board import board, line
from .following import Place, Told, follow
from .listing import plain

TICK_SECONDS = 1.0
REDRAW_SECONDS = 0.1


def watch(namespace: str | None, output: TextIO, errors: TextIO) -> None:
    """Until interrupted. Raises listing.Unreadable, KeyboardInterrupt, BrokenPipeError."""
    console = Console(file=output)
    on_terminal = output.isatty() and not console.is_dumb_terminal
    asyncio.run(redrawn(namespace, console) if on_terminal else lines(namespace, output, errors))


async def lines(namespace: str | None, output: TextIO, errors: TextIO, clock: Callable[[], float] = time.time) -> None:
    """Each line begins with the time at which it was heard."""
    last: dict[Place, str] = {}

    def changed(place: Place, item: Obj | None) -> None:
        text = line(place, item)
        if last.get(place) == text:
            return
        last[place] = text
        if item is None:
            del last[place]
        _write(output, f"{rfc3339(clock())} {text}")

    def trouble(_: str, text: str) -> None:
        if text:
            _write(errors, f"{plain(text)}: trying again")

    await follow(namespace, Told(changed, trouble))


def _write(output: TextIO, text: str) -> None:
    """A whole line at once: a reader that waits for lines gets no half of one."""
    output.write(f"{text}\n")
    output.flush()


async def redrawn(namespace: str | None, console: Console, clock: Callable[[], float] = time.time) -> None:
    """The table, in its place on the screen; the last one stays there."""
    view = _View()
    with Live(console=console, auto_refresh=False) as live:
        told = Told(view.change, view.complain)
        await asyncio.gather(follow(namespace, told), _draw(view, live, clock))


async def _draw(view: "_View", live: Live, clock: Callable[[], float]) -> None:
    await view.news.wait()  # nothing is drawn before there is a first list
    while True:
        view.news.clear()
        shown = board(view.items, view.trouble, now=clock(), width=live.console.width)
        live.update(shown, refresh=True)
        await asyncio.sleep(REDRAW_SECONDS)
        with suppress(TimeoutError):
            await asyncio.wait_for(view.news.wait(), TICK_SECONDS)


class _View:
    """What is known, and whether it has changed since it was drawn."""

    def __init__(self) -> None:
        self.items: dict[Place, Obj] = {}
        self.news = asyncio.Event()
        self._troubles: dict[str, str] = {}

    @property
    def trouble(self) -> str:
        return next((text for text in self._troubles.values() if text), "")

    def change(self, place: Place, item: Obj | None) -> None:
        if item is None:
            self.items.pop(place, None)
        else:
            self.items[place] = item
        self.news.set()

    def complain(self, kind: str, text: str) -> None:
        self._troubles[kind] = text
        self.news.set()
