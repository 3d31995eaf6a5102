"""The table of scalars against kubectl, which is asked to label a file: it reads it and asks no server."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.controlplane.apiserver import binary

from .yamltable import READ, UNREADABLE, document


def test_kubectl_reads_what_the_table_says(tmp_path: Path) -> None:
    read = json.loads(_labelled(tmp_path, document(*READ)).stdout, parse_int=_of_64_bits)["spec"]
    assert dict(zip(READ, read, strict=True)) == READ


def _of_64_bits(digits: str) -> float:
    return int(digits) if -(2**63) <= int(digits) < 2**63 else float(digits)


@pytest.mark.parametrize("value", UNREADABLE)
def test_kubectl_cannot_read(value: str, tmp_path: Path) -> None:
    done = _labelled(tmp_path, document(value))
    assert (done.returncode, "error converting YAML to JSON" in done.stderr) == (1, True)


def _labelled(directory: Path, text: str) -> subprocess.CompletedProcess[str]:
    path = directory / "file.yaml"
    path.write_text(text)
    command = [str(binary("kubectl")), "label", "--local", "-o", "json", "-f", str(path), "a=b"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)
