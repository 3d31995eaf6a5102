"""What the scripts do where the machine is not as they expect it. Each is run in a shell, as make runs it."""

import os
import pwd
import subprocess
from pathlib import Path

from bed.places import REPOSITORY

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
