"""An adapter is trained on a model that another job made, and an InferenceService answers with it on that model."""

import json

import pytest

from . import node
from .install import ask
from .kube import Kube, Obj, is_true
from .resources import JOBS, SERVICES, lora_job, service, trained

ANSWER = "ready"
QUESTIONS = "json load dump encode decode default object array string number".split()  # noqa: SIM905


@pytest.mark.level(2)
@pytest.mark.feature("adapter")
def test_lora_on_a_trained_model_is_served_as_an_adapter(kube: Kube, gateway: str, shared_namespace: str) -> None:
    """What the adapter was taught, one answer to whatever is asked, is what the service says."""
    base = trained(kube, shared_namespace)["status"]["output"]
    write_instructions(kube, shared_namespace, base["claim"])
    claim = f"pvc://{base['claim']}"
    kube.apply(
        shared_namespace,
        lora_job("taught", base=f"{claim}/{base['path']}", data=f"{claim}/instructions"),
        service("taught", {"from": {"trainingJob": "taught"}}),
    )
    job = kube.until(shared_namespace, JOBS, "taught", is_true("Complete"), seconds=300)
    assert "path" not in job["status"]["output"], "nothing was merged"
    served = kube.until(shared_namespace, SERVICES, "taught", is_true("Ready"), seconds=300)
    assert answer(gateway, served) == ANSWER
    assert served["status"]["model"]["adapter"]["path"] == job["status"]["output"]["adapterPath"]
    kube.kubectl("-n", shared_namespace, "delete", SERVICES, "taught")


def write_instructions(kube: Kube, namespace: str, claim: str) -> None:
    """Beside the model, on the same volume."""
    pairs = [f"{one} {other}" for one in QUESTIONS for other in QUESTIONS]
    rows = "".join(json.dumps({"prompt": pair, "completion": ANSWER}) + "\n" for pair in pairs)
    node.on_volume(kube, namespace, claim, "mkdir -p instructions && cat >instructions/rows.jsonl", stdin=rows)


def answer(gateway: str, served: Obj) -> str:
    message = {"role": "user", "content": "json dump"}
    body = {"model": served["status"]["modelName"], "messages": [message], "max_tokens": 16, "temperature": 0}
    said: str = ask(gateway, "/v1/chat/completions", body)["choices"][0]["message"]["content"]
    return said.strip()
