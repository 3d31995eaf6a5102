"""JSON that somebody else wrote, damaged or hostile: whatever is wrong with it is one kind of error."""

import json
from typing import Any


def parsed(raw: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Raises ValueError, with the place where there is one."""
    try:
        return json.loads(raw)
    except RecursionError:
        raise ValueError("its values are nested too deeply") from None
