"""What a run leaves in the cluster, without what must differ from run to run: uids, versions, times, random names."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from slipway.kube.kinds import OWNERS, POD, WATCHED
from slipway.plan.labels import ATTEMPT, OWNER_UID, REVISION, SELECTOR
from slipway.plan.observed import Obj

from .apiserver import Emulator

TIMES = frozenset({
    "lastTransitionTime", "startTime", "completionTime", "creationTimestamp", "updated", "progress", "allocation",
    "runningSeconds", "pace", "admissionTime", "time",
    "lastFailure",  # of one disturbance or another: oracles/attempts.py looks at what it counted as
    "observedGeneration",  # how often a user changed a spec on the way; oracles/status.py compares it
})  # fmt: skip
ALLOTTED = frozenset({"clusterIP", "clusterIPs"})
UID = re.compile(r"[0-9a-f]{8}-0000-4000-8000-[0-9a-f]{12}")
BOOKKEEPING = frozenset({"uid", "resourceVersion", "generation", "managedFields", "selfLink", "annotations"})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Lines of JSON by `resource/name`."""

    objects: dict[str, str] = field(default_factory=dict)

    def differences(self, other: "Snapshot") -> list[str]:
        """What is otherwise here than there, field by field."""
        mine, others = self.fields(), other.fields()
        paths = sorted({*mine, *others})
        return [
            f"{path} is {mine.get(path, 'not there')} instead of {others.get(path, 'nothing')}"
            for path in paths
            if mine.get(path) != others.get(path)
        ]

    def fields(self) -> dict[str, str]:
        """Every leaf by its path."""
        return {
            path: value for name, line in self.objects.items() for path, value in _leaves(json.loads(line), f"{name}: ")
        }


def _leaves(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for name, below in value.items():
            yield from _leaves(below, f"{path}.{name}")
    elif isinstance(value, list) and value:
        for index, below in enumerate(value):
            yield from _leaves(below, f"{path}[{index}]")
    else:
        yield path, json.dumps(value)


def snapshot(api: Emulator) -> Snapshot:
    bodies = [
        (resource.full, body)
        for resource in WATCHED
        if api.serves(resource.full)
        for body in api.list(resource.full, None, "" if resource in OWNERS else SELECTOR)[0]
    ]
    names = _names(bodies)
    lines: dict[str, str] = {}
    for resource, body in bodies:
        if ATTEMPT in (body["metadata"].get("labels") or {}) and resource == POD.full:
            continue  # which pods of a gang are left is a matter of who was first; oracles/orphans.py looks at them
        text = json.dumps(_told(resource, body), sort_keys=True)
        for value, name in names.items():
            text = text.replace(value, name)
        text = UID.sub("<uid of what is gone>", text)
        name = body["metadata"]["name"]
        unnamed = resource == POD.full and REVISION in body["metadata"]["labels"]
        where = f"{resource}/{text}" if unnamed else f"{resource}/{name}"
        count = sum(key.startswith(f"{where}#") for key in lines) if unnamed else 0
        lines[f"{where}#{count}" if unnamed else where] = text
    return Snapshot(lines)


def _names(bodies: list[tuple[str, Obj]]) -> dict[str, str]:
    """Names for values that differ from run to run: uids, revisions (hashes over uids), and names of replicas."""
    found: dict[str, str] = {}
    for resource, body in bodies:
        metadata = body["metadata"]
        found[metadata["uid"]] = f"<uid of {resource} {metadata['name']}>" if resource != POD.full else "<uid of a pod>"
        if resource == POD.full and REVISION in metadata["labels"]:
            found[metadata["name"]] = "<a replica>"
        template = (body.get("spec") or {}).get("template")
        if isinstance(template, dict) and REVISION in (template.get("metadata") or {}).get("labels", {}):
            found[template["metadata"]["labels"][REVISION]] = f"<revision of {metadata['name']}>"
    return found


def _told(resource: str, body: Obj) -> object:
    """What counts: of our own kinds everything, of others what was asked for, of pods their phase."""
    if resource == POD.full:
        return _pod(body)
    ours = resource in {owner.full for owner in OWNERS}
    return _plain(body if ours else {name: value for name, value in body.items() if name != "status"})


def _pod(body: Obj) -> Obj:
    """A pod is what its owner and its phase are."""
    labels, status = body["metadata"]["labels"], body.get("status") or {}
    kept = {name: value for name, value in labels.items() if name in (REVISION, OWNER_UID)}
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or [])
    return {"labels": kept, "phase": status.get("phase"), "ready": ready}


def _plain(value: object) -> object:
    if isinstance(value, dict):
        dropped = TIMES | ALLOTTED | (BOOKKEEPING if "resourceVersion" in value else frozenset())
        return {name: _plain(inner) for name, inner in value.items() if name not in dropped}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
