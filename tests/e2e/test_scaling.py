"""KEDA scales with the load, from one replica to two, to zero, and back for a request that the gateway holds.

The operator dies as it is told of the second replica. The engine is simulated: what scales counts requests.
"""

import pytest

from .install import ask
from .killing import kill_operator
from .kube import Kube, Obj, condition, is_true
from .load import Load
from .resources import SERVICES, simulated_service, trained

MODEL = {"from": {"trainingJob": "tiny"}}
BEHAVES = {"startSeconds": 3, "tokenSeconds": 0.03}  # so that the load of 100 tokens a request lasts
SCALING = {"minReplicas": 0, "maxReplicas": 2, "requestsPerReplica": 1, "idleSeconds": 10}


def at_zero(obj: Obj) -> bool:
    return condition(obj, "Ready").get("reason") == "ScaledToZero"


@pytest.mark.level(2)
@pytest.mark.feature("scaling")
@pytest.mark.usefixtures("mended")
def test_up_with_the_load_to_zero_and_back_with_a_held_request(kube: Kube, gateway: str, shared_namespace: str) -> None:
    trained(kube, shared_namespace)
    model = starts(kube, shared_namespace)
    body = {"model": model, "prompt": "import", "max_tokens": 4}
    assert ask(gateway, "/v1/completions", body)["usage"]["completion_tokens"] == 4

    follows_the_load(kube, gateway, shared_namespace, model)
    zero = kube.until(shared_namespace, SERVICES, "idle", at_zero, seconds=180)
    assert is_true("Ready")(zero)
    assert zero["status"].get("readyReplicas", 0) == 0

    assert ask(gateway, "/v1/completions", body, seconds=280)["usage"]["completion_tokens"] == 4
    kube.until(shared_namespace, SERVICES, "idle", is_true("Ready", "Serving"), seconds=60)
    kube.kubectl("-n", shared_namespace, "delete", SERVICES, "idle")
    kube.gone(shared_namespace, "scaledobject", "idle", seconds=60)


def starts(kube: Kube, namespace: str) -> str:
    kube.apply(namespace, simulated_service("idle", MODEL, scaling=SCALING, behaves=BEHAVES))
    ready = kube.until(namespace, SERVICES, "idle", is_true("Ready"), seconds=240)
    kube.until(namespace, SERVICES, "idle", is_true("Scaling"), seconds=60)
    name: str = ready["status"]["modelName"]
    return name


def follows_the_load(kube: Kube, gateway: str, namespace: str, model: str) -> None:
    """Three clients are too many for one replica. One of them stays until the second replica answers, so that the
    service does not fall asleep meanwhile. The operator that is to make that replica dies: nobody else would, and
    nobody's request fails for it."""
    with Load(gateway, model, clients=3) as load:
        kube.until(namespace, SERVICES, "idle", lambda seen: bool(seen["spec"]["replicas"] == 2), seconds=120)
        kill_operator(kube)
        load.only(1)
        both = kube.until(namespace, SERVICES, "idle", lambda seen: counted(seen) == 2, seconds=300)
    assert is_true("Available", "ReplicasReady")(both)
    assert load.failures == []
    assert load.answered > 3


def counted(obj: Obj) -> int:
    ready: int = obj["status"].get("readyReplicas", 0)
    return ready
