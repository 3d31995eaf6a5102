"""The children of an InferenceService: their addresses, their common metadata, and whose they are.

All three are named after the service, so a name may already be taken. An apply with force would take over somebody
else's Deployment; so a child that the index does not show is read live before it is first applied, and what is not
ours is refused by name, never touched. Ours is also an object with our labels and no controller at all, as an edit or
`kubectl delete --cascade=orphan` leaves it: the apply puts the owner reference back.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ...api.common import API_VERSION
from ...api.inferenceservice import KIND
from ..conditions import Finding
from ..labels import COMPONENT, INFERENCE_SERVICE, MANAGED_BY, MANAGER
from ..observed import Child, Obj, Observed, Owner, Ref

ENGINE = "engine"  # value of the component label


def selector_labels(service: str) -> dict[str, str]:
    """What selects the pods of a service: part of the Deployment's immutable selector, so it never changes."""
    return {MANAGED_BY: MANAGER, INFERENCE_SERVICE: service}


def selector(service: str) -> str:
    """`selector_labels` as text, for the scale subresource."""
    return ",".join(f"{key}={value}" for key, value in selector_labels(service).items())


def child_labels(service: str) -> dict[str, str]:
    return {**selector_labels(service), COMPONENT: ENGINE}


def deployment_ref(owner: Owner) -> Ref:
    return Ref("apps/v1", "Deployment", "deployments.apps", owner.namespace, owner.name)


def service_ref(owner: Owner) -> Ref:
    return Ref("v1", "Service", "services", owner.namespace, owner.name)


def scaled_object_ref(owner: Owner) -> Ref:
    return Ref("keda.sh/v1alpha1", "ScaledObject", "scaledobjects.keda.sh", owner.namespace, owner.name)


def child_of(ref: Ref, owner: Owner, spec: Obj) -> Obj:
    """An object to apply: `spec` under the metadata that every child has."""
    reference = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": owner.name,
        "uid": owner.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    metadata = {
        "name": ref.name,
        "namespace": ref.namespace,
        "labels": child_labels(owner.name),
        "ownerReferences": [reference],
    }
    return {"apiVersion": ref.api_version, "kind": ref.kind, "metadata": metadata, "spec": spec}


def own(observed: Observed, ref: Ref) -> Child | None:
    """The child at `ref` that the index shows, if it belongs to this very owner and not to an earlier namesake."""
    found = _indexed(observed, ref)
    return found if found is not None and _is_own(found, observed.owner) else None


@dataclass(frozen=True, slots=True)
class Claims:
    """Whether the names that a plan needs are free or ours: what must still be read, and what is in the way."""

    reads: tuple[Ref, ...]
    conflict: Finding | None


def claims(observed: Observed, refs: tuple[Ref, ...]) -> Claims:
    """`refs` are what the plan is about to apply. The first conflict in their order is reported."""
    unseen = [ref for ref in refs if _indexed(observed, ref) is None]
    reads = tuple(ref for ref in unseen if ref not in observed.read)
    conflicts = (_conflict(ref) for ref in refs if not _free(observed, ref))
    return Claims(reads, next(conflicts, None))


def _indexed(observed: Observed, ref: Ref) -> Child | None:
    return next((child for child in observed.children if child.ref == ref), None)


def _free(observed: Observed, ref: Ref) -> bool:
    """Whether `ref` may be applied, as far as is known: it is ours, or there is no such object."""
    indexed = _indexed(observed, ref)
    if indexed is not None:
        return _is_own(indexed, observed.owner)
    body = observed.read.get(ref)
    return body is None or _belongs(body, observed.owner)


def _is_own(child: Child, owner: Owner) -> bool:
    return child.owner_uid == owner.uid or (not child.controlled and _labelled(child.labels, owner))


def _belongs(body: Obj, owner: Owner) -> bool:
    metadata = body.get("metadata") or {}
    references = metadata.get("ownerReferences") or ()
    if any(reference.get("uid") == owner.uid for reference in references):
        return True
    controlled = any(reference.get("controller") for reference in references)
    return not controlled and _labelled(metadata.get("labels") or {}, owner)


def _labelled(labels: Mapping[str, str], owner: Owner) -> bool:
    """Whether the labels are those that only children of a service of this name are given."""
    return all(labels.get(key) == value for key, value in selector_labels(owner.name).items())


def _conflict(ref: Ref) -> Finding:
    return Finding(
        "NameConflict",
        f"{ref.kind} {ref.name!r} exists in namespace {ref.namespace!r} and does not belong to this InferenceService: "
        "delete or rename it, or give the InferenceService another name",
    )
