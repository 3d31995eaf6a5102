import json
from pathlib import Path

from slipway_train.metrics import Metrics


def steps(path: Path) -> list[int]:
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def write(path: Path, resume_step: int, *numbers: int) -> None:
    with Metrics(path, resume_step=resume_step) as metrics:
        for number in numbers:
            metrics.write(step=number, loss=1 / (number + 2), seconds=0.5)


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
        metrics.write(step=1, loss=2.5, seconds=0.5)
        assert steps(path) == [1]


def test_steps_that_a_restart_repeats_are_not_productive(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, 0, 1, 2, 3)
    with Metrics(path, resume_step=2) as metrics:
        assert metrics.productive_seconds == 1.0
        metrics.write(step=3, loss=1.0, seconds=0.25)
        assert metrics.productive_seconds == 1.25


def test_lines_of_an_earlier_version_have_no_seconds(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 2.0}\n')
    with Metrics(path, resume_step=1) as metrics:
        assert metrics.productive_seconds == 0.0
