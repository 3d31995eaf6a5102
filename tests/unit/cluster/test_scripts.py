"""What the scripts do where the machine is not as they expect it. Each is run in a shell, as make runs it."""

import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from bed.places import REPOSITORY

SCRIPTS = sorted((REPOSITORY / "scripts").glob("*.sh"))

SHORT_FILES = """
source scripts/lib.sh
eval "$(sed -n '/^short_files() {/,/^}/p' scripts/check.sh)"
step "short files" short_files
"""


def bash(script: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
    """Run it at the repository's root; a variable that changes to None is not set."""
    environment = {key: value for key, value in {**os.environ, **changes}.items() if value is not None}
    argv = ["bash", "-c", script]
    return subprocess.run(argv, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)


def test_files_that_git_does_not_list_were_not_counted(tmp_path: Path) -> None:
    """A tarball, or a checkout of somebody else's: the check has seen nothing, and must not pass."""
    answer = bash(SHORT_FILES, GIT_DIR=str(tmp_path))
    assert answer.returncode == 1
    assert "not a git repository" in answer.stderr
    assert "short files FAILED" in answer.stderr


def test_without_a_home_the_cache_is_in_the_users_own() -> None:
    answer = bash('source scripts/lib.sh; echo "$HOME $SLIPWAY_CACHE"', HOME=None, SLIPWAY_CACHE=None)
    home = pwd.getpwuid(os.getuid()).pw_dir
    assert answer.stdout == f"{home} {home}/.cache/slipway\n", answer.stderr


def test_steps_say_how_far_the_script_is(tmp_path: Path) -> None:
    script = tmp_path / "two.sh"
    script.write_text(f'source {REPOSITORY}/scripts/lib.sh\nstep "first" true\nstep "second" true\n')
    answer = bash(f"cd {tmp_path}; bash two.sh")
    assert answer.stdout == "--- first (1 of 2)\n--- second (2 of 2)\n", answer.stderr


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_step_of_a_script_is_counted(script: Path) -> None:
    """They are counted by the beginning of the line: one in a function or behind a condition would not be."""
    calls = re.findall(r"^.*(?<![\w#])step \"", script.read_text(), re.MULTILINE)
    assert [line for line in calls if line != 'step "'] == []


@pytest.mark.parametrize("status", [0, 1])
def test_clean_removes_the_cache_once_the_bed_is_down(status: int, tmp_path: Path) -> None:
    """In a tree of its own, with a bed that only answers: what `down` could not stop may still use the cache."""
    for name in ("lib.sh", "clean.sh"):
        (tmp_path / "scripts").mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / "scripts" / name, tmp_path / "scripts")
    cache = tmp_path / "cache"
    (cache / "bin").mkdir(parents=True)
    (cache / "bin" / "python3").write_text(f'#!/bin/sh\necho "$@"\nexit {status}\n')
    (cache / "bin" / "python3").chmod(0o755)
    answer = bash(f"{tmp_path}/scripts/clean.sh", SLIPWAY_CACHE=str(cache), SLIPWAY_BED_HOLDER=None)
    assert answer.stdout == "tests/e2e/cluster down --all\n", answer.stderr
    assert (answer.returncode, cache.exists()) == (status, bool(status))
