"""The fixture that starts an API server says what is missing, and does not wait for what has died."""

from pathlib import Path

import pytest

from tests.controlplane import apiserver


def test_a_missing_program_is_named_with_the_command_that_builds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path))
    with pytest.raises(apiserver.BinaryMissing) as caught:
        apiserver.binary("etcd")
    assert str(tmp_path / "bin" / "etcd") in str(caught.value)
    assert "python3 tests/e2e/cluster build etcd" in str(caught.value)


def test_a_program_that_ends_at_once_fails_the_start_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("etcd", "kube-apiserver"):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\necho cannot start today\nexit 1\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path))
    ended = pytest.raises(apiserver.StartFailed, match=r"(?s)ended before it was ready.*cannot start today")
    with ended, apiserver.api_server(tmp_path / "work"):
        pass


def test_ports_are_different() -> None:
    assert len(set(apiserver._free_ports(5))) == 5
