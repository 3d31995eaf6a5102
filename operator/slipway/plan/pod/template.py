"""The user's podTemplate over the rendered one, and the security that every pod of Slipway has.

The merge: maps merge, named lists merge by their key, `tolerations` and the like are appended, everything else is
replaced; null means "not said". What a user may not say is decided in policy.py; what Kubernetes makes of the
result, by a dry-run create (`trial`). Every container passes the restricted Pod Security Standard without the user's
doing.
"""

import re
from collections.abc import Mapping
from typing import Any

from ..conditions import Finding
from ..hashing import short_hash
from ..names import MAIN_CONTAINER, USER_ID
from ..observed import Obj, Verdict
from .mergekeys import DEEP, KEYED, merge_key
from .oneclaim import one_volume_a_claim
from .userpath import TRIAL, in_users_words

NUMBER = re.compile(r"[0-9]+")
INVALID = "InvalidPodTemplate"
REFUSED = "PodsRefused"

APPENDED = frozenset(
    {"tolerations", "topologySpreadConstraints", "envFrom", "requiredDuringSchedulingIgnoredDuringExecution", "drop"}
)


def pod_security() -> Obj:
    """spec.securityContext of every pod. Volumes that support it become the group's, unless they are already."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER_ID,
        "runAsGroup": USER_ID,
        "fsGroup": USER_ID,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> Obj:
    """securityContext of Slipway's own containers: restricted, and with a root file system that cannot be written."""
    return {**restricted(), "readOnlyRootFilesystem": True}


def restricted() -> Obj:
    """What the restricted Pod Security Standard asks of every container; given to the user's extra containers too."""
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def merged(rendered: Obj, user: Mapping[str, Any], *, main: str) -> Obj:
    """The rendered PodTemplateSpec with the user's partial one (`{"metadata": ..., "spec": ...}`) over it.

    `main` is the backend's name of the container that the user calls `main`. Neither argument is changed. Shapes that
    core/v1 does not know are carried over as they are, for the API server to name.
    """
    result: Obj = _over(rendered, _renamed(user, main))
    spec = result["spec"]
    for kind in ("initContainers", "containers"):
        if isinstance(spec.get(kind), list):
            spec[kind] = [_secured(container) for container in spec[kind]]
    return {**result, "spec": one_volume_a_claim(spec)}


def trial(namespace: str, template: Obj) -> tuple[str, Obj]:
    """The Pod by which the API server is asked whether it would take pods of `template`: (hash, object) for
    Plan.templates. Quotas, limits, Pod Security and webhooks speak only of a Pod.
    """
    digest = short_hash(template)
    metadata = {**(template.get("metadata") or {}), "name": f"{TRIAL}{digest}", "namespace": namespace}
    return digest, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def shape_trial(namespace: str, template: Obj) -> tuple[str, Obj]:
    """The core/v1 PodTemplate by which the API server is asked whether `template` is valid, and nothing more: for pods
    that are there already, whose own use of a quota would speak against them. The hash is that of `trial`.
    """
    digest = short_hash(template)
    metadata = {"name": f"{TRIAL}{digest}", "namespace": namespace}
    return digest, {"apiVersion": "v1", "kind": "PodTemplate", "metadata": metadata, "template": template}


def rejection(verdict: Verdict, *, user: Mapping[str, Any], template: Obj, main: str) -> Finding | None:
    """What the API server has against pods of `template`, which is `user`'s over ours; `INVALID` is for good, `REFUSED`
    is to be asked again.
    """
    if not verdict.complaint:
        return None
    said = in_users_words(verdict.complaint, user=user, template=template, main=main)
    if verdict.invalid:
        return Finding(INVALID, f"the API server finds the pod template invalid: {said}")
    return Finding(REFUSED, f"the API server refuses the pods: {said}")


def steady(found: Finding | None, before: Mapping[str, Any] | None) -> Finding | None:
    """`found`, in the words of the condition `before` where they differ in numbers alone.

    A quota's refusal counts what is used, and every other pod of the namespace changes the count: a thousand jobs that
    wait for one quota would each be written anew, again and again, to say the same.
    """
    if found is None or before is None or before.get("reason") != found.reason:
        return found
    told = str(before.get("message", ""))
    return Finding(found.reason, told) if NUMBER.sub("0", told) == NUMBER.sub("0", found.message) else found


def _renamed(user: Mapping[str, Any], main: str) -> Obj:
    spec = user.get("spec")
    containers = spec.get("containers") if isinstance(spec, dict) else None
    if not isinstance(spec, dict) or not isinstance(containers, list):
        return dict(user)
    return {**user, "spec": {**spec, "containers": [_rename(container, main) for container in containers]}}


def _rename(container: Any, main: str) -> Any:  # noqa: ANN401 - whatever the user wrote
    if isinstance(container, dict) and container.get("name") == MAIN_CONTAINER:
        return {**container, "name": main}
    return container


def _secured(container: Any) -> Any:  # noqa: ANN401 - whatever the user wrote
    if not isinstance(container, dict):
        return container
    return {**container, "securityContext": _over(restricted(), container.get("securityContext"))}


def _over(base: Any, user: Any, field: str = "") -> Any:  # noqa: ANN401 - any JSON value
    """`user` over `base`, as the value of `field`."""
    if user is None:
        return base
    if isinstance(base, dict) and isinstance(user, dict):
        names = [*base, *(name for name in user if name not in base)]
        both = {name: _over(base.get(name), user.get(name), name) for name in names}
        return {name: value for name, value in both.items() if value is not None}
    if isinstance(base, list) and isinstance(user, list):
        return _lists(base, user, field)
    return user


def _lists(base: list[Any], user: list[Any], field: str) -> list[Any]:
    if field in APPENDED:
        return [*base, *(entry for entry in user if entry not in base)]
    keys = [merge_key(field, entry) for entry in user]
    if field not in KEYED or None in keys:
        return user
    result = {merge_key(field, entry): entry for entry in base}
    for key, entry in zip(keys, user, strict=True):
        result[key] = _over(result.get(key), entry) if field in DEEP else entry
    return list(result.values())
