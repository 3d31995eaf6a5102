"""For how long the gang has had its nodes, what share of it was productive, and what it cost."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from slipway.plan.clock import rfc3339
from slipway.plan.observed import Reported

from .builders import (
    DEFAULTS,
    LIVE,
    NOW,
    RECIPE,
    backend_condition,
    claim_child,
    container,
    ended,
    gang,
    gang_pods,
    gang_ref,
    owner,
    planned,
    pod,
    pod_ref,
    running_status,
    told,
    with_gang,
)

BOUND = NOW - 100
PRICED = replace(DEFAULTS, device_hour_prices=(("cpu", Decimal("0.36")),), currency="EUR")


def span(seconds: int = 0, *, since: float | None = BOUND, until: float = BOUND, devices: int = 2) -> dict[str, Any]:
    begin = {} if since is None else {"since": rfc3339(since)}
    return {"seconds": seconds, "deviceSeconds": seconds * devices, **begin, "until": rfc3339(until)}


def bound_pods(at: float = BOUND, attempt: int = 0, **changes: Any) -> tuple[Any, Any]:
    first, second = gang_pods(attempt)
    return replace(first, bound=at - 7, **changes), replace(second, bound=at, **changes)


def said(*, received: float = NOW - 1, productive: str | None = None) -> Reported:
    return Reported(
        pod_uid="uid-demo-0-master-0", received=received, step=40, total_steps=200, productive_seconds=productive
    )


def test_it_begins_when_the_last_pod_got_its_node() -> None:
    made = planned(with_gang(*bound_pods()))
    assert told(made)["Running"][0] == "True"
    assert made.status["allocation"] == span()


@pytest.mark.parametrize("at", [None, NOW + 60])
def test_a_node_got_at_no_known_time_was_got_now(at: Any) -> None:
    first, second = bound_pods()
    made = planned(with_gang(first, replace(second, bound=at)))
    assert made.status["allocation"] == span(since=NOW, until=NOW)


@pytest.mark.parametrize("bound", [None, BOUND])
def test_what_is_waited_for_does_not_count(bound: Any) -> None:
    """Nor an image pull, until the gang runs; then it does."""
    first, second = bound_pods()
    waits = replace(second, phase="Pending", bound=bound, containers=())
    assert "allocation" not in planned(with_gang(first, waits)).status


def test_a_gang_that_says_nothing_causes_no_write() -> None:
    status = planned(with_gang(*bound_pods())).status
    for later in (1, 31, 100_000):
        assert planned(with_gang(*bound_pods(), status=status), NOW + later).status == status


def test_each_report_that_is_shown_counts_up_to_its_time() -> None:
    status = running_status(allocation=span())
    what = with_gang(*bound_pods(), status=status, reported=said(productive="49.5"))
    made = planned(what)
    assert made.status["allocation"] == span(99, until=NOW - 1)
    assert made.status["progress"]["goodputPercent"] == "50.0"
    again = planned(replace(what, owner=owner(status=made.status)), NOW + 1000)
    assert again.status == made.status
    later = said(received=NOW + 10, productive="59.5")
    soon = planned(replace(what, owner=owner(status=made.status), reported=later), NOW + 10)
    assert (soon.status, soon.requeue_after) == (made.status, 19)
    due = planned(replace(what, owner=owner(status=made.status), reported=later), NOW + 29)
    assert due.status["allocation"] == span(110, until=NOW + 10)
    assert due.status["progress"]["goodputPercent"] == "54.1"


def test_a_report_from_before_this_span_does_not_count() -> None:
    before = {"step": 1, "updated": rfc3339(BOUND - 50)}
    made = planned(with_gang(*bound_pods(), status=running_status(progress=before, allocation=span())))
    assert made.status["allocation"] == span()


def test_a_restart_ends_the_span_and_costs_goodput() -> None:
    shown = {"step": 40, "productiveSeconds": "45", "updated": rfc3339(NOW - 10)}
    first, second = bound_pods()
    broken = replace(second, phase="Failed", containers=(ended(1),))
    status = running_status(progress=shown, allocation=span(90, until=NOW - 10))
    what = with_gang(first, broken, status=status, read={pod_ref("demo-0-master-0"): LIVE, gang_ref(): {"status": {}}})
    made = planned(what)
    assert told(made)["Running"][1] == "Restarting"
    assert made.status["allocation"] == span(100, since=None, until=NOW)
    assert made.status["progress"]["goodputPercent"] == "45.0"
    # the next visits: what is left goes, the next gang is made and waits
    for later in (5, 60, 4000):
        waits = with_gang(status=made.status, attempt=1)
        assert planned(waits, NOW + later).status["allocation"] == made.status["allocation"]


def test_the_next_attempt_adds_to_it() -> None:
    status = {"attempt": 1, "allocation": span(100, since=None, until=NOW - 60)}
    made = planned(with_gang(*bound_pods(NOW - 20, attempt=1), attempt=1, status=status))
    assert made.status["allocation"] == span(100, since=NOW - 20, until=NOW - 20)
    failing_later = with_gang(
        *(replace(each, phase="Failed", containers=(ended(1),)) for each in bound_pods(NOW - 20, attempt=1)),
        attempt=1,
        status=made.status,
    )
    assert planned(failing_later, NOW + 30).status["allocation"] == span(150, since=None, until=NOW + 30)


def test_spans_do_not_overlap_whatever_clocks_say() -> None:
    status = {"allocation": span(50, since=None, until=NOW - 30)}
    made = planned(with_gang(*bound_pods(NOW - 80), status=status))
    assert made.status["allocation"] == span(50, since=NOW - 30, until=NOW - 30)
    ahead = {"allocation": span(50, since=None, until=NOW + 30)}
    made = planned(with_gang(*bound_pods(NOW - 80), status=ahead))
    assert made.status["allocation"] == span(50, since=NOW + 30, until=NOW + 30)
    over = planned(with_gang(status=status_of(made), backend=backend_condition("Suspended")))
    assert over.status["allocation"] == span(50, since=None, until=NOW + 30)


def test_suspended_time_does_not_count() -> None:
    held = (claim_child(), gang(suspended=True))
    suspended = planned(with_gang(status={"allocation": span()}, children=held))
    assert told(suspended)["Running"][:2] == ("False", "GangSuspended")
    assert suspended.status["allocation"] == span(100, since=None, until=NOW)
    resumed = planned(with_gang(*bound_pods(NOW + 500), status=suspended.status), NOW + 510)
    assert resumed.status["allocation"] == span(100, since=NOW + 500, until=NOW + 500)


def status_of(made: Any) -> Any:
    """Of a gang whose pods are gone, without the condition Running: they would be looked for before anything else."""
    return {"allocation": made.status["allocation"]}


def test_a_job_that_ended_unseen_is_counted_to_its_end() -> None:
    """The operator was away for an hour; the nodes were free again."""
    done = [replace(each, phase="Succeeded", containers=(_ended_at(NOW - 30),)) for each in bound_pods()]
    status = running_status(allocation=span(20, until=NOW - 80))
    made = planned(with_gang(*done, status=status), NOW + 3600)
    assert told(made)["Complete"][0] == "True"
    assert made.status["allocation"] == span(70, since=None, until=NOW - 30)


def test_peers_that_still_run_at_the_end_have_their_nodes_until_now() -> None:
    first, second = bound_pods()
    done = replace(first, phase="Succeeded", containers=(_ended_at(NOW - 30),))
    made = planned(with_gang(done, second, status=running_status(allocation=span())))
    assert made.status["allocation"] == span(100, since=None, until=NOW)


def _ended_at(finished: float) -> Any:
    return container("terminated", exit_code=0, reason="Completed", finished=finished)


def test_an_attempt_that_nobody_saw_running_counts_too() -> None:
    done = [replace(each, phase="Succeeded", containers=(_ended_at(NOW - 30),)) for each in bound_pods()]
    made = planned(with_gang(*done))
    assert made.status["allocation"] == span(70, since=None, until=NOW - 30)
    again = planned(with_gang(*done, status=made.status), NOW + 100)
    assert again.status == made.status


def test_an_attempt_that_never_had_all_its_nodes_does_not() -> None:
    broken = pod(phase="Failed", containers=(ended(2),), bound=BOUND)
    made = planned(with_gang(broken))
    assert told(made)["Failed"][0] == "True"
    assert "allocation" not in made.status


@pytest.mark.parametrize(
    "before", [{}, {"seconds": 4}, {"seconds": 4, "deviceSeconds": 8, "until": "junk"}, {"until": None}]
)
def test_what_was_not_written_so_is_counted_anew(before: Any) -> None:
    made = planned(with_gang(*bound_pods(), status={"allocation": before}))
    assert made.status["allocation"] == span()


# Cost


def test_the_cost_is_of_device_hours() -> None:
    spec = {**RECIPE, "perNode": 5}
    status = running_status(allocation=span())
    what = with_gang(*bound_pods(), status=status, reported=said(received=BOUND + 3600), spec=spec)
    made = planned(what, BOUND + 3600, defaults=PRICED)
    assert made.status["allocation"] == {
        **span(3600, until=BOUND + 3600, devices=10),
        "estimatedCost": "3.60",
        "currency": "EUR",
    }


@pytest.mark.parametrize("prices", [(), (("nvidia", Decimal(3)),)])
def test_without_a_price_there_is_no_cost(prices: Any) -> None:
    status = running_status(allocation={**span(), "estimatedCost": "1.00", "currency": "EUR"})
    defaults = replace(PRICED, device_hour_prices=prices)
    made = planned(with_gang(*bound_pods(), status=status, reported=said()), defaults=defaults)
    assert made.status["allocation"] == span(99, until=NOW - 1)


def test_nothing_counted_costs_nothing_yet() -> None:
    assert planned(with_gang(*bound_pods()), defaults=PRICED).status["allocation"] == span()


def test_the_price_of_the_last_day_stays() -> None:
    done = [replace(each, phase="Succeeded", containers=(_ended_at(BOUND + 75),)) for each in bound_pods()]
    status = planned(with_gang(*done), defaults=PRICED).status
    assert status["allocation"]["estimatedCost"] == "0.02", "150 device seconds at 0.36 are 0.015"
    dearer = replace(PRICED, device_hour_prices=(("cpu", Decimal(1000)),))
    assert planned(with_gang(*done, status=status), NOW + 9, defaults=dearer).status == status


# Goodput


@pytest.mark.parametrize(
    ("productive", "seconds", "percent"),
    [
        ("0", 99, "0.0"),
        ("99", 99, "100.0"),
        ("200", 99, "100.0"),
        ("33", 99, "33.3"),
        ("much", 99, None),
        (None, 99, None),
        ("0", 0, None),
    ],
)
def test_goodput(productive: Any, seconds: Any, percent: Any) -> None:
    shown = {"step": 1, "productiveSeconds": productive, "updated": rfc3339(BOUND)}
    shown = {name: value for name, value in shown.items() if value is not None}
    status = running_status(progress=shown, allocation=span(seconds))
    assert planned(with_gang(*bound_pods(), status=status)).status["progress"].get("goodputPercent") == percent
