"""What many objects cost the API server, and what those of one user cost another: in virtual seconds, where nothing
takes time but requests and waits.
"""

import pytest

from slipway.plan.observed import Obj

from .. import loop
from ..acts import ANOTHER_NAMESPACE, NAMESPACE, Create, Step, job, service
from ..client import Sent
from ..faults import Kill, Slow, Storm
from ..scenario import Scenario
from ..scenarios import SCENARIOS
from ..script import Script
from ..world import World

REFUSED, SERVICES = 60, 250
KILLED_AT, MADE_AT = 150.0, 180.0


def ran(scenario: Scenario, script: Script, monkeypatch: pytest.MonkeyPatch) -> list[Sent]:
    """Every request of the operators but for the Lease."""
    monkeypatch.setitem(SCENARIOS, scenario.name, scenario)

    async def main() -> World:
        world = World(script)
        outcome = await world.live()
        assert [str(violation) for violation in outcome.violations] == []
        return world

    return [sent for sent in loop.run(main()).network.history if not sent.lease]


def test_refused_jobs_at_rest_are_looked_at_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look costs three requests: is there such a gang, is there such a claim, would such a pod be taken."""
    jobs = [Step(Create(job(f"job-{n}", output={"claim": "nowhere"})), after=0.0) for n in range(REFUSED)]
    scenario = Scenario("many refused jobs", (*jobs, Step(after=600.0)))
    sent = ran(scenario, Script(scenario.name), monkeypatch)
    minutes = [[s for s in sent if 60.0 * n <= s.at < 60.0 * (n + 1)] for n in range(4, 10)]
    assert all(REFUSED <= len(minute) <= 3 * REFUSED for minute in minutes), [len(minute) for minute in minutes]
    assert not any(s.write for minute in minutes for s in minute)
    first = [s.at for s in sent if s.path.endswith("/status")]
    assert max(first) < 10.0, "each was told at once"


@pytest.mark.parametrize("kind", ["pods", "persistentvolumeclaims"])
def test_what_fails_for_one_kind_is_told_once_on_each(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them would have a status for five minutes; nor is any told of while it runs."""
    new = [Step(Create(job(f"job-{n}")), after=0.0) for n in range(5)]
    scenario = Scenario("one kind fails", (Step(Create(job("before")), after=0.0), Step(after=30.0), *new))
    sent = ran(scenario, Script(scenario.name, faults=(Storm(28.0, 300.0, 500, 100, kind),)), monkeypatch)
    told = [s.path.split("/")[-2] for s in sent if s.path.endswith("/status") and "ApiServerError" in str(s.body)]
    assert sorted(told) == [f"job-{n}" for n in range(5)]


def placed(body: Obj, namespace: str) -> Obj:
    return {**body, "metadata": {**body["metadata"], "namespace": namespace}}


def hostile() -> list[Obj]:
    """Specs that are too large, or too deep, to be read."""
    deep: Obj = {}
    for _ in range(60):
        deep = {"a": deep}
    spoiled = ({"x": "y" * 131_072}, deep)
    return [service(f"hostile-{n}", podTemplate={"spec": spoiled[n % 2]}) for n in range(10)]


@pytest.mark.parametrize("namespace", [NAMESPACE, ANOTHER_NAMESPACE])
def test_a_new_job_does_not_wait_for_the_visit_of_everything(namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new leader visits hundreds of services, each of which takes some seconds: a job that is made meanwhile is
    looked at as soon as one of those visits ends, be it in their namespace or in another.
    """
    waiting = (service(f"serve-{n}", model={"uri": f"pvc://claim-{n}/model"}) for n in range(SERVICES))
    steps = [Step(Create(body), after=0.0) for body in (*hostile(), *waiting)]
    new = Step(Create(placed(job("new", nodes=1), namespace)), after=MADE_AT)
    scenario = Scenario("a job made after a handover", (*steps, new))
    slow = Slow(KILLED_AT, 200.0, 2.0)
    sent = ran(scenario, Script(scenario.name, faults=(Kill(KILLED_AT), slow)), monkeypatch)
    visits: dict[str, float] = {}
    for each in sent:
        if each.at > KILLED_AT and "/persistentvolumeclaims/claim-" in each.path:
            visits.setdefault(each.path, each.at)
    looked = next(s.at for s in sent if s.path.endswith("/new-0"))
    after = sum(begun > looked for begun in visits.values())
    assert len(visits) == SERVICES
    assert MADE_AT < looked < MADE_AT + 5.0
    assert after > SERVICES / 4, f"the new leader had {after} of {SERVICES} still to visit"
