"""A volume that is full is told in a sentence, in whosever words it comes; anything else keeps its traceback."""

import errno
import os

import pytest
from safetensors import SafetensorError

from slipway_train.errors import full_volume


def caused(cause: Exception) -> Exception:
    try:
        raise RuntimeError("the checkpoint of step 200 cannot be written") from cause
    except RuntimeError as error:
        return error


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/slipway/output/x")


@pytest.mark.parametrize(
    "error",
    [
        FULL,
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        caused(FULL),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_volume_is_named(error: Exception) -> None:
    said = full_volume(error)
    assert said is not None
    assert said.startswith("the volume is full: ")
    assert said.endswith("The next attempt goes on from the last whole checkpoint")


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), caused(ValueError("x")), KeyError("28")])
def test_anything_else_is_not(error: Exception) -> None:
    assert full_volume(error) is None
