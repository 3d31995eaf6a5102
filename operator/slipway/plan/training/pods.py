"""The pod template of a gang, for rank 0's pod and for the others.

Rank 0 alone writes and reports, so it alone has the output (unless the claim can be mounted everywhere) and the token.
The output's claim is mounted whole and the trainer makes its directory: see plan/volumes.py for why not by subPath.
"""

from typing import Any

from ...api.trainingjob import TrainingJobSpec
from .. import labels, names
from ..capacity.classes import node_selector
from ..observed import Obj, Owner
from ..pod.expansion import literal
from ..pod.policytypes import Reserved
from ..pod.template import container_security, merged, pod_security
from ..volumes import claim_volume, empty_dir, mount
from . import queue
from .claims import output_access, output_ref
from .exclusion import away_from, excluded
from .inputs import inputs, narrowest
from .recipe import recipe_json
from .situation import CONTAINER, Situation

COMPONENT = "trainer"
TOKEN_FILE = "token"  # noqa: S105
TOKEN_SECONDS = 3600
GRACE_SECONDS = 60  # for a last checkpoint after SIGTERM
SHARED_MEMORY_LIMIT = "1Gi"
TEMPORARY_LIMIT = "10Gi"
REQUESTS = {"cpu": "250m", "memory": "1Gi"}

RESERVED = Reserved(
    container=CONTAINER,
    containers=frozenset({"init-pytorch"}),  # the backend adds it to workers: with two, their pods are refused
    volumes=frozenset({"output", "dataset", "base-model", "progress-token"}),
    mount_paths=frozenset({names.OUTPUT_MOUNT, names.DATASET_MOUNT, names.BASE_MODEL_MOUNT, names.TOKEN_MOUNT}),
    env=frozenset({"MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "RANK", "PYTHONUNBUFFERED"}),
    env_prefixes=("SLIPWAY_", "PET_"),
    gpus="use spec.accelerator and spec.perNode",
    spec_fields=(
        ("priorityClassName", "use spec.scheduling.priorityClass"),
        ("schedulerName", "use spec.scheduling.scheduler"),
    ),
    main_fields=(
        ("image", "use spec.image"),
        ("command", "use spec.command"),
        ("args", "use spec.command"),
        ("terminationMessagePath", "Slipway reads the reason of a failure there: leave it out"),
        ("terminationMessagePolicy", "Slipway reads the reason of a failure there: leave it out"),
    ),
)


def pod_template(situation: Situation, *, rank_0: bool) -> Obj:
    """The PodTemplateSpec of rank 0's pod, or of every other one, with the user's podTemplate over it."""
    annotations = queue.pod_annotations(situation.spec)
    metadata = {"labels": pod_labels(situation)} | ({"annotations": annotations} if annotations else {})
    rendered = {"metadata": metadata, "spec": _spec(situation, rank_0=rank_0)}
    user = situation.spec.pod_template
    whole = merged(rendered, user.model_dump() if user else {}, main=CONTAINER)
    return {**whole, "spec": away_from(whole["spec"], excluded(situation))}


def pod_labels(situation: Situation) -> dict[str, str]:
    return {
        labels.MANAGED_BY: labels.MANAGER,
        labels.COMPONENT: COMPONENT,
        labels.TRAINING_JOB: situation.observed.owner.name,
        labels.OWNER_UID: situation.observed.owner.uid,
        labels.ATTEMPT: str(situation.attempt),
    }


def _spec(situation: Situation, *, rank_0: bool) -> Obj:
    spec: Obj = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "containers": [_container(situation, rank_0=rank_0)],
        "volumes": [volume for volume, _ in _volumes(situation, rank_0=rank_0)],
    }
    if nodes := node_selector(situation.spec, situation.observed.accelerators):
        spec["nodeSelector"] = nodes
    if scheduling := situation.spec.scheduling:
        given = {"priorityClassName": scheduling.priority_class, "schedulerName": scheduling.scheduler}
        spec |= {name: value for name, value in given.items() if value is not None}
    if situation.spec.nodes > 1 and narrowest(situation) == "node":
        spec["affinity"] = {"podAffinity": _same_node(situation.observed.owner, situation.attempt)}
    return spec


def _same_node(owner: Owner, attempt: int) -> Obj:
    """A ReadWriteOnce input is on one node at a time, so the whole gang goes where its first pod went."""
    gang = {labels.TRAINING_JOB: owner.name, labels.ATTEMPT: str(attempt)}
    term = {"labelSelector": {"matchLabels": gang}, "topologyKey": "kubernetes.io/hostname"}
    return {"requiredDuringSchedulingIgnoredDuringExecution": [term]}


def _container(situation: Situation, *, rank_0: bool) -> Obj:
    spec = situation.spec
    return {
        "name": CONTAINER,
        "image": spec.image or situation.defaults.trainer_image,
        "imagePullPolicy": situation.defaults.image_pull_policy,
        "command": command(spec),
        "env": _variables(situation, rank_0=rank_0),
        "resources": _resources(spec),
        "securityContext": container_security(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [entry for _, entry in _volumes(situation, rank_0=rank_0)],
    }


def command(spec: TrainingJobSpec) -> list[str]:
    """What a pod runs: Slipway's launcher, or torchrun with a program of the user's, which keeps its $(NAME) (see
    plan/pod/expansion.py)."""
    return ["torchrun", "--no-python", *spec.command] if spec.command else ["python3", "-m", "slipway_train.launch"]


def _resources(spec: TrainingJobSpec) -> Obj:
    requests: Obj = {"requests": dict(REQUESTS)}
    return requests if spec.accelerator == "cpu" else {**requests, "limits": {"nvidia.com/gpu": str(spec.per_node)}}


def _variables(situation: Situation, *, rank_0: bool) -> list[Obj]:
    spec, owner = situation.spec, situation.observed.owner
    values = {"HOME": "/tmp"}  # noqa: S108 - the root file system is read-only
    if spec.accelerator == "cpu":
        values["OMP_NUM_THREADS"] = "1"  # torchrun's own default, without its warning
    if spec.recipe:
        values[names.RECIPE_VARIABLE] = literal(recipe_json(spec, situation.observed.accelerators))
    if _writes(situation, rank_0=rank_0):
        values[names.OUTPUT_VARIABLE] = names.output_path(owner.uid)
    if _reports(situation, rank_0=rank_0):
        values[names.PROGRESS_URL_VARIABLE] = situation.defaults.progress_url
        values[names.PROGRESS_TOKEN_VARIABLE] = f"{names.TOKEN_MOUNT}/{TOKEN_FILE}"
    return [{"name": name, "value": value} for name, value in values.items()]


def _writes(situation: Situation, *, rank_0: bool) -> bool:
    return rank_0 or output_access(situation) == "many"


def _reports(situation: Situation, *, rank_0: bool) -> bool:
    return rank_0 and situation.defaults.progress_url != ""


def _volumes(situation: Situation, *, rank_0: bool) -> list[tuple[Obj, Obj]]:
    """Each volume with its mount."""
    pairs = [
        (empty_dir("tmp", size_limit=TEMPORARY_LIMIT), mount("tmp", "/tmp")),  # noqa: S108
        (_shared_memory(situation.spec, rank_0=rank_0), mount("shm", "/dev/shm")),  # noqa: S108
    ]
    for each in inputs(situation.spec):
        if at := each.claim:
            volume = claim_volume(each.volume, at.claim, read_only=True)
            pairs.append((volume, mount(each.volume, each.mount, sub_path=at.path, read_only=True)))
    if _writes(situation, rank_0=rank_0):
        pairs.append((claim_volume("output", output_ref(situation).name), mount("output", names.OUTPUT_MOUNT)))
    if _reports(situation, rank_0=rank_0):
        pairs.append((_token(), mount("progress-token", names.TOKEN_MOUNT, read_only=True)))
    return pairs


def _shared_memory(spec: TrainingJobSpec, *, rank_0: bool) -> Obj:
    """Where checkpoints in memory lie too: then what bounds it is the container's memory, as the model's size does."""
    holds_checkpoints = rank_0 and spec.checkpoint is not None and spec.checkpoint.memory_every is not None
    return empty_dir("shm", in_memory=True, size_limit=None if holds_checkpoints else SHARED_MEMORY_LIMIT)


def _token() -> Obj:
    """A token of the pod's own, good for nothing but reporting: no API server accepts its audience."""
    source: dict[str, Any] = {
        "audience": names.PROGRESS_AUDIENCE,
        "expirationSeconds": TOKEN_SECONDS,
        "path": TOKEN_FILE,
    }
    return {"name": "progress-token", "projected": {"sources": [{"serviceAccountToken": source}]}}
