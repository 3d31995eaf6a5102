"""The termination message: what the operator reads of a pod that ended, as JSON of bounded size.

Decided here: the kubelet cuts at 4,096 bytes, and half a JSON document tells nothing, so messages are shortened until
the whole fits. A message keeps its end, where Python says what went wrong.
"""

import json
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

LIMIT_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Failure:
    """How one rank ended. `exit_code` is negative for a signal, as the subprocess module has it."""

    rank: int
    exit_code: int
    message: str

    def to_json(self, *, limit: int) -> dict[str, Any]:
        content: dict[str, Any] = {"rank": self.rank, "exitCode": self.exit_code}
        if self.exit_code < 0:
            content["signal"] = _signal_name(-self.exit_code)
        return content | {"message": self.message[-limit:] if limit else ""}


def _signal_name(number: int) -> str:
    """Python has no names for most real-time signals."""
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"


def failure_document(
    failures: list[Failure],
    stacks: Mapping[int, str] | None = None,
    *,
    measured: Mapping[str, Any] = MappingProxyType({}),
) -> bytes:
    """`{"failures": [...]}` in the order given, within LIMIT_BYTES: messages give way first, then the last failures.

    `stacks`, one line by rank, are there after a stall: `"stacks": [{"rank", "stack"}]`. They give way with messages,
    and lose their outer frames, which are the same in every rank. `measured` goes with it: the evaluation of a model
    that is not good enough.
    """
    for count in range(len(failures), 0, -1):
        for limit in (2000, 1000, 500, 200, 80):
            content: dict[str, Any] = {"failures": [each.to_json(limit=limit) for each in failures[:count]], **measured}
            if stacks:
                content["stacks"] = [{"rank": rank, "stack": stack[:limit]} for rank, stack in stacks.items()]
            document = json.dumps(content).encode()
            if len(document) <= LIMIT_BYTES:
                return document
    return failure_document(failures, measured=measured) if stacks else b'{"failures": []}'


def write(path: Path, document: bytes) -> None:
    """In place, not by rename: in a pod the file is a mount."""
    path.write_bytes(document)
