"""What the status remembers of failures: budgets used, the newest failure, and the nodes on which attempts failed.

It is written together with the number of the attempt that follows, so each failure counts once, whoever crashes when.
Nothing but the status tells it: what cannot be read there counts as not having happened.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ...api.gang import FAILED_NODES_MAX, MESSAGE_MAX
from ..clock import rfc3339
from ..conditions import bounded
from ..observed import Obj
from .failure import Failure


@dataclass(frozen=True, slots=True)
class History:
    """`restarts` counts towards the job's budget; `rules` are the restarts by each of failurePolicy.rules."""

    restarts: int = 0
    rules: tuple[int, ...] = ()
    last: Obj = field(default_factory=dict)  # status.lastFailure
    nodes: tuple[Obj, ...] = ()  # status.failedNodes

    @property
    def attempt(self) -> int:
        """That the newest failure is of; -1 when there was none."""
        attempt = self.last.get("attempt")
        return attempt if isinstance(attempt, int) else -1

    @property
    def pause_seconds(self) -> int | None:
        """After the newest failure; None when there was none, or no next attempt."""
        pause = self.last.get("pauseSeconds")
        return pause if isinstance(pause, int) else None

    def by_rule(self, place: int) -> int:
        return self.rules[place] if place < len(self.rules) else 0

    def failed(self, failure: Failure, *, attempt: int, now: float, rule: int | None) -> "History":
        """With this failure of `attempt` as the newest."""
        told = {
            "attempt": attempt,
            "time": rfc3339(now),
            "reason": failure.reason,
            "message": bounded(failure.message, MESSAGE_MAX),
            "exitCode": failure.exit_code,
            "node": failure.node or None,
            "rule": rule,
        }
        return replace(self, last={name: value for name, value in told.items() if value is not None})

    def restarted(self, *, free: bool, rule: int | None, rules: int, pause_seconds: int) -> "History":
        """With one restart more, after a pause; `rules` is how many rules there are."""
        counts = [self.by_rule(place) + (place == rule) for place in range(rules)]
        return replace(
            self,
            restarts=self.restarts + (not free),
            rules=tuple(counts) if any(counts) else (),
            last={**self.last, "pauseSeconds": pause_seconds},
        )

    def on_node(self, node: str) -> int:
        """Failures that count against this node."""
        return next((_count(entry.get("failures")) for entry in self.nodes if entry["node"] == node), 0)

    def against(self, node: str, reason: str) -> "History":
        """With one failure more on this node. Of too many nodes, one with the fewest failures is forgotten."""
        others = [entry for entry in self.nodes if entry["node"] != node]
        if len(others) >= FAILED_NODES_MAX:
            others.remove(min(others, key=lambda entry: _count(entry.get("failures"))))
        entry = {"node": node, "failures": self.on_node(node) + 1, "reason": reason}
        return replace(self, nodes=(*others, entry))

    def fields(self) -> Obj:
        """As status has it; what has not happened is left out."""
        return {
            "restarts": self.restarts or None,
            "ruleRestarts": list(self.rules) or None,
            "lastFailure": self.last or None,
            "failedNodes": list(self.nodes) or None,
        }


def read(status: Mapping[str, Any]) -> History:
    """From the status as last seen."""
    rules, last, nodes = (status.get(name) for name in ("ruleRestarts", "lastFailure", "failedNodes"))
    return History(
        restarts=_count(status.get("restarts")),
        rules=tuple(_count(each) for each in rules) if isinstance(rules, list) else (),
        last=last if isinstance(last, dict) else {},
        nodes=tuple(each for each in nodes if _names_a_node(each)) if isinstance(nodes, list) else (),
    )


def _names_a_node(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("node"), str)


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0
