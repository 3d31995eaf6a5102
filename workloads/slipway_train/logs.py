"""One line per event on stdout, `key=value`, for whoever reads `kubectl logs`.

Rank 0 speaks for the gang; the others report warnings only, so that a hundred pods do not say the same thing.
"""

import logging
import sys
from typing import TextIO

log = logging.getLogger("slipway_train")


def configure(rank: int, stream: TextIO | None = None) -> None:
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(logging.Formatter(f"%(asctime)s level=%(levelname)s rank={rank} %(message)s"))
    log.handlers = [handler]
    log.propagate = False
    log.setLevel(logging.INFO if rank == 0 else logging.WARNING)


def event(name: str, **fields: object) -> str:
    """`event=name key=value ...`; values with spaces are quoted."""
    return " ".join([f"event={name}", *(f"{key}={_value(value)}" for key, value in fields.items())])


def _value(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return f'"{text}"' if " " in text else text
