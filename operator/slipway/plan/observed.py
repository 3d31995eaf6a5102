"""What the plan sees of the cluster: small frozen records, made from watch events by reconcile/observe.py.

Records hold the few fields that decisions need, not bodies. `now` and all times are seconds since the epoch (UTC).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .capacity.devices import BUILT_IN, Catalog

Obj = dict[str, Any]  # a Kubernetes object as JSON

# What `Observed.refused` says of an object whose kind the cluster does not serve; the API server says it in many words.
NO_SUCH_KIND = "the cluster does not have this kind: install its CustomResourceDefinition"


@dataclass(frozen=True, slots=True)
class Ref:
    """An object by its kind and name. `plural` is `resource.group`, or the resource alone for core/v1."""

    api_version: str
    kind: str
    plural: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Owner:
    """The custom resource itself: its spec as written, its status as last seen. No plan reads labels or annotations."""

    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str
    deleting: bool
    spec: Obj
    status: Obj


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a pod. `state` and, before a restart, `last` say why it is not running."""

    name: str
    ready: bool
    restarts: int
    state: Literal["waiting", "running", "terminated", "unknown"]
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    last_reason: str = ""
    last_message: str = ""
    last_exit_code: int | None = None
    finished: float | None = None  # while terminated
    last_finished: float | None = None  # before a restart
    since: float | None = None  # while it runs
    started: bool = False  # it runs, and its startup probe has passed


@dataclass(frozen=True, slots=True)
class Pod:
    namespace: str
    name: str
    uid: str
    labels: Mapping[str, str]  # Slipway's own and the backend's replica labels, no others
    phase: str
    reason: str
    message: str
    node: str
    ready: bool
    deleting: bool
    created: float
    started: float | None
    scheduled: bool
    unschedulable_message: str
    bound: float | None = None  # when it got its node
    gone_by: float | None = None  # of one that is being deleted: when it should have gone, its grace period over
    disruption: str = ""  # who takes it away: the reason of its condition DisruptionTarget
    unprepared: bool = False  # the kubelet says that volumes and network are not there yet
    containers: tuple[Container, ...] = ()  # init containers first


@dataclass(frozen=True, slots=True)
class Child:
    """An object that Slipway applied or created: where it stands, and the conditions and counts of its status."""

    ref: Ref
    uid: str
    resource_version: str
    generation: int
    labels: Mapping[str, str]
    owner_uid: str
    deleting: bool
    created: float
    status: Obj  # the few fields that index keeps: conditions, replica counts, phase, observedGeneration
    suspended: bool = False  # a PyTorchJob whose spec.runPolicy.suspend says that no pod of it is to be
    controlled: bool = True  # an owner reference names a controller, whoever that is
    additions: tuple[str, ...] = ()  # to a Deployment's pod template, not by Slipway: "path (field manager)", sorted


@dataclass(frozen=True, slots=True)
class Class:
    """An Accelerator: its spec as written."""

    name: str
    spec: Obj


@dataclass(frozen=True, slots=True)
class Reported:
    """What rank 0 pushed last for a job, newest first by `received`; `pod_uid` says which pod spoke.

    Decimals are text, as in the API. The fields after `received` are those of reconcile/progress_server.py's Report.
    """

    pod_uid: str
    received: float
    step: int
    total_steps: int = 0
    loss: str | None = None
    tokens_per_second: int | None = None
    last_checkpoint_step: int | None = None
    step_seconds_p50: str | None = None
    step_seconds_p99: str | None = None
    mfu_percent: str | None = None
    productive_seconds: str | None = None  # of steps that are in the present history: none that a restart repeats
    checkpoint_seconds: str | None = None
    bad_rows: int | None = None
    slow_rank: int | None = None
    slow_node: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the API server said of a pod, or of a pod template: `complaint` is "" when it accepts it.

    `invalid`: the template itself is wrong. Else something beside it refused (a quota, a policy), and may not tomorrow.
    """

    complaint: str = ""
    invalid: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that a plan may look at.

    `read` holds the objects that were read live as the plan asked (`Plan.reads`), None when there is none.
    `verdicts` maps the hash of a pod template to the API server's verdict.
    `refused` holds the API server's answer to the last apply or create of an object, when it refused it.
    `listening_since` is when reports began to reach this operator: what was said before, nobody here has heard.
    `accelerators` are the classes of GPUs that can be named.
    """

    owner: Owner
    pods: tuple[Pod, ...] = ()
    children: tuple[Child, ...] = ()
    read: Mapping[Ref, Obj | None] = field(default_factory=dict)
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    refused: Mapping[Ref, str] = field(default_factory=dict)
    reported: Reported | None = None
    listening_since: float = 0.0
    accelerators: Catalog = BUILT_IN
