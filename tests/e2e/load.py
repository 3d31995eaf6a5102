"""Bounded load: some clients that each send one completion after the other until they are told to stop."""

import threading
from typing import Any

from .install import ask

TOKENS = 100  # one or two seconds of an engine's work, so that requests are in flight whenever somebody looks


class Load:
    """As a context manager: `clients` threads ask `model`. `only(n)` leaves n of them; leaving stops all."""

    def __init__(self, gateway: str, model: str, *, clients: int) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self._gateway, self._model, self._wanted = gateway, model, clients
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._work, args=(number,), daemon=True) for number in range(clients)]

    def only(self, clients: int) -> None:
        self._wanted = clients

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wanted = 0
        for thread in self._threads:
            thread.join(timeout=120)

    def _work(self, number: int) -> None:
        body: dict[str, Any] = {"model": self._model, "prompt": "import", "max_tokens": TOKENS, "ignore_eos": True}
        while number < self._wanted:
            try:
                tokens = ask(self._gateway, "/v1/completions", body)["usage"]["completion_tokens"]
            except Exception as error:  # whatever went wrong is the test's to tell
                self._count(failure=repr(error))
                return
            self._count(failure="" if tokens == TOKENS else f"{tokens} tokens")

    def _count(self, *, failure: str) -> None:
        with self._lock:
            self.answered += 1
            self.failures += [failure] if failure else []
