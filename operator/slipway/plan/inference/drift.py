"""What others added to the Deployment's pod template: it runs in every pod, so status and an Event tell of it.

Which additions there are is read in reconcile/additions.py; here stands how they are told. They make no condition
False: an addition may be a policy of the cluster's, and a service with it answers as well as one without.
"""

from collections.abc import Sequence

from ..conditions import EVENT_MESSAGE_MAX, bounded
from ..observed import Obj, Owner
from ..outcome import Event

FIELD = "podTemplateAdditions"  # of the status
LISTED_MAX, ENTRY_MAX = 16, 512  # api.inferenceservice.InferenceServiceStatus


def listed(additions: Sequence[str]) -> list[str]:
    """As the status holds them; the last entry says how many there was no room for."""
    entries = [bounded(entry, ENTRY_MAX) for entry in additions]
    if len(entries) <= LISTED_MAX:
        return entries
    return [*entries[: LISTED_MAX - 1], f"and {len(entries) - LISTED_MAX + 1} more"]


def told(additions: Sequence[str]) -> str:
    """What Available says beside its counts; "" when there is nothing to say."""
    if not additions:
        return ""
    return f"; the Deployment's pod template has additions that are not Slipway's: {', '.join(listed(additions))}"


def events(owner: Owner, additions: Sequence[str]) -> tuple[Event, ...]:
    """One when there are additions, and others than were told before."""
    before: Obj = owner.status
    if not additions or listed(additions) == (before.get(FIELD) or []):
        return ()
    message = (
        f"Deployment {owner.name!r} has additions in its pod template that are not Slipway's, and so has every new "
        f"pod: {', '.join(listed(additions))}. Remove them there; what is wanted belongs in spec.podTemplate"
    )
    return (Event("Warning", "PodTemplateDrift", bounded(message, EVENT_MESSAGE_MAX)),)
