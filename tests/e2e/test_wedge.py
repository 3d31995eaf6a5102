"""A wedged engine leaves the endpoints and is started again, and no request fails for it. The engine is simulated.

Traffic goes on through the gateway all the time, to two replicas. What the wedged one has when it is ended has not
begun to be answered, so that the gateway asks the other one.
"""

import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from .install import ask
from .kube import Kube, Obj, condition, is_true
from .load import TOKENS, Load
from .resources import SERVICES, simulated_service, trained

MODEL = {"from": {"trainingJob": "tiny"}}
BEHAVES = {"startSeconds": 5, "tokenSeconds": 0.02}
REPLICAS = 2
CLIENTS = 12  # of an engine with four slots
ENGINES = ["vllm", "sglang"]


@pytest.mark.level(2)
@pytest.mark.feature("serving")
@pytest.mark.parametrize("engine", ENGINES)
def test_a_wedge_under_traffic_costs_no_request(kube: Kube, gateway: str, shared_namespace: str, engine: str) -> None:
    name = f"wedge-{engine}"
    trained(kube, shared_namespace)
    serving = simulated_service(name, MODEL, engine=engine, replicas=REPLICAS, behaves=BEHAVES)
    kube.apply(shared_namespace, serving)
    ready = kube.until(shared_namespace, SERVICES, name, all_answer, seconds=240)
    victim = sorted(pod["metadata"]["name"] for pod in pods(kube, shared_namespace, name))[0]

    with Load(gateway, ready["status"]["modelName"], clients=4) as load:
        simulate(kube, shared_namespace, victim, {"wedged": True})
        kube.until(shared_namespace, "pods", victim, lambda pod: not answers(pod), seconds=60)
        told = kube.until(shared_namespace, SERVICES, name, lambda seen: wedges(seen) == [victim], seconds=60)
        mended = kube.until(shared_namespace, SERVICES, name, all_answer, seconds=120)
    assert load.failures == []
    assert load.answered > REPLICAS

    assert is_true("Ready", "Serving")(told), "the other replica answers all the while"
    assert told["status"]["wedges"][0]["message"].startswith("no token for ")
    assert "was wedged and restarted (restarts: 1)" in condition(mended, "Available")["message"]
    assert restarts(kube, shared_namespace, name) == {victim: 1}
    assert events(kube, shared_namespace, name) == 1
    kube.kubectl("-n", shared_namespace, "delete", SERVICES, name)


@pytest.mark.level(2)
@pytest.mark.feature("serving")
@pytest.mark.parametrize("engine", ENGINES)
def test_a_saturated_engine_is_not_restarted(kube: Kube, gateway: str, shared_namespace: str, engine: str) -> None:
    """Four slots, twelve clients, a hundred tokens each in ten seconds: what comes last waits for thirty."""
    name = f"slow-{engine}"
    trained(kube, shared_namespace)
    serving = simulated_service(name, MODEL, engine=engine, behaves={"tokenSeconds": 0.1})
    kube.apply(shared_namespace, serving)
    ready = kube.until(shared_namespace, SERVICES, name, is_true("Ready"), seconds=240)
    since = condition(ready, "Ready")["lastTransitionTime"]
    body = {"model": ready["status"]["modelName"], "prompt": "import", "max_tokens": TOKENS, "ignore_eos": True}
    with ThreadPoolExecutor(CLIENTS) as clients:
        answered = list(clients.map(lambda _: ask(gateway, "/v1/completions", body), range(CLIENTS)))
    assert [answer["usage"]["completion_tokens"] for answer in answered] == [TOKENS] * CLIENTS
    after = kube.get(shared_namespace, SERVICES, name)
    assert after is not None
    assert condition(after, "Ready")["lastTransitionTime"] == since
    assert (restarts(kube, shared_namespace, name), wedges(after)) == ({}, [])
    kube.kubectl("-n", shared_namespace, "delete", SERVICES, name)


def all_answer(service: Obj) -> bool:
    wanted: int = service["spec"]["replicas"]
    return bool(service.get("status", {}).get("readyReplicas") == wanted and is_true("Ready", "Serving")(service))


def answers(pod: Obj) -> bool:
    return is_true("Ready")(pod)


def wedges(service: Obj) -> list[str]:
    """The pods whose engine was wedged."""
    return [entry["pod"] for entry in service["status"].get("wedges") or []]


def pods(kube: Kube, namespace: str, service: str) -> list[Obj]:
    return kube.items(namespace, "pods", f"slipway.dev/inference-service={service}")


def restarts(kube: Kube, namespace: str, service: str) -> dict[str, int]:
    """Of engines that were restarted, by pod."""
    counted = {
        pod["metadata"]["name"]: each["restartCount"]
        for pod in pods(kube, namespace, service)
        for each in pod["status"]["containerStatuses"]
        if each["name"] == "main"
    }
    return {name: count for name, count in counted.items() if count}


def simulate(kube: Kube, namespace: str, pod: str, behaviour: Obj) -> None:
    with kube.forward(namespace, f"pod/{pod}", 8000) as url:
        asked = urllib.request.Request(f"{url}/simulate", json.dumps(behaviour).encode())
        with urllib.request.urlopen(asked, timeout=10) as answer:
            assert answer.status == 200


def events(kube: Kube, namespace: str, service: str) -> int:
    """How often a wedge was told."""
    fields = f"involvedObject.name={service},reason=EngineWedged"
    listed: Obj = json.loads(kube.kubectl("-n", namespace, "get", "events", "--field-selector", fields, "-o", "json"))
    return len(listed["items"])
