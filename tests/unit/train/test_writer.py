import logging
import threading

import pytest

from slipway_train import writer as module
from slipway_train.writer import Writer


class Slow:
    """A write that ends when it is told to."""

    def __init__(self) -> None:
        self.begun, self.may_end, self.ended = threading.Event(), threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        assert self.may_end.wait(10)
        self.ended.set()


def broken() -> None:
    raise OSError(28, "No space left on device")


def test_the_caller_goes_on_while_it_is_written() -> None:
    writer, slow = Writer(background=True), Slow()
    writer.submit(slow)
    assert slow.begun.wait(10)
    assert writer.writing
    assert not slow.ended.is_set()
    slow.may_end.set()
    writer.flush()
    assert slow.ended.is_set()
    assert not writer.writing


def test_the_second_waits_for_the_first() -> None:
    writer, slow, order = Writer(background=True), Slow(), list[bool]()
    writer.submit(slow)
    second = threading.Thread(target=writer.submit, args=(lambda: order.append(slow.ended.is_set()),))
    second.start()
    assert slow.begun.wait(10)
    assert order == []
    slow.may_end.set()
    second.join(10)
    writer.flush()
    assert order == [True], "it began when the first was whole"


@pytest.mark.parametrize("meet", [lambda writer: writer.submit(lambda: None), lambda writer: writer.flush()])
def test_an_error_is_raised_at_the_next_one_or_at_the_end(meet: object) -> None:
    writer = Writer(background=True)
    writer.submit(broken)
    with pytest.raises(OSError, match="No space left"):
        meet(writer)  # type: ignore[operator]
    writer.flush()  # once is enough


def test_without_a_thread_everything_happens_at_once() -> None:
    writer, done = Writer(background=False), list[int]()
    writer.submit(lambda: done.append(1))
    assert done == [1]
    with pytest.raises(OSError, match="No space left"):
        writer.submit(broken)


def test_leaving_waits_a_bounded_time_and_says_what_was_not_written(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("slipway_train"), "propagate", True)
    monkeypatch.setattr(module, "LEAVING_SECONDS", 0.01)
    writer, slow = Writer(background=True), Slow()
    writer.submit(slow)
    writer.leave()
    assert "event=checkpoint_not_written" in caplog.text
    slow.may_end.set()
    writer.flush()
    caplog.clear()
    writer.leave()
    assert caplog.text == ""
