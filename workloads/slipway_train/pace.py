"""The observer that tells people and the operator how far training is: a log line and a report, when due.

Decided here: the first step, the last one, and every _LOG_SECONDS between them.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Collection

from .config import Recipe
from .logs import event, log
from .loop import StepDone
from .progress import Report, Reporter
from .stragglers import Stragglers
from .utilization import Utilization

_LOG_SECONDS = 5.0
_NEWEST = 500  # steps, of whose times quantiles are told


class Pace:
    """`reporter` is None on all ranks but the first, `utilization` where a device's peak is not known."""

    def __init__(
        self,
        recipe: Recipe,
        reporter: Reporter | None,
        stragglers: Stragglers,
        *,
        step: int,
        bad_rows: Callable[[], int],
        utilization: Utilization | None = None,
    ) -> None:
        self._steps = recipe.training.steps
        self._tokens_per_step = recipe.training.batch_size * recipe.context_length
        self._reporter = reporter
        self._bad_rows = bad_rows
        self._utilization = utilization
        self._stragglers = stragglers
        self._step = step
        self._since = time.monotonic()
        self._first = True
        self._seconds: deque[float] = deque(maxlen=_NEWEST)

    def on_step(self, done: StepDone) -> None:
        self._seconds.append(done.seconds)
        if done.last or self._due():
            self._tell(done, self._tokens_per_second(done.step))

    def close(self) -> None:
        """Nothing is held."""

    def _due(self) -> bool:
        return self._first or time.monotonic() - self._since >= _LOG_SECONDS

    def _tokens_per_second(self, step: int) -> int:
        now = time.monotonic()
        speed = (step - self._step) * self._tokens_per_step / max(now - self._since, 1e-9)
        self._step, self._since, self._first = step, now, False
        return round(speed)

    def _tell(self, done: StepDone, speed: int) -> None:
        log.info(
            event(
                "step",
                step=f"{done.step}/{self._steps}",
                loss=done.loss,
                learning_rate=done.rate,
                tokens_per_second=speed,
            )
        )
        if self._reporter is not None:
            self._reporter.report(
                Report(
                    step=done.step,
                    total_steps=self._steps,
                    loss=done.loss,
                    tokens_per_second=speed,
                    step_seconds_p50=quantile(self._seconds, 0.5),
                    step_seconds_p99=quantile(self._seconds, 0.99),
                    mfu_percent=self._utilization.percent(speed) if self._utilization else None,
                    productive_seconds=done.productive_seconds,
                    last_checkpoint_step=done.saved_step,
                    bad_rows=self._bad_rows(),
                    checkpoint_seconds=done.checkpoint_seconds,
                    slow_rank=self._stragglers.slow.rank if self._stragglers.slow else None,
                    slow_node=self._stragglers.node,
                )
            )


def quantile(values: Collection[float], share: float) -> float:
    """The smallest of `values` that at least `share` of them do not exceed. `values` are some."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
