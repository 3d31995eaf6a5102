"""`metrics.jsonl` on the output volume: one line per optimizer step, exact, for whoever wants the curve.

Decided here: a run that resumes at step n drops the lines after n, so that the file is one curve whatever happened. So
the seconds of its lines are those of the steps that the model is made of: what a restart repeated is not among them.
"""

import json
import os
from pathlib import Path
from typing import Any

from .files import write_whole


class Metrics:
    """Appends to `path`; rank 0 only. Lines are flushed; a checkpoint has them synced before it counts."""

    def __init__(self, path: Path, *, resume_step: int) -> None:
        kept = [line for line in _lines(path) if line["step"] <= resume_step]
        write_whole(path, "".join(json.dumps(line) + "\n" for line in kept).encode())
        self._file = path.open("a")
        self.productive_seconds = sum(float(line.get("seconds", 0.0)) for line in kept)

    def write(self, *, seconds: float, **more: float | str) -> None:
        """One step, which took `seconds`."""
        fields = {**more, "seconds": round(seconds, 6)}
        self.productive_seconds += seconds
        self._file.write(json.dumps(fields) + "\n")
        self._file.flush()

    def sync(self) -> None:
        """Returns once the lines so far are on the disk. From any thread."""
        os.fsync(self._file.fileno())

    def __enter__(self) -> "Metrics":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


def _lines(path: Path) -> list[dict[str, Any]]:
    """Whole lines only: a kill may have torn the last."""
    lines: list[dict[str, Any]] = []
    for text in path.read_text().splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    return lines
