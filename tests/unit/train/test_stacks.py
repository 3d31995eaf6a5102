"""Ranks here are processes without torch: what answers is faulthandler, and it needs none."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway_train import stacks
from slipway_train.stacks import Stacks, brief

RANK = """
import sys
from pathlib import Path
from slipway_train.stacks import answer

def blocked_source():
    print("there", flush=True)
    sys.stdin.readline()

answer(Path(sys.argv[1]), int(sys.argv[2]))
blocked_source()
"""


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Stacks]:
    before = signal.getsignal(signal.SIGUSR1)
    yield Stacks(tmp_path / "stacks")
    signal.signal(signal.SIGUSR1, before)


def rank(directory: Path, number: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", RANK, str(directory), str(number)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "there\n"
    return process


def test_one_question_brings_the_stacks_of_all_ranks(launcher: Stacks, tmp_path: Path) -> None:
    ranks = [rank(tmp_path / "stacks", number) for number in (3, 2)]
    assert launcher.texts() == {}
    os.kill(os.getpid(), signal.SIGUSR1)  # what a stalled rank does
    os.kill(os.getpid(), signal.SIGUSR1)  # and so does its peer
    for each in ranks:
        each.communicate("\n", timeout=30)
        assert each.returncode == 0, "it is asked, not killed"
    texts = launcher.texts()
    assert list(texts) == [2, 3]
    for text in texts.values():
        assert text.count("blocked_source") == 1, "asked once"
        assert brief(text).startswith("blocked_source (<string>:")


def test_a_rank_that_has_gone_is_no_trouble(launcher: Stacks, tmp_path: Path) -> None:
    gone = rank(tmp_path / "stacks", 0)
    gone.communicate("\n", timeout=30)
    os.kill(os.getpid(), signal.SIGUSR1)
    assert launcher.texts() == {}


def test_without_a_launcher_a_rank_tells_its_own(
    launcher: Stacks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its parent may be anybody then, and nobody is to be sent a signal that kills."""
    told: list[object] = []
    monkeypatch.setattr("faulthandler.dump_traceback", lambda file, all_threads: told.append(all_threads))
    monkeypatch.setattr(os, "kill", lambda pid, number: pytest.fail("a stranger was signalled"))
    stacks.ask(None)
    stacks.ask(tmp_path / "stacks")  # its launcher is this process, not this process's parent
    assert told == [True, True]


TEXT = """Thread 0x00007f01 (most recent call first):
  File "/opt/slipway/slipway_train/watchdog.py", line 90 in _watch
  File "/usr/lib/python3.11/threading.py", line 1045 in _bootstrap_inner

Current thread 0x00007f00 (most recent call first):
  File "/opt/venv/torch/distributed/distributed_c10d.py", line 2806 in all_reduce
  File "/opt/slipway/slipway_train/gang.py", line 61 in sum
  File "<frozen runpy>", line 88 in _run_code
"""


def test_the_brief_form_is_the_main_threads_innermost_frames() -> None:
    assert brief(TEXT) == "all_reduce (distributed_c10d.py:2806) < sum (gang.py:61) < _run_code (<frozen runpy>:88)"
    many = TEXT + "".join(f'  File "/x/deep.py", line {line} in f\n' for line in range(99))
    assert brief(many).count(" < ") == stacks.BRIEF_FRAMES - 1
    assert brief("") == ""
