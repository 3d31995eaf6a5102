"""Asking the API server about pods before anything is made that would make them: dry-run creates, nothing is stored,
and a field that it does not have is refused, not dropped.

A Pod is asked about as what it will be, since quotas, limits, Pod Security, priority classes, service accounts and
webhooks speak of nothing else: a PyTorchJob or a Deployment is taken, and then has no pods, where the user does not
look. Where nobody can say (a webhook that knows no dry run, a role without `pods create`) the template's shape is asked
about instead, as a core/v1 PodTemplate; and where that cannot be said either, nothing stands in the way.

Acceptance of a shape is remembered for good, that of a pod for a few seconds, which a burst of equal jobs shares: a
quota fills. What is invalid is asked again after a while; what admission refuses soon, for that may have been mended.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from ..kube.client import KubeClient
from ..kube.errors import CONFLICT, FORBIDDEN, INVALID, ApiError
from ..kube.kinds import POD, POD_TEMPLATE
from ..plan.labels import FIELD_MANAGER
from ..plan.observed import Obj, Verdict

REMEMBERED = 4096
BAD_REQUEST = 400
ACCEPTED_SECONDS = 10.0
INVALID_SECONDS = 30.0
REFUSAL_SECONDS = 4.0  # below the 5 s after which both planners ask again
# Admission's words. A webhook or a policy may answer with 400 or 422 too, and says nothing of the template for good.
DENIED = ("denied the request", "denied request")
NO_DRY_RUN = "does not support dry run"
NO_PERMISSION = 'cannot create resource "pod'  # RBAC's words, of pods and of podtemplates

Place = tuple[str, str, str]  # namespace, kind, hash


class Trial:
    def __init__(self, client: KubeClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client, self._clock = client, clock
        self._verdicts: OrderedDict[Place, tuple[Verdict, float]] = OrderedDict()

    async def verdict(self, hash_: str, body: Obj) -> Verdict:
        """What the API server says of `body`, a Pod or a PodTemplate. Raises ApiError when it could not say."""
        place = (body.get("metadata", {}).get("namespace", ""), body["kind"], hash_)
        known = self._verdicts.get(place)
        if known is not None and self._clock() < known[1]:
            self._verdicts.move_to_end(place)
            return known[0]
        verdict, of_pod = await self._ask(body)
        self._remember(place, verdict, of_pod=of_pod)
        if of_pod and not verdict.complaint:  # then its shape is right, too, and stays so
            self._remember((place[0], POD_TEMPLATE.kind, hash_), verdict, of_pod=False)
        return verdict

    def _remember(self, place: Place, verdict: Verdict, *, of_pod: bool) -> None:
        self._verdicts[place] = (verdict, self._clock() + _lifetime_seconds(verdict, of_pod=of_pod))
        self._verdicts.move_to_end(place)
        if len(self._verdicts) > REMEMBERED:
            self._verdicts.popitem(last=False)

    async def _ask(self, body: Obj) -> tuple[Verdict, bool]:
        """The verdict, and whether it is one on a pod."""
        if body["kind"] == POD.kind:
            if (verdict := await self._try(body)) is not None:
                return verdict, True
            body = _shape(body)
        return await self._try(body) or Verdict(), False

    async def _try(self, body: Obj) -> Verdict | None:
        """None when nobody can say."""
        try:
            await self._client.create(body, manager=FIELD_MANAGER, dry_run=True)
        except ApiError as error:
            if _says_nothing(error):
                return None
            if not error.refused:
                raise
            return Verdict(error.message, invalid=_is_invalid(error))
        return Verdict()


def _shape(pod: Obj) -> Obj:
    """The pod's template, to be tried as such."""
    place = {name: pod["metadata"][name] for name in ("name", "namespace")}
    metadata = {name: value for name, value in pod["metadata"].items() if name not in place}
    template = {"metadata": metadata, "spec": pod["spec"]}
    return {"apiVersion": "v1", "kind": POD_TEMPLATE.kind, "metadata": place, "template": template}


def _says_nothing(error: ApiError) -> bool:
    """The answer is about the question: no dry run, no permission to ask, or an object of the same name. (Another
    conflict is a quota's, that somebody else has just used: it may be asked again.)"""
    forbidden = error.status == FORBIDDEN and NO_PERMISSION in error.message
    same_name = error.status == CONFLICT and "already exists" in error.message
    return same_name or forbidden or (error.status == BAD_REQUEST and NO_DRY_RUN in error.message)


def _is_invalid(error: ApiError) -> bool:
    denied = any(sign in error.message for sign in DENIED)
    return error.status in (BAD_REQUEST, INVALID) and not denied


def _lifetime_seconds(verdict: Verdict, *, of_pod: bool) -> float:
    if not verdict.complaint:
        return ACCEPTED_SECONDS if of_pod else math.inf
    return INVALID_SECONDS if verdict.invalid else REFUSAL_SECONDS
