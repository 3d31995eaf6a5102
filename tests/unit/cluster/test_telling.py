"""What the end-to-end tests measured is read in their output."""

import subprocess
import sys
from pathlib import Path

from bed.places import REPOSITORY


def test_a_line_that_a_passing_test_tells_is_shown(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from tests.e2e.conftest import tell\n")
    (tmp_path / "test_it.py").write_text("def test_it(tell): tell('recovered in 5 s')\n")
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-c",
        f"{REPOSITORY}/pyproject.toml",
        str(tmp_path),
    ]
    answer = subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout
    assert "recovered in 5 s" in answer.stdout.splitlines()
