"""Policies and webhooks that say no to a new object, in the server's words: what somebody else may mend.

As far as scenarios go: rules for CREATE by group and plural, namespaces by their labels, policies whose expressions
need no object, and webhooks that nobody answers. The kinds themselves take anything (kinds.py). The real server notices
a new or changed one after a moment; here it holds at once.
"""

from typing import Final

from .answers import Obj, Refusal
from .cel import compiled
from .kinds import NAMESPACE, Kind
from .store import Store

POLICIES: Final = "validatingadmissionpolicies.admissionregistration.k8s.io"
BINDINGS: Final = "validatingadmissionpolicybindings.admissionregistration.k8s.io"
WEBHOOKS: Final = "validatingwebhookconfigurations.admissionregistration.k8s.io"


class Policies:
    def __init__(self, store: Store) -> None:
        self._store = store

    def judge(self, kind: Kind, body: Obj) -> None:
        """Raises Refusal 422 for a policy's no, 500 for a webhook that must be asked and does not answer."""
        for policy, binding in self._bound(body["metadata"].get("namespace", "")):
            if _speaks_of((policy["spec"].get("matchConstraints") or {}).get("resourceRules") or (), kind):
                _validate(kind, body, policy, binding)
        for webhook in self._webhooks(body["metadata"].get("namespace", "")):
            if _speaks_of(webhook.get("rules") or (), kind) and webhook.get("failurePolicy", "Fail") == "Fail":
                raise _deaf(webhook)

    def _bound(self, namespace: str) -> list[tuple[Obj, Obj]]:
        """Policies that are bound where the namespace is, with their bindings."""
        policies = {policy["metadata"]["name"]: policy for policy in self._all(POLICIES)}
        found = []
        for binding in self._all(BINDINGS):
            policy = policies.get(binding["spec"]["policyName"])
            resources = binding["spec"].get("matchResources") or {}
            if policy is not None and self._matches(resources.get("namespaceSelector"), namespace):
                found.append((policy, binding))
        return found

    def _webhooks(self, namespace: str) -> list[Obj]:
        every = [webhook for configuration in self._all(WEBHOOKS) for webhook in configuration.get("webhooks") or ()]
        return [webhook for webhook in every if self._matches(webhook.get("namespaceSelector"), namespace)]

    def _matches(self, selector: Obj | None, namespace: str) -> bool:
        found = self._store.get(NAMESPACE.full, ("", namespace))
        labels = found.body["metadata"].get("labels") or {} if found else {}
        return all(labels.get(name) == value for name, value in ((selector or {}).get("matchLabels") or {}).items())

    def _all(self, resource: str) -> list[Obj]:
        return [stored.body for _, _, stored in self._store.all(resource)] if self._store.has(resource) else []


def _speaks_of(rules: "list[Obj] | tuple[()]", kind: Kind) -> bool:
    return any(
        _among(rule["apiGroups"], kind.group)
        and _among(rule["resources"], kind.plural)
        and _among(rule["operations"], "CREATE")
        for rule in rules
    )


def _among(listed: list[str], value: str) -> bool:
    return "*" in listed or value in listed


def _validate(kind: Kind, body: Obj, policy: Obj, binding: Obj) -> None:
    for validation in policy["spec"].get("validations") or ():
        if not compiled(validation["expression"]).holds({}):
            said = validation.get("message") or f"failed expression: {validation['expression']}"
            names = policy["metadata"]["name"], binding["metadata"]["name"]
            why = f"ValidatingAdmissionPolicy '{names[0]}' with binding '{names[1]}' denied request: {said}"
            message = f'{kind.full} "{body["metadata"]["name"]}" is forbidden: {why}'
            raise Refusal(422, "Invalid", message, {"causes": [{"message": why}]})


def _deaf(webhook: Obj) -> Refusal:
    url = webhook["clientConfig"]["url"]
    words = f'failed to call webhook: Post "{url}?timeout=10s": dial tcp: connect: connection refused'
    message = f'Internal error occurred: failed calling webhook "{webhook["name"]}": {words}'
    return Refusal(500, "InternalError", message, {"causes": [{"message": message.partition(": ")[2]}]})
