"""KEDA scales an idle service to zero; a request for it is held by the gateway and answered by a new replica."""

import pytest

from .install import ask
from .kube import Kube, Obj, condition, is_true
from .resources import SERVICES, service, trained


def at_zero(obj: Obj) -> bool:
    return condition(obj, "Ready").get("reason") == "ScaledToZero"


@pytest.mark.level(2)
@pytest.mark.feature("scaling")
def test_to_zero_and_back_with_a_held_request(kube: Kube, gateway: str, shared_namespace: str) -> None:
    trained(kube, shared_namespace)
    scaling = {"minReplicas": 0, "maxReplicas": 2, "idleSeconds": 10}
    kube.apply(shared_namespace, service("idle", {"from": {"trainingJob": "tiny"}}, scaling=scaling))
    ready = kube.until(shared_namespace, SERVICES, "idle", is_true("Ready"), seconds=240)
    kube.until(shared_namespace, SERVICES, "idle", is_true("Scaling"), seconds=60)
    body = {"model": ready["status"]["modelName"], "prompt": "import", "max_tokens": 4}
    assert ask(gateway, "/v1/completions", body)["usage"]["completion_tokens"] == 4

    zero = kube.until(shared_namespace, SERVICES, "idle", at_zero, seconds=180)
    assert is_true("Ready")(zero)
    assert zero["status"].get("readyReplicas", 0) == 0

    assert ask(gateway, "/v1/completions", body, seconds=280)["usage"]["completion_tokens"] == 4
    kube.until(shared_namespace, SERVICES, "idle", is_true("Ready", "Serving"), seconds=60)
    kube.kubectl("-n", shared_namespace, "delete", SERVICES, "idle")
    kube.gone(shared_namespace, "scaledobject", "idle", seconds=60)
