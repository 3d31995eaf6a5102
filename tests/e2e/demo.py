"""`make demo`: a cluster, Slipway on it, a model trained on the Python standard library, served, and asked.

Prints every step with its time; can be run again. Standard library only, so that nothing must be installed first.
`story` is what test_chain.py runs too, so the demo does nothing that no test has done.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .install import IMAGES, ROOT, SYSTEM, bed, connect, install, restricted_namespace, stream
from .kube import Failed, Kube, Obj, condition, is_true

NAMESPACE = "demo"
JOB = "stdlib"
SAMPLES = ROOT / "workloads/samples"
STEPS = 7  # those of demonstrate, and of story
BEGAN = time.monotonic()


def say(text: str, *, end: str = "\n") -> None:
    sys.stdout.write(f"[{time.monotonic() - BEGAN:6.1f} s] {text}{end}")
    sys.stdout.flush()


@contextmanager
def step(number: int, name: str) -> Iterator[None]:
    begin = time.monotonic()
    say(f"{name} ({number} of {STEPS}) ...")
    yield
    say(f"{name}: done in {time.monotonic() - begin:.1f} s")


def follow(kind: str, done: Callable[[Obj], bool]) -> Callable[[Obj], bool]:
    """A predicate that also tells what it sees, a line a change."""
    last = ""

    def holds(obj: Obj) -> bool:
        nonlocal last
        line = describe(obj)
        if line != last:
            last = line
            say(f"  {kind} {obj['metadata']['name']}: {line}")
        if condition(obj, "Failed").get("status") == "True":
            raise Failed(condition(obj, "Failed")["message"])
        return done(obj)

    return holds


def describe(obj: Obj) -> str:
    ready = condition(obj, "Ready")
    progress = obj.get("status", {}).get("progress")
    words: str = ready.get("reason", "not seen yet")
    if progress:
        words += f", step {progress['step']}/{progress.get('totalSteps', '?')}, loss {progress.get('loss', '?')}"
    if words.startswith(("Running", "Complete")):
        return words
    return f"{words}: {ready.get('message', '')[:160]}"


def story(kube: Kube, namespace: str) -> Obj:
    """Train, serve, ask; returns the InferenceService. What is there already is taken up where it stands."""
    with step(5, "TrainingJob: two pods, DDP, the standard library's source"):
        job = train(kube, namespace)
    found = job["status"].get("evaluation", {})
    say(
        f"  held-out files: {found.get('bitsPerByte')} bits per byte; unigram entropy {found.get('unigramBitsPerByte')}"
    )
    with step(6, "InferenceService: vLLM with the trained model"):
        service = serve(kube, namespace)
    with step(7, "a chat through the gateway"):
        chat(kube, service["status"]["modelName"])
    return service


def train(kube: Kube, namespace: str) -> Obj:
    forget_failed(kube, namespace)
    kube.kubectl("-n", namespace, "apply", "-f", str(SAMPLES / "trainingjob-pretrain.yaml"))
    return kube.until(
        namespace, "trainingjobs.slipway.dev", JOB, follow("TrainingJob", is_true("Complete")), seconds=1200
    )


def forget_failed(kube: Kube, namespace: str) -> None:
    """A job that failed stays so; its claim, with its checkpoints, is kept."""
    job = kube.get(namespace, "trainingjobs.slipway.dev", JOB)
    if job and condition(job, "Failed").get("status") == "True":
        say(f"  TrainingJob {JOB} failed the last time: deleted, to begin again")
        kube.kubectl("-n", namespace, "delete", "trainingjobs.slipway.dev", JOB, "--wait=true")


def serve(kube: Kube, namespace: str) -> Obj:
    sample = SAMPLES / "inferenceservice-from-job.yaml"
    kube.kubectl("-n", namespace, "apply", "-f", str(sample))
    name = kube.kubectl("-n", namespace, "get", "-f", str(sample), "-o", "jsonpath={.metadata.name}")
    kind = "inferenceservices.slipway.dev"
    return kube.until(namespace, kind, name, follow("InferenceService", is_true("Ready")), seconds=600)


def chat(kube: Kube, model: str) -> None:
    question = "class Reader:\n    def __init__(self, path):"
    with kube.forward(SYSTEM, "svc/slipway-gateway", 80) as url:
        say(f"  POST {url}/v1/chat/completions, model {model}: {question!r}")
        messages = [{"role": "user", "content": question}]
        body = {"model": model, "messages": messages, "max_tokens": 80, "temperature": 0.2}
        sys.stdout.write("\n")
        for event in stream(url, "/v1/chat/completions", body):
            for choice in event["choices"]:
                sys.stdout.write(choice["delta"].get("content") or "")
                sys.stdout.flush()
        sys.stdout.write("\n\n")


def main() -> None:
    try:
        demonstrate()
    except (Failed, subprocess.CalledProcessError) as error:
        say(f"failed: {error}")
        sys.exit(1)


def demonstrate() -> None:
    with step(1, "system packages"):
        bed("setup")
    with step(2, "cluster, training-operator"):
        bed("up", "--addons", "training-operator")  # KEDA and Prometheus are for scaling, which is not shown here
    with step(3, "images"):
        bed("images", "operator", "gateway", "trainer", "vllm")
        bed("load", *sorted(set(IMAGES.values())))
    kube = connect()
    with step(4, "helm install slipway-crds and slipway"):
        install(kube)
        restricted_namespace(kube, NAMESPACE)
    story(kube, NAMESPACE)
    say("all of it worked.")
    sys.stdout.write(
        '\nLook around:   eval "$(python3 tests/e2e/cluster env)"; kubectl get slipway -A\n'
        "Remove it:     python3 tests/e2e/cluster down --all   (make clean also drops the cache)\n"
    )


if __name__ == "__main__":
    main()
