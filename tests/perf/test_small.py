"""The operator as it is, with 500 jobs, by the API server's audit log: how many requests, none for what is not ours.

Counts only: how long it takes is for `make bench`, on a machine that has nothing else to do.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.kube.kinds import ACCELERATOR, CHILDREN, OWNERS
from slipway.plan.labels import SELECTOR

from .audit import Request, count, requests_of
from .bounds import Figures, broken, read
from .load import MERGE, Users, Wanted, inference_services, training_jobs
from .sightings import Sightings, gang_of, told
from .world import OPERATOR, Program, World, until, world

COURSE = read(Path(__file__).parent / "small.yaml")
PATIENCE_SECONDS = 300.0
GANGS = "/apis/kubeflow.org/v1/pytorchjobs"
SERVICES = "/apis/slipway.dev/v1alpha1/inferenceservices"
JOBS = "/apis/slipway.dev/v1alpha1/trainingjobs"
VISITS = "workqueue_work_duration_seconds_count"

# What is asked for without our selector, and why.
UNSELECTED = {
    "customresourcedefinitions": "kopf notices kinds that come later",
    **{resource.plural: "users make these, all of them are ours" for resource in (*OWNERS, ACCELERATOR)},
}


class Observer:
    """What the operator has asked since the last look."""

    def __init__(self, log: Path) -> None:
        self._log, self._known = log, 0

    def news(self) -> list[Request]:
        found = requests_of(self._log, OPERATOR, skip=self._known)
        self._known += len(found)
        return [each for each in found if each.resource != "leases"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("perf"), namespaces=COURSE.size("namespaces"), audited=True) as made:
        yield made


def visits(operator: Program) -> float:
    lines = [line for line in operator.metrics().splitlines() if line.startswith(VISITS)]
    return float(lines[0].split()[1]) if lines else 0.0


def idle(operator: Program) -> bool:
    """Nothing waits, nothing is visited, and no visit was made between two looks."""
    before, text = visits(operator), operator.metrics()
    waits = 'workqueue_depth{name="slipway"} 0.0' in text
    works = any(
        line.startswith("controller_runtime_active_workers") and not line.endswith(" 0.0") for line in text.splitlines()
    )
    return waits and not works and visits(operator) == before


async def make(users: Users, wanted: list[Wanted], services: list[Wanted]) -> None:
    async with (
        Sightings.of(users, GANGS, gang_of) as gangs,
        Sightings.of(users, JOBS, told("Accepted")) as jobs,
        Sightings.of(users, SERVICES, told("Accepted")) as accepted,
    ):
        await users.create([*wanted, *services])
        await gangs.all_of(len(wanted), "PyTorchJobs", seconds=PATIENCE_SECONDS)
        await jobs.all_of(len(wanted), "jobs with status", seconds=PATIENCE_SECONDS)
        await accepted.all_of(len(services), "services with status", seconds=PATIENCE_SECONDS)


async def poke(users: Users, wanted: list[Wanted]) -> None:
    """An event of each job that changes nothing of what is asked for."""
    for each in wanted:
        body = {"metadata": {"annotations": {"poked": "yes"}}}
        await users.send("PATCH", f"{each.path}/{each.name}", body, MERGE)


def figures_of_making(asked: list[Request], jobs: int, services: int) -> Figures:
    of_jobs = sum(
        count(asked, *each)
        for each in (("patch", "trainingjobs/status"), ("create", "pytorchjobs"), ("patch", "persistentvolumeclaims"))
    )
    of_services = sum(
        count(asked, *each)
        for each in (("patch", "inferenceservices/status"), ("patch", "deployments"), ("patch", "services"))
    )
    others = sum(each.writes() for each in asked) - of_jobs - of_services - count(asked, "create", "events")
    assert others == 0, "a write that nobody counts"
    about_jobs = [each for each in asked if each.name.startswith("job-") or (each.verb, each.name) == ("list", "")]
    reads = sum(each.verb == "get" for each in about_jobs) + count(about_jobs, "list", "pods") - 1  # one at the start
    trials = sum(each.dry_run and each.verb == "create" for each in asked) - services  # theirs have their names in them
    return {
        "writesPerJob": of_jobs / jobs,
        "eventsPerJob": (count(asked, "create", "events") - services) / jobs,
        "readsPerJob": reads / jobs,
        "dryRunsPerNamespace": trials / COURSE.size("namespaces"),
        "writesPerService": of_services / services,
    }


@pytest.mark.parametrize(("trials", "problems"), [(5, []), (500, ["dryRunsPerNamespace"])])
def test_a_dry_run_for_each_job_breaks_the_bound(trials: int, problems: list[str]) -> None:
    """Pods are tried, and templates were counted; and never more of them than there are namespaces."""
    jobs, services = COURSE.size("trainingJobs"), COURSE.size("inferenceServices")
    dry = [Request("create", "pods", "", "", dry_run=True, code=201)] * (trials + services)
    figures = figures_of_making([*dry, Request("list", "pods", "", "", dry_run=False, code=200)], jobs, services)
    complaints = broken(figures, {"dryRunsPerNamespace": COURSE.bounds["dryRunsPerNamespace"]})
    assert [each.split(" ")[0] for each in complaints] == problems


async def test_counts_of_requests(cluster: World) -> None:
    wanted = training_jobs(cluster.namespaces, range(COURSE.size("trainingJobs")))
    services = inference_services(cluster.namespaces, range(COURSE.size("inferenceServices")))
    assert cluster.api.audit_log is not None
    observer = Observer(cluster.api.audit_log)
    async with Users.of(cluster.api) as users:
        with cluster.operator() as operator:
            await asyncio.to_thread(until, operator.leads, "leadership")
            await make(users, wanted, services)
            await asyncio.to_thread(until, lambda: idle(operator), "rest")
            asked = observer.news()
            figures = figures_of_making(asked, len(wanted), len(services))

            before = visits(operator)
            await poke(users, wanted)
            await asyncio.to_thread(until, lambda: visits(operator) >= before + len(wanted), "visits")
            await asyncio.to_thread(until, lambda: idle(operator), "rest")
            poked = observer.news()
        with cluster.operator() as operator:
            await asyncio.to_thread(until, operator.leads, "leadership")
            known = len(wanted) + len(services)
            await asyncio.to_thread(until, lambda: visits(operator) >= known, "a visit to everything")
            await asyncio.to_thread(until, lambda: idle(operator), "rest")
            again = observer.news()

    figures["writesOfPokedJobs"] = sum(each.writes() for each in poked)
    figures["writesOfRestart"] = sum(each.writes() for each in again)
    figures["readsOfRestartPerJob"] = sum(count(again, "get", each) for each in ("pytorchjobs", "trainingjobs"))
    assert broken(figures, COURSE.bounds) == []
    nothing_but_ours([*asked, *poked, *again])


def nothing_but_ours(asked: list[Request]) -> None:
    """No LIST and no watch of what is not ours: each has our selector, or is one of the few that need none."""
    wide = {(each.verb, each.resource) for each in asked if each.verb in ("list", "watch") and each.selector == ""}
    assert {resource for _, resource in wide} <= UNSELECTED.keys()
    listed = {each.resource for each in asked if each.verb in ("list", "watch")}
    assert listed == UNSELECTED.keys() | {resource.plural for resource in CHILDREN}, "every kind is watched"
    assert {each.selector for each in asked if each.verb in ("list", "watch")} == {"", SELECTOR}
