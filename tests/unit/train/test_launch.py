import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from slipway_train import launch
from slipway_train.errors import EXIT_STOPPED
from slipway_train.launch import available_cpus, exit_code
from slipway_train.termination import LIMIT_BYTES, Failure, failure_document, write


def failure(code: int, rank: int = 0, message: str = "why") -> Failure:
    return Failure(rank, code, message)


@pytest.mark.parametrize(
    ("codes", "pod"),
    [
        ([1], 1),
        ([2], 2),
        ([-9], 137),
        ([-6, 1], 134),
        ([1, -9], 1),
        ([1, 2], 2),
        ([3], 3),
        ([1, 3], 3),
        ([3, 2], 2),
        ([75, 3], 3),
        ([1, 75], 75),
        ([75, 2], 2),
        ([EXIT_STOPPED], 143),
        ([], 1),
    ],
)
def test_the_pods_exit_code_is_the_first_failures_unless_one_tells_more(codes: list[int], pod: int) -> None:
    assert exit_code([failure(code) for code in codes]) == pod


def test_a_signal_is_named() -> None:
    (entry,) = json.loads(failure_document([failure(-9, rank=1, message="last lines")]))["failures"]
    assert entry == {"rank": 1, "exitCode": -9, "signal": "SIGKILL", "message": "last lines"}
    (entry,) = json.loads(failure_document([failure(1)]))["failures"]
    assert "signal" not in entry


@pytest.mark.parametrize("number", [35, 99])
def test_a_signal_that_has_no_name_is_told_by_its_number(number: int) -> None:
    (entry,) = json.loads(failure_document([failure(-number)]))["failures"]
    assert (entry["exitCode"], entry["signal"]) == (-number, f"signal {number}")


@pytest.mark.parametrize("ranks", [1, 4, 64])
@pytest.mark.parametrize("text", ["x" * 10_000 + " the end", "\x00€𐍈\n" * 5000 + " the end", ""])
def test_the_message_fits_and_keeps_its_end(ranks: int, text: str) -> None:
    document = failure_document([failure(1, rank, text) for rank in range(ranks)])
    assert len(document) <= LIMIT_BYTES
    entries = json.loads(document)["failures"]
    assert entries[0]["rank"] == 0
    assert text.endswith(entries[0]["message"][-8:])
    assert [entry["rank"] for entry in entries] == list(range(len(entries)))


def test_what_was_measured_goes_with_the_failure() -> None:
    measured = {"evaluation": {"perplexity": "13.0"}}
    document = json.loads(failure_document([failure(3, message="x" * 10_000)], measured=measured))
    assert document["evaluation"] == measured["evaluation"]
    assert len(document["failures"][0]["message"]) >= 1000


@pytest.mark.parametrize("ranks", [1, 2, 16])
def test_stacks_fit_beside_the_failures(ranks: int) -> None:
    text = "read (source.py:3) < " * 200
    document = failure_document([failure(75, rank, text) for rank in range(ranks)], dict.fromkeys(range(ranks), text))
    assert len(document) <= LIMIT_BYTES
    content = json.loads(document)
    assert content["failures"][0]["exitCode"] == 75
    assert [entry["rank"] for entry in content["stacks"]] == list(range(ranks))
    assert all(text.startswith(entry["stack"]) and len(entry["stack"]) >= 80 for entry in content["stacks"])


def test_failures_go_before_stacks() -> None:
    content = json.loads(failure_document([failure(75)], dict.fromkeys(range(99), "x" * 100)))
    assert [entry["exitCode"] for entry in content["failures"]] == [75]
    assert "stacks" not in content


def test_without_a_stall_there_are_no_stacks() -> None:
    assert "stacks" not in json.loads(failure_document([failure(1)], {}))


def test_the_message_is_written_in_place(tmp_path: Path) -> None:
    path = tmp_path / "termination-log"
    path.touch()
    inode = path.stat().st_ino
    write(path, b"{}")
    assert (path.read_bytes(), path.stat().st_ino) == (b"{}", inode)


@dataclass
class Died:
    """The part of torch's ProcessFailure that is read."""

    local_rank: int
    exitcode: int
    timestamp: int
    message: str = "torch's own words"


def test_failures_are_in_the_order_of_time_with_the_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "none_abc" / "attempt_0" / "1" / "stderr.log"
    log.parent.mkdir(parents=True)
    log.write_text("\n".join(f"line {i}" for i in range(100)))
    error = SimpleNamespace(failures={4: Died(0, -9, timestamp=12), 5: Died(1, 1, timestamp=11)})
    first, second = launch._failures(error, tmp_path)
    assert (first.rank, first.exit_code) == (5, 1)
    assert first.message.splitlines() == [f"line {i}" for i in range(70, 100)]
    assert (second.rank, second.exit_code, second.message) == (4, -9, "torch's own words")


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({"cpu.max": "200000 100000"}, 2),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
    ],
)
def test_threads_follow_the_containers_quota(tmp_path: Path, files: dict[str, str], cpus: int) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert available_cpus(tmp_path) == cpus


@pytest.mark.parametrize(
    "files", [{}, {"cpu.max": "max 100000"}, {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}]
)
def test_without_a_quota_the_affinity_mask_counts(
    tmp_path: Path, files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1, 2, 3, 4})
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert available_cpus(tmp_path) == 5


@pytest.mark.parametrize(
    ("variables", "rank"),
    [
        ({}, 0),
        ({"PET_NODE_RANK": "3"}, 3),
        ({"PET_NODE_RANK": "3", "PET_NPROC_PER_NODE": "8"}, 24),
        ({"PET_NODE_RANK": "3", "PET_NPROC_PER_NODE": "auto"}, 3),
    ],
)
def test_an_early_failure_is_the_pods_first_ranks(variables: dict[str, str], rank: int) -> None:
    assert launch._first_rank(variables) == rank
