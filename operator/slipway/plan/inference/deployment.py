"""The Deployment: how many replicas, and how one version replaces another.

While something serves, a new replica comes before an old one goes (a GPU or a node with room for one more is needed
meanwhile). While nothing serves there is nothing to lose, and replicas that never became ready must not keep the GPU
that their mended successors need: all may go at once. A ReadWriteOncePod claim allows no two pods at all.
"""

from ...api.inferenceservice import InferenceServiceSpec
from ..observed import Obj, Owner
from ..volumes import Access
from .children import child_of, deployment_ref, selector_labels

PROGRESS_DEADLINE_SECONDS = 1800  # at least: nodes and images take their time, too
REVISION_HISTORY = 2


def deployment(owner: Owner, template: Obj, asked: InferenceServiceSpec, *, access: Access, serving: bool) -> Obj:
    """`template` is the PodTemplateSpec with its revision; `serving` says that replicas answer that must not all go."""
    spec = {
        "replicas": asked.replicas,
        "paused": False,  # said, so that a pause by another hand is undone instead of holding up rollouts for ever
        "revisionHistoryLimit": REVISION_HISTORY,
        "progressDeadlineSeconds": max(PROGRESS_DEADLINE_SECONDS, asked.startup_seconds),
        "selector": {"matchLabels": selector_labels(owner.name)},
        "strategy": strategy(access, serving=serving),
        "template": template,
    }
    return child_of(deployment_ref(owner), owner, spec)


def strategy(access: Access, *, serving: bool) -> Obj:
    if access == "pod":
        return {"type": "Recreate"}
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0 if serving else "100%"}}
