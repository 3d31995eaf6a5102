"""Every leaf of every CRD's spec, from the schema: changed, reverted, made invalid, removed, while things run.

A service must end as if nothing had happened (A -> B -> invalid -> removed -> A is A). A job's spec cannot change: each
attempt is refused and leaves no trace; what is valid is tried at creation.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from slipway.api.crd import INFERENCE_SERVICE, TRAINING_JOB, crd
from slipway.plan.observed import Obj

from ..acts import JOBS, SERVICES, Create, Delete, Judged, Merge, Step, When, claim, job, recipe, service
from ..apiserver.writes import merge_patched
from ..scenario import Scenario

Path = tuple[str, ...]
MODELS = Step(Create(claim("models", "ReadWriteMany")))
SCALING: Obj = {"minReplicas": 1, "maxReplicas": 3, "requestsPerReplica": 10, "idleSeconds": 10}
SCALED = service(scaling=SCALING)
PLAIN = service(replicas=2)
RECIPE, COMMAND = recipe(), job()

# podTemplate preserves what the schema does not know: these stand for it.
TEMPLATE = ("podTemplate", "spec")
OURS_OF_A_JOB: Obj = {"name": "output", "emptyDir": {}}
OURS_OF_A_SERVICE: Obj = {"name": "model", "emptyDir": {}}
UNKNOWN: dict[Path, tuple[Any, Any]] = {
    (*TEMPLATE, "nodeSelector"): ({"disk": "fast"}, {"disk": 5}),
    (*TEMPLATE, "tolerations"): ([{"key": "gpu", "operator": "Exists"}], "none"),
    (*TEMPLATE, "runtimeClassName"): ("kata", 7),
    (*TEMPLATE, "hostNetwork"): (False, True),
    (*TEMPLATE, "containers"): (
        [{"name": "main", "resources": {"requests": {"cpu": "1"}}}],
        [{"name": "main", "image": "x"}],
    ),
    (*TEMPLATE, "volumes"): ([{"name": "extra", "emptyDir": {}}], [OURS_OF_A_JOB, OURS_OF_A_SERVICE]),
}
OF_ANSWERS = ("exactMatchLeast", "rouge1Least", "rouge2Least", "rougeLLeast")
ADAPTING: Obj = {"recipe": "lora", "baseModel": {"uri": "file:///models/base"}}
ON_A_DISK: Obj = {"strategy": "deepspeed", "accelerator": "nvidia", "deepspeed": {"stage": 3, "offload": "nvme"}}
PIPELINE: Obj = {"strategy": "parallel", "nodes": 2, "training": {"accumulationSteps": 2}}
# (another valid value, an invalid one) where the schema does not say enough.
VALUES: dict[Path, tuple[Any, Any]] = {
    ("model", "from", "trainingJob"): ("other", "Not_A_Name"),
    ("model", "uri"): ("pvc://models/other", "http://models"),
    ("engineArgs",): (["--max-model-len=512"], ["--port=1"]),
    ("image",): ("mine:2", "two words"),
    ("accelerator",): ("nvidia", "abacus"),
    ("acceleratorClass",): ("h200", "No Such Name"),
    ("dataset", "uri"): ("file:///data", "ftp://data"),
    ("dataset", "include"): (["**/*.py"], ["../x"]),
    ("output", "claim"): ("mine", "Not_A_Name"),
    ("output", "size"): ("20Gi", "0"),
    ("output", "storageClassName"): ("fast", "Not A Name"),
    ("training", "optimizer", "learningRate"): ("0.1", "1.5"),
    ("training", "optimizer", "weightDecay"): ("0.2", "much"),
    ("training", "batchSize"): (32, 0),
    ("model", "hiddenSize"): (384, 1),
    ("model", "heads"): (4, 0),
    ("model", "kvHeads"): (3, 0),
    ("recipe",): ("sft", "guess"),
    ("baseModel", "uri"): ("file:///models/other", "s3://models/other"),
    ("adapter", "targetModules"): (["q_proj"], ["lm_head"]),
    ("dataset", "textField"): ("content", "two words"),
    ("dataset", "cleaning", "languages"): (["en"], ["English"]),
    ("dataset", "cleaning", "scrub"): (["email"], ["names"]),
    ("dataset", "cleaning", "scrubPatterns"): ([{"name": "own", "pattern": "a+"}], [{"name": "own", "pattern": "a*"}]),
    ("output", "require", "perplexityMost"): ("20", "0.5"),
    **{("output", "require", name): ("0.5", "50") for name in ("bitsPerByteMost", *OF_ANSWERS)},
    ("deepspeed", "nvmePath"): ("/scratch", "scratch"),
    ("command",): (["sh", "-c", "true"], []),
    ("nodes",): (4, 0),
    ("replicas",): (3, -1),
    ("queue",): ("gpus", "Not A Queue"),
    ("scheduling", "priorityClass"): ("high", "system-node-critical"),
    ("scheduling", "scheduler"): ("volcano", "Not A Name"),
    ("scheduling", "queuePriorityClass"): ("nightly", "Not A Name"),
    ("scheduling", "topology", "required"): ("topology.kubernetes.io/zone", "a b"),
    ("scheduling", "topology", "preferred"): ("topology.kubernetes.io/zone", "a b"),
    ("deadlineSeconds",): (86_400, 0),
    ("startDeadlineSeconds",): (86_400, 0),
    ("ttlSecondsAfterFinished",): (86_400, -1),
    ("failurePolicy", "backoffSeconds"): (3, -1),
    ("failurePolicy", "rules"): (
        [{"exitCodes": [3], "action": "Fail"}, {"message": "NCCL|CUDA", "action": "RestartGangFree"}],
        [{"message": "(", "action": "Fail"}],
    ),
    ("podTemplate", "metadata", "labels"): ({"team": "a"}, {"slipway.dev/revision": "x"}),
    ("podTemplate", "metadata", "annotations"): ({"team": "a"}, {"a b": "c"}),
}
# What goes with a leaf, or its value would be refused for another leaf's sake.
WITH: dict[Path, Obj] = {
    ("model", "from", "trainingJob"): {"model": {"uri": None}},
    ("engine",): {"image": "sglang:mine"},
    ("parallelism", "tensor"): {"accelerator": "nvidia"},
    ("acceleratorClass",): {"accelerator": "nvidia"},
    ("scheduling", "queuePriorityClass"): {"queue": "gpus"},
    ("scheduling", "topology", "required"): {"queue": "gpus"},
    ("scheduling", "topology", "preferred"): {"queue": "gpus"},
    ("recipe",): {"baseModel": {"uri": "file:///models/base"}},
    ("baseModel", "uri"): {"recipe": "sft"},
    ("baseModel", "contextLength"): ADAPTING,
    **{("adapter", name): ADAPTING for name in ("rank", "alpha", "dropoutPercent", "targetModules")},
    **{("evaluation", name): ADAPTING for name in ("prompts", "answerTokens")},
    ("output", "merge"): ADAPTING,
    **{("output", "require", name): ADAPTING for name in OF_ANSWERS},
    ("ddp", "bucketMib"): {"strategy": "ddp"},
    ("fsdp", "shard"): {"strategy": "fsdp"},
    ("fsdp", "offload"): {"strategy": "fsdp", "accelerator": "nvidia"},
    ("deepspeed", "stage"): {"strategy": "deepspeed"},
    ("deepspeed", "offload"): {"strategy": "deepspeed", "accelerator": "nvidia"},
    ("deepspeed", "nvmePath"): ON_A_DISK,
    **{("parallel", name): {"strategy": "parallel", "nodes": 2} for name in ("tensor", "context")},
    ("parallel", "pipeline"): PIPELINE,
    ("parallel", "schedule"): {**PIPELINE, "parallel": {"pipeline": 2}},
    ("parallel", "expert"): {"strategy": "parallel", "nodes": 2, "model": {"experts": 2}},
    ("checkpoint", "everySeconds"): {"checkpoint": {"everySteps": None}},
    ("checkpoint", "layout"): {"strategy": "fsdp", "output": {"claim": "mine"}},
    ("elastic", "minNodes"): {"nodes": 4},
    **{("elastic", name): {"nodes": 4, "elastic": {"minNodes": 2}} for name in ("waitSeconds", "growAfterSeconds")},
}


@dataclass(frozen=True, slots=True)
class Leaf:
    path: Path
    other: Any = field(hash=False)
    invalid: Any = field(hash=False)

    @property
    def name(self) -> str:
        return ".".join(self.path)

    def patch(self, value: Any) -> Obj:
        """A merge patch of the spec that sets this leaf."""
        patch: Any = value
        for part in reversed(self.path):
            patch = {part: patch}
        whole: Obj = _both(patch, WITH.get(self.path, {})) if value is not None else patch
        return whole


def leaves(definition: Any) -> Iterator[Leaf]:
    """Every leaf of a kind's spec."""
    schema = crd(definition)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    yield from _walk(schema, ())


def _walk(schema: Obj, path: Path) -> Iterator[Leaf]:
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        yield from (Leaf(below, *values) for below, values in UNKNOWN.items() if below[: len(path)] == path)
    elif "properties" in schema:
        for name, below in schema["properties"].items():
            yield from _walk(below, (*path, name))
    else:
        yield Leaf(path, *(VALUES.get(path) or _values(schema)))


def _values(schema: Obj) -> tuple[Any, Any]:
    if schema["type"] == "boolean":
        return not schema["default"], "yes"
    if "enum" in schema:
        others = [value for value in schema["enum"] if value != schema.get("default")]
        return (others or schema["enum"])[0], "nonsense"
    if schema["type"] == "integer":
        least = schema["minimum"]
        return max(least, schema.get("default", least)) + 1, least - 1
    raise ValueError(f"say in VALUES what else this may be: {schema}")


def _both(patch: Any, other: Any) -> Any:
    """One merge patch that does what two do, one after the other: a None stays, for it takes away."""
    if not isinstance(patch, dict) or not isinstance(other, dict):
        return other
    return {**patch, **{name: _both(patch.get(name), value) for name, value in other.items()}}


# ---------------------------------------------------------------------------- services


def _restored(patch: Any, base: Any) -> Any:
    """The merge patch that undoes `patch` on `base`."""
    if not isinstance(patch, dict) or not isinstance(base, dict):
        return base
    return {name: _restored(value, base.get(name)) for name, value in patch.items()}


def _service(leaf: Leaf) -> Scenario:
    base, like = (SCALED, "scaled service") if leaf.path[0] == "scaling" else (PLAIN, "plain service")
    steps = [MODELS, Step(Create(base)), Step(when=When(SERVICES, "serve", "Ready"))]
    for value, accepted, seconds in ((leaf.other, True, 0.5), (leaf.invalid, False, 5.0), (None, None, 5.0)):
        patch = leaf.patch(value)
        steps.append(Step(_edit(patch, refused=False if accepted else None), after=seconds))
        judged = None if accepted is None else Judged(SERVICES, "serve", patch, accepted)
        steps.append(Step(_edit(_restored(patch, base["spec"])), after=5.0 if value is None else 2.0, when=judged))
    return Scenario(f"leaf of a service: {leaf.name}", tuple(steps), load=((0.0, 15),), like=like)


def _edit(spec: Obj, *, refused: bool | None = False) -> Merge:
    return Merge(SERVICES, "serve", {"spec": spec}, refused=refused)


# ---------------------------------------------------------------------------- jobs


def _job(leaf: Leaf) -> Scenario:
    base, like = (COMMAND, "job completes") if leaf.path == ("command",) else (RECIPE, "recipe completes")
    steps = [Step(Create(base)), Step(when=When(JOBS, "job", "Running"))]
    for value in (leaf.other, leaf.invalid, None):
        patch = {"spec": leaf.patch(value)}
        refused = True if merge_patched(base["spec"], patch["spec"]) != base["spec"] and value is not None else None
        steps.append(Step(Merge(JOBS, "job", patch, refused=refused), after=0.5))
    return Scenario(f"leaf of a job: {leaf.name}", tuple(steps), like=like)


def _changeable(leaf: Leaf) -> Scenario:
    """`suspend`, the one field that can change: begun, and undone by leaving it out. gang.py does it on purpose."""
    edits = [Merge(JOBS, "job", {"spec": leaf.patch(leaf.other)}), Merge(JOBS, "job", {"spec": leaf.patch(None)})]
    wrong = Merge(JOBS, "job", {"spec": leaf.patch(leaf.invalid)}, refused=True)
    steps = (Step(wrong, when=When(JOBS, "job", "Running")), *(Step(edit, after=0.5) for edit in edits))
    done = ("TrainingJob/job Complete=True",)
    return Scenario(f"leaf of a job: {leaf.name}", (Step(Create(RECIPE)), *steps), settled=done, strict=False)


def _created(leaf: Leaf) -> Scenario:
    base = COMMAND if leaf.path == ("command",) else RECIPE
    invalid, valid = (merge_patched(base["spec"], leaf.patch(value)) for value in (leaf.invalid, leaf.other))
    steps = (
        Step(Create({**base, "spec": invalid}, refused=None)),
        Step(Delete(JOBS, "job"), after=6.0, when=Judged(JOBS, "job", invalid, accepted=False)),
        Step(Create({**base, "spec": valid}), when=When(JOBS, "job", gone=True)),
        Step(when=Judged(JOBS, "job", valid, accepted=True)),
    )
    return Scenario(f"leaf of a new job: {leaf.name}", (Step(Create(claim("mine", "ReadWriteMany"))), *steps))


SERVICE_LEAVES, JOB_LEAVES = tuple(leaves(INFERENCE_SERVICE)), tuple(leaves(TRAINING_JOB))
LEAVES: tuple[Scenario, ...] = (
    Scenario("plain service", (MODELS, Step(Create(PLAIN)))),
    Scenario("scaled service", (MODELS, Step(Create(SCALED))), load=((0.0, 15),)),
    *map(_service, SERVICE_LEAVES),
    *(_changeable(leaf) if leaf.path == ("suspend",) else _job(leaf) for leaf in JOB_LEAVES),
    *map(_created, JOB_LEAVES),
)
