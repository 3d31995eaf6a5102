"""The main job: train on two pods, serve what was trained, answer a chat; then delete, and nothing but data remains."""

import re
import time

import pytest

from . import demo
from .install import ROOT, ask, stream
from .kube import Kube, Obj, is_false, is_true
from .resources import JOBS, PYTORCHJOBS, SERVICES

# Answers in one stream: one of these takes more than pass from a deletion to SIGTERM (5 s, while the endpoints go), and
# less than the 45 s of drainSeconds. The engine computes 256 at once.
CHOICES = (128, 256, 384, 448)
SIGTERM_SECONDS = 5.0
SAMPLES = ROOT / "workloads/samples"


def progressed(job: Obj) -> bool:
    return bool(job.get("status", {}).get("progress", {}).get("step", 0) > 0)


@pytest.mark.level(0)
@pytest.mark.feature("chain")
def test_train_serve_chat_delete(kube: Kube, gateway: str, namespace: str, capsys: pytest.CaptureFixture[str]) -> None:
    kube.kubectl("-n", namespace, "apply", "-f", str(SAMPLES / "inferenceservice-from-job.yaml"))
    [service] = [each["metadata"]["name"] for each in kube.items(namespace, SERVICES)]
    kube.until(namespace, SERVICES, service, is_false("ModelReady", "TrainingJobNotFound"), seconds=10)

    kube.kubectl("-n", namespace, "apply", "-f", str(SAMPLES / "trainingjob-pretrain.yaml"))
    kube.until(namespace, SERVICES, service, is_false("ModelReady", "WaitingForTrainingJob"), seconds=15)
    kube.until(namespace, JOBS, "stdlib", is_true("Running"), seconds=180)
    running = kube.until(namespace, JOBS, "stdlib", progressed, seconds=180)
    assert running["status"]["progress"]["totalSteps"] == running["spec"]["training"]["steps"]
    assert not is_true("Ready")(kube.get(namespace, SERVICES, service) or {})

    served = tells_its_story(kube, namespace, capsys)
    job = kube.get(namespace, JOBS, "stdlib") or {}
    learned = job["status"]["evaluation"]
    assert float(learned["bitsPerByte"]) <= float(learned["unigramBitsPerByte"]) - 1.0
    assert is_true("Ready")(job)

    assert served["status"]["observedGeneration"] == served["metadata"]["generation"]
    assert served["status"]["readyReplicas"] == 1
    answers(gateway, served["status"]["modelName"])
    drains(kube, gateway, namespace, served)

    deletes(kube, namespace, service)


def tells_its_story(kube: Kube, namespace: str, capsys: pytest.CaptureFixture[str]) -> Obj:
    """What `make demo` does once Slipway is installed, on the job that runs: it must tell of all that it waits for."""
    service = demo.story(kube, namespace)
    told = capsys.readouterr().out
    assert re.search(r"TrainingJob stdlib: Running, step \d+/1000, loss \d", told), told
    assert re.search(r"held-out files: \d\.\d+ bits per byte; unigram entropy \d\.\d+", told), told
    assert re.search(r"InferenceService stdlib: (Starting|Serving)", told), told
    answer = re.search(r"class Reader.*?\n\n(.*)\n\n\[ *[\d.]+ s\] a chat through the gateway: done", told, re.DOTALL)
    assert answer is not None, told
    assert answer[1].strip(), f"no words of the model's: {told}"
    return service


def answers(gateway: str, model: str) -> None:
    """The gateway lists the model and answers a chat, whole and streamed, with the same greedy tokens."""
    assert model in {each["id"] for each in ask(gateway, "/v1/models")["data"]}
    body = {"model": model, "messages": [{"role": "user", "content": "import os"}], "max_tokens": 16, "temperature": 0}
    whole = ask(gateway, "/v1/chat/completions", body)
    assert whole["usage"]["completion_tokens"] > 0
    events = list(stream(gateway, "/v1/chat/completions", body))
    pieces = [choice["delta"].get("content") or "" for event in events for choice in event["choices"]]
    assert "".join(pieces) == whole["choices"][0]["message"]["content"]


def drains(kube: Kube, gateway: str, namespace: str, service: Obj) -> None:
    """A replica that is taken away while it answers finishes its stream first, although its engine has had SIGTERM.

    A fast machine may be done before: then more answers are asked of the next replica.
    """
    name = service["metadata"]["name"]
    for choices in CHOICES:
        if outlives_its_replica(kube, gateway, namespace, service, choices) > SIGTERM_SECONDS:
            return
        kube.until(namespace, SERVICES, name, is_false("Ready", "Starting"), seconds=60)
        kube.until(namespace, SERVICES, name, is_true("Ready"), seconds=240)
    pytest.fail(f"{CHOICES[-1]} answers end before SIGTERM, so this shows nothing: ask more")


def outlives_its_replica(kube: Kube, gateway: str, namespace: str, service: Obj, choices: int) -> float:
    """For how many seconds after the deletion a stream of so many whole answers went on."""
    model = service["status"]["modelName"]
    body = {"model": model, "prompt": "import", "max_tokens": 200, "ignore_eos": True, "n": choices}
    events = stream(gateway, "/v1/completions", body)
    received = [next(events)]
    kube.kubectl("-n", namespace, "delete", "pod", "-l", service["status"]["selector"], "--wait=false")
    deleted = time.monotonic()
    received += list(events)
    lasted = time.monotonic() - deleted
    reasons = [choice["finish_reason"] for event in received for choice in event["choices"] if choice["finish_reason"]]
    assert reasons == ["length"] * choices
    print(f"the stream ended {lasted:.1f} s after its replica was deleted")  # noqa: T201
    return lasted


def deletes(kube: Kube, namespace: str, service: str) -> None:
    """Deleting cascades to all that Slipway made, except the volume with the model."""
    kube.kubectl("-n", namespace, "delete", SERVICES, service)
    kube.gone(namespace, "deployment", service, seconds=60)
    kube.gone(namespace, "service", service, seconds=60)
    kube.kubectl("-n", namespace, "delete", JOBS, "stdlib")
    kube.gone(namespace, PYTORCHJOBS, "stdlib-0", seconds=60)
    kube.kubectl("-n", namespace, "wait", "--for=delete", "pod", "--all", "--timeout=120s")
    claim = kube.get(namespace, "persistentvolumeclaim", "stdlib-output")
    assert claim is not None
    assert claim["status"]["phase"] == "Bound"
