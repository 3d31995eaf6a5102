"""The table of `slipway status --watch`, and its lines: as text, at fixed widths."""

import io
from typing import Any

import pytest
from rich.console import Console

from slipway.cli import board
from slipway.cli.following import Place
from slipway.plan.clock import rfc3339

NOW = 1_800_000_000.0
Obj = dict[str, Any]


def ready(status: str, reason: str, message: str = "") -> list[Obj]:
    return [
        {"type": "Ready", "status": status, "reason": reason, "message": message},
        {"type": "Failed", "status": "True" if reason == "PodFailed" else "False", "reason": reason},
    ]


def job(name: str, conditions: list[Obj] | None = None, **status: Any) -> Obj:
    return {
        "kind": "TrainingJob",
        "metadata": {"namespace": "team", "name": name},
        "status": {"conditions": conditions or [], **status},
    }


RUNNING = job(
    "llama",
    ready("False", "Running", "attempt 1 runs on 2 pods"),
    attempt=1,
    progress={
        "step": 40,
        "totalSteps": 200,
        "loss": "4.1234",
        "tokensPerSecond": 5120,
        "mfuPercent": "41.2",
        "goodputPercent": "93.4",
        "estimatedCompletionTime": rfc3339(NOW + 4325),
        "updated": rfc3339(NOW),
    },
    allocation={"seconds": 99, "estimatedCost": "12.30", "currency": "EUR"},
)
NEW: Obj = {"kind": "TrainingJob", "metadata": {"namespace": "team", "name": "new"}}
SERVICE: Obj = {
    "kind": "InferenceService",
    "metadata": {"namespace": "team", "name": "chat"},
    "status": {
        "conditions": ready("True", "Serving", "2 replicas answer"),
        "replicas": 3,
        "readyReplicas": 2,
        "modelName": "chat",
        "url": "http://gateway/v1",
    },
}


def drawn(*items: Obj, width: int, trouble: str = "", color: bool = False) -> str:
    output = io.StringIO()
    console = Console(file=output, width=width, force_terminal=color, color_system="standard" if color else None)
    places = {Place(each["kind"], each["metadata"]["namespace"], each["metadata"]["name"]): each for each in items}
    console.print(board.board(places, trouble, now=NOW, width=width))
    return "\n".join(text.rstrip() for text in output.getvalue().splitlines())


def test_a_wide_terminal_shows_everything() -> None:
    assert drawn(SERVICE, NEW, RUNNING, width=160) == (
        "TRAININGJOBS  REASON      ATTEMPT    STEP    LOSS  TOKENS/S    MFU  GOODPUT     ETA       COST  MESSAGE\n"
        "team/llama    Running           1  40/200  4.1234      5120  41.2%    93.4%  1h 12m  12.30 EUR"
        "  attempt 1 runs on 2 pods\n"
        "team/new      NotSeenYet        -       -       -         -      -        -       -          -  -\n"
        "\n"
        "INFERENCESERVICES  REASON   READY  MODEL  URL                MESSAGE\n"
        "team/chat          Serving    2/3  chat   http://gateway/v1  2 replicas answer\n"
    )


def test_a_narrow_terminal_shows_what_matters_most() -> None:
    assert drawn(RUNNING, SERVICE, width=80) == (
        "TRAININGJOBS  REASON   ATTEMPT    STEP    LOSS  TOKENS/S  GOODPUT     ETA\n"
        "team/llama    Running        1  40/200  4.1234      5120    93.4%  1h 12m\n"
        "\n"
        "INFERENCESERVICES  REASON   READY  MODEL\n"
        "team/chat          Serving    2/3  chat\n"
    )


@pytest.mark.parametrize("width", [20, 40, 80, 120, 200])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    long = job("x" * 40, ready("False", "Unschedulable", "0/3 nodes are available: " + "because " * 100))
    assert max(len(text) for text in drawn(long, RUNNING, SERVICE, width=width).splitlines()) <= width


def test_nothing_is_said_in_words() -> None:
    assert drawn(width=80) == "No TrainingJob and no InferenceService."


def test_a_kind_that_there_is_none_of_has_no_table() -> None:
    assert "INFERENCESERVICES" not in drawn(RUNNING, width=80)


def test_trouble_is_told_under_what_may_be_old() -> None:
    text = drawn(RUNNING, width=80, trouble="the API server does not answer: refused\x1b[2J")
    assert text.splitlines()[-1] == "the API server does not answer: refused [2J: trying again"


HOSTILE = "a\x1b[31m\x07\u202e[bold red]b[/bold red] \n:smiley:"


@pytest.mark.parametrize("width", [80, 160])
def test_what_a_tenant_wrote_is_shown_as_it_is_and_does_nothing(width: int) -> None:
    hostile = job("evil", ready("False", HOSTILE, HOSTILE), progress={"step": 1, "loss": HOSTILE})
    text = drawn(hostile, width=width)
    assert all(each.isprintable() or each == "\n" for each in text)
    assert "a [31m [bold red]b[/bold red] :smiley:" in drawn(hostile, width=200)
    place = Place("TrainingJob", "team", "evil")
    assert board.line(place, hostile).isprintable()


@pytest.mark.parametrize(
    ("item", "code"),
    [
        (SERVICE, "\x1b[32m"),
        (job("trains", [*ready("False", "Running"), {"type": "Running", "status": "True"}]), "\x1b[32m"),
        (job("waits", ready("False", "Unschedulable")), "\x1b[33m"),
        (NEW, "\x1b[33m"),
        (job("broken", ready("False", "PodFailed")), "\x1b[31m"),
    ],
)
def test_the_reason_has_the_colour_of_its_state(item: Obj, code: str) -> None:
    assert code in drawn(item, width=80, color=True)


def test_a_line_for_a_pipe() -> None:
    place = Place("TrainingJob", "team", "llama")
    assert board.line(place, RUNNING) == (
        "TrainingJob team/llama reason=Running attempt=1 step=40/200 loss=4.1234 tokens/s=5120 mfu=41.2% "
        f'goodput=93.4% eta={rfc3339(NOW + 4325)} cost="12.30 EUR" message="attempt 1 runs on 2 pods"'
    )
    assert board.line(place, None) == "TrainingJob team/llama deleted"
    assert board.line(place, NEW) == "TrainingJob team/llama reason=NotSeenYet"


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (-5, "now"), (0.9, "now"), (59, "59s"), (60, "1m"), (3599, "59m 59s"), (4325, "1h 12m"), (86_400, "1d"),
        (86_461, "1d 1m"), (100 * 86_400, "100d"),
    ],
)  # fmt: skip
def test_durations(length: float, text: str) -> None:
    assert board.duration(length) == text


@pytest.mark.parametrize("end", ["", "soon", "2027-01-15T08:00:00"])
def test_an_end_that_cannot_be_read_is_none(end: str) -> None:
    item = job("odd", progress={"step": 1, "estimatedCompletionTime": end})
    assert drawn(item, width=80).splitlines()[1].split()[-1] == "-"
