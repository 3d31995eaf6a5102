"""How the end-to-end tests wait: what they read of a process is closed only when nobody reads it any more."""

import sys
import threading
from pathlib import Path

import pytest

from tests.e2e.kube import Kube

FLOOD = [sys.executable, "-c", "while True: print('line', flush=True)"]


def test_a_process_that_still_prints_is_left_without_a_word() -> None:
    """The reader of a pipe that is closed under it would fail in a thread, and pytest blames whichever test runs."""
    before = threading.active_count()
    for _ in range(20):
        with Kube(Path("/nowhere"))._reading(FLOOD) as lines:
            assert lines.get(timeout=30) == "line\n"
    assert threading.active_count() == before


def test_the_end_of_what_a_process_prints_is_told() -> None:
    with Kube(Path("/nowhere"))._reading([sys.executable, "-c", "print(1)"]) as lines:
        assert [lines.get(timeout=30), lines.get(timeout=30)] == ["1\n", None]


def test_a_port_forward_that_fails_says_what_it_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text("#!/bin/sh\necho no such service\n")
    kubectl.chmod(0o755)
    kube = Kube(Path("/nowhere"))
    kube.environment["PATH"] = str(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    told = r"port-forward .* ended: no such service"
    with pytest.raises(AssertionError, match=told), kube.forward("ns", "svc/x", 80):
        pass
