"""The phases of a benchmark, each of which adds figures. Names end in their unit; times are seconds but for `_ms`.

What is timed is timed by watches of the benchmark's own, from before a request is sent to when any client could see its
effect. CPU is the kernel's count for each process, writes are the API server's own count.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from .bounds import Course, Figures
from .counting import ApiRequests, parse, percentile, since, total
from .load import Users, Wanted, inference_services, training_jobs
from .processes import Meter, cpu_seconds, memory_mb
from .sightings import Sightings, full_name, gang_of, replicas_of, told
from .world import Program, World, until

GANGS = "/apis/kubeflow.org/v1/pytorchjobs"
JOBS = "/apis/slipway.dev/v1alpha1/trainingjobs"
DEPLOYMENTS = "/apis/apps/v1/deployments"
LONG_SECONDS = 1800.0
SETTLE_SECONDS = 3.0
IDLE = 'workqueue_depth{name="slipway"} 0.0'


@dataclass
class Bench:
    """One run over one cluster. `made` counts TrainingJobs, so that each phase makes new ones."""

    world: World
    users: Users
    course: Course
    figures: Figures = field(default_factory=dict)
    tables: dict[str, Mapping[str, float]] = field(default_factory=dict)
    made: int = 0

    def jobs(self, count: int) -> list[Wanted]:
        numbers = range(self.made, self.made + count)
        self.made += count
        return training_jobs(self.world.namespaces, numbers)

    def services(self) -> list[Wanted]:
        return inference_services(self.world.namespaces, range(self.course.size("inferenceServices")))

    def pids(self, **programs: Program) -> dict[str, int]:
        others = {name: program.pid for name, program in programs.items()}
        return {**self.world.api.pids, "benchmark": os.getpid(), **others}

    def cpu(self, phase: str, meter: Meter, count: int) -> None:
        """CPU of each process per object, in milliseconds."""
        for name, seconds in meter.read().items():
            self.figures[f"{phase}_cpu_{name.replace('-', '_')}_ms"] = 1000 * seconds / count


async def waiting(look: Callable[[], object], what: str, *, seconds: float = 120.0) -> float:
    """`until`, while this process goes on watching."""
    return await asyncio.to_thread(until, look, what, seconds=seconds)


async def paced(bench: Bench, operator: Program) -> None:
    """From a TrainingJob to its PyTorchJob, at a rate that leaves room: what a user waits."""
    wanted = bench.jobs(bench.course.size("pacedJobs"))
    async with Sightings.of(bench.users, GANGS, gang_of) as gangs:
        sent = await bench.users.create(wanted, per_second=bench.course.sizes["pacedPerSecond"])
        await gangs.all_of(len(wanted), "PyTorchJobs", seconds=LONG_SECONDS)
    waits = [1000 * (gangs.seen[name] - begun) for name, begun in sent.items()]
    bench.figures |= {
        "create_to_child_p50_ms": percentile(waits, 0.5),
        "create_to_child_p99_ms": percentile(waits, 0.99),
    }


async def burst(bench: Bench, operator: Program) -> None:
    """As many as the API server takes, as fast as it takes them: through to PyTorchJobs, with status."""
    wanted = bench.jobs(bench.course.size("burstJobs"))
    async with AsyncExitStack() as stack:
        gangs = await stack.enter_async_context(Sightings.of(bench.users, GANGS, gang_of))
        statuses = await stack.enter_async_context(Sightings.of(bench.users, JOBS, told("Accepted")))
        before, own = bench.world.api_metrics(), operator.metrics()
        meter, begun = Meter.start(bench.pids(operator=operator)), time.monotonic()
        await bench.users.create(wanted)
        bench.figures["burst_taken_per_second"] = len(wanted) / (time.monotonic() - begun)
        ends = [
            await each.all_of(len(wanted), what, seconds=LONG_SECONDS)
            for each, what in ((gangs, "PyTorchJobs"), (statuses, "statuses"))
        ]
        bench.cpu("burst", meter, len(wanted))
    bench.figures["jobs_per_second"] = len(wanted) / (max(ends) - begun)
    await settled(operator)
    _count(bench, before, own, operator, len(wanted))


def _count(bench: Bench, before: str, own: str, operator: Program, jobs: int) -> None:
    asked = ApiRequests.between(before, bench.world.api_metrics())
    bench.tables["requests of a burst, per job"] = {
        row: n / jobs for row, n in asked.table().items() if n / jobs > 0.01
    }
    written = since(parse(own, "slipway_writes_total"), parse(operator.metrics(), "slipway_writes_total"))
    bench.figures |= {
        # The user's own request is not ours.
        "writes_per_job": (asked.writes() - asked.of("POST", "trainingjobs")) / jobs,
        "own_count_of_writes_per_job": total(written, lambda labels: "events" not in labels["resource"]) / jobs,
        "events_per_job": asked.events() / jobs,
        "dry_runs_per_job": asked.dry_runs() / jobs,
        "pod_listings_per_job": asked.of("LIST", "pods") / jobs,
    }


async def settled(operator: Program) -> None:
    """The queue is empty, and what was on its way has arrived."""
    await waiting(lambda: IDLE in operator.metrics(), "an empty queue", seconds=LONG_SECONDS)
    await asyncio.sleep(SETTLE_SECONDS)


async def side_by_side(bench: Bench, operator: Program) -> None:
    """The training operator on the PyTorchJobs that are there, and kwok on their pods; Slipway tells of it."""
    jobs = bench.made
    async with AsyncExitStack() as stack:
        stack.enter_context(bench.world.kwok())
        ready = await stack.enter_async_context(Sightings.of(bench.users, GANGS, told("Running")))
        running = await stack.enter_async_context(Sightings.of(bench.users, JOBS, told("Running")))
        backend = stack.enter_context(bench.world.training_operator(threads=bench.course.size("backendThreads")))
        meter, begun = Meter.start(bench.pids(operator=operator, training_operator=backend)), time.monotonic()
        end = await ready.all_of(jobs, "PyTorchJobs that run", seconds=LONG_SECONDS)
        seen = await running.all_of(jobs, "TrainingJobs that run", seconds=LONG_SECONDS)
        bench.cpu("backend", meter, jobs)
        bench.figures |= {
            "backend_jobs_per_second": jobs / (end - begun),
            "running_told_after_backend_seconds": seen - end,
        }
        await settled(operator)


async def services(bench: Bench, operator: Program) -> None:
    """InferenceServices through to Deployments."""
    wanted = bench.services()
    async with Sightings.of(bench.users, DEPLOYMENTS, full_name) as deployments:
        meter, begun = Meter.start(bench.pids(operator=operator)), time.monotonic()
        await bench.users.create(wanted)
        end = await deployments.all_of(len(wanted), "Deployments", seconds=LONG_SECONDS)
        bench.cpu("services", meter, len(wanted))
    bench.figures["services_per_second"] = len(wanted) / (end - begun)
    with bench.world.kwok(), bench.world.deployments():
        path = "/apis/slipway.dev/v1alpha1/inferenceservices"
        async with Sightings.of(bench.users, path, told("Available")) as available:
            await available.all_of(len(wanted), "services that are available", seconds=LONG_SECONDS)
        await settled(operator)


async def event_to_apply(bench: Bench, operator: Program) -> None:
    """From a change of an InferenceService, at a steady rate, to the change of its Deployment."""
    wanted = bench.services()[: bench.course.size("changes")]
    async with Sightings.of(bench.users, DEPLOYMENTS, replicas_of(2)) as changed:
        sent = await bench.users.scale(wanted, 2, per_second=bench.course.sizes["changesPerSecond"])
        await changed.all_of(len(wanted), "changed Deployments", seconds=LONG_SECONDS)
    waits = [1000 * (changed.seen[name] - begun) for name, begun in sent.items()]
    bench.figures |= {"event_to_apply_p50_ms": percentile(waits, 0.5), "event_to_apply_p99_ms": percentile(waits, 0.99)}
    await settled(operator)


async def rest(bench: Bench, operator: Program) -> None:
    """Nothing happens, so nothing is written."""
    seconds = bench.course.sizes["restSeconds"]
    before, cpu = bench.world.api_metrics(), cpu_seconds(operator.pid)
    await asyncio.sleep(seconds)
    asked = ApiRequests.between(before, bench.world.api_metrics())
    bench.figures |= {
        "writes_at_rest": asked.writes() + asked.events(),
        "cpu_at_rest_percent": 100 * (cpu_seconds(operator.pid) - cpu) / seconds,
        "memory_mb": memory_mb(operator.pid),
        "memory_peak_mb": memory_mb(operator.pid, "VmHWM"),
    }


async def restart(bench: Bench) -> None:
    """A new process: lists, leads, visits everything, writes nothing."""
    before, begun = bench.world.api_metrics(), time.monotonic()
    with bench.world.operator() as operator:
        await waiting(operator.leads, "leadership", seconds=LONG_SECONDS)
        led = time.monotonic()
        await waiting(lambda: IDLE in operator.metrics(), "an empty queue", seconds=LONG_SECONDS)
        keys, seconds = bench.made + bench.course.size("inferenceServices"), time.monotonic() - begun
        await asyncio.sleep(SETTLE_SECONDS)
        asked = ApiRequests.between(before, bench.world.api_metrics())
        bench.tables["requests of a restart"] = asked.table()
        bench.figures |= {
            "restart_seconds": seconds,
            "restart_until_leading_seconds": led - begun,
            "restart_seconds_per_10000": 1e4 * seconds / keys,
            "restart_writes": asked.writes() + asked.events(),
            "restart_cpu_seconds": cpu_seconds(operator.pid),
            "restart_memory_mb": memory_mb(operator.pid),
            "restart_memory_peak_mb": memory_mb(operator.pid, "VmHWM"),
        }


async def handover(bench: Bench, number: signal.Signals) -> None:
    """The leader gets a signal under load; until another leads, and until a job of after the signal has its gang."""
    name = "killed" if number == signal.SIGKILL else "stopped"
    per_second, seconds = bench.course.sizes["handoverPerSecond"], bench.course.sizes["handoverSeconds"]
    wanted = bench.jobs(int(per_second * seconds))
    async with AsyncExitStack() as stack:
        leader = stack.enter_context(bench.world.operator())
        await waiting(leader.leads, "leadership", seconds=LONG_SECONDS)
        standby = stack.enter_context(bench.world.operator(user="slipway-standby"))
        await waiting(standby.ready, "readiness of the standby", seconds=LONG_SECONDS)
        await settled(leader)
        gangs = await stack.enter_async_context(Sightings.of(bench.users, GANGS, gang_of))
        creating = asyncio.create_task(bench.users.create(wanted, per_second=per_second))
        await asyncio.sleep(seconds / 4)
        begun = time.monotonic()
        os.kill(leader.pid, number)
        bench.figures[f"{name}_until_leading_seconds"] = await waiting(standby.leads, "another leader")
        sent = await creating
        await gangs.all_of(len(wanted), "PyTorchJobs of all jobs", seconds=LONG_SECONDS)
    first = min(gangs.seen[job] for job, at in sent.items() if at > begun)
    bench.figures[f"{name}_until_next_gang_seconds"] = first - begun
    bench.figures[f"{name}_longest_wait_seconds"] = max(gangs.seen[job] - at for job, at in sent.items())
