import json
from pathlib import Path

from slipway_train.metrics import Metrics


def steps(path: Path) -> list[int]:
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def write(path: Path, resume_step: int, *numbers: int) -> None:
    with Metrics(path, resume_step=resume_step) as metrics:
        for number in numbers:
            metrics.write(step=number, loss=1 / (number + 2))


def test_a_resumed_run_continues_one_curve(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, 0, 1, 2, 3, 4, 5)
    write(path, 3, 4, 5, 6)
    assert steps(path) == [1, 2, 3, 4, 5, 6]


def test_a_torn_last_line_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, 0, 1, 2)
    path.write_text(path.read_text() + '{"step": 3, "lo')
    write(path, 2, 3)
    assert steps(path) == [1, 2, 3]


def test_losses_are_exact(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, 0, 1)
    write(path, 1, 2)
    assert [json.loads(line)["loss"] for line in path.read_text().splitlines()] == [1 / 3, 1 / 4]


def test_a_line_can_be_read_while_the_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with Metrics(path, resume_step=0) as metrics:
        metrics.write(step=1, loss=2.5)
        assert steps(path) == [1]
