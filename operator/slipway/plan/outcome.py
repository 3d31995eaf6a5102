"""What a plan asks for. The loop (reconcile/loop.py) carries it out, in this order: templates and reads (then it plans
again, until nothing more is asked), apply, create, delete, status, events, requeue."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from .observed import Obj, Ref


@dataclass(frozen=True, slots=True)
class Event:
    """A core/v1 Event on the owner; goes out only when the status write succeeded."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete `ref` if it still has this uid; the loop reads it live first, and deletes with the uid as precondition.

    `unless_ended`: a pod, which stays if it has ended meanwhile, for its logs and its last words. `version`: only in
    the state that has this resourceVersion.
    """

    ref: Ref
    uid: str
    unless_ended: bool = False
    version: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """`apply` is server-side applied whenever it would change something. `create` is created once and never touched
    again: that it exists already is success. `templates` are Pods (core/v1 PodTemplates where only validity is in
    question) to try with a dry-run create, by hash. `reads` are objects to read live. `status` is the whole status.
    `requeue_after` is in seconds. `look_again`: no watch tells of what this waits for (a claim that a user names, a
    quota): come back soon, and then ever more seldom while nothing changes (reconcile/patience.py)."""

    status: Obj
    apply: tuple[Obj, ...] = ()
    create: tuple[Obj, ...] = ()
    delete: tuple[Delete, ...] = ()
    templates: tuple[tuple[str, Obj], ...] = ()
    reads: tuple[Ref, ...] = ()
    events: tuple[Event, ...] = ()
    requeue_after: float | None = None
    look_again: bool = False


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the installation decides, from settings: images, addresses."""

    trainer_image: str
    engine_sidecar_image: str
    vllm_images: tuple[tuple[str, str], ...]  # (accelerator, image)
    progress_url: str  # "" when pods are not to report
    gateway_url: str  # "" when no gateway is installed
    prometheus_url: str  # "" when none: then scaling is refused
    sglang_images: tuple[tuple[str, str], ...] = ()  # likewise; "" where there is none
    image_pull_policy: str = "IfNotPresent"
    device_hour_prices: tuple[tuple[str, Decimal], ...] = ()  # (accelerator, price); none where none was told
    currency: str = "USD"
