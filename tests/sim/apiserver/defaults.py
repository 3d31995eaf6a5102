"""Defaults of core kinds, as the server's Go code sets them: the OpenAPI knows only few.

Each function returns the object that it was given when nothing is missing: an apply that changes nothing must stay
recognisable by identity.
"""

from collections.abc import Callable
from typing import Any, Final

from .answers import Obj

PROBE: Final = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
MODE: Final = 420  # 0644


def nothing(body: Obj) -> Obj:
    return body


def beside(value: Obj, more: Obj) -> Obj:
    """`value` with those of `more` that it lacks."""
    lacking = {key: each for key, each in more.items() if key not in value}
    return {**value, **lacking} if lacking else value


def changed(value: Obj, key: str, change: Callable[[Any], Any]) -> Obj:
    """`value` with `change` made at `key`, if it is there."""
    if key not in value:
        return value
    new = change(value[key])
    return value if new is value[key] else {**value, key: new}


def each(change: Callable[[Obj], Obj]) -> Callable[[list[Obj]], list[Obj]]:
    def all_of(items: list[Obj]) -> list[Obj]:
        made = [change(item) for item in items]
        return items if all(a is b for a, b in zip(made, items, strict=True)) else made

    return all_of


def namespace(body: Obj) -> Obj:
    own = {"kubernetes.io/metadata.name": body["metadata"].get("name", "")}
    meta = changed(beside(body["metadata"], {"labels": {}}), "labels", lambda labels: beside(labels, own))
    return body if meta is body["metadata"] else {**body, "metadata": meta}


def pod(body: Obj) -> Obj:
    body = changed(body, "spec", lambda spec: beside(_pod_spec(spec), {"enableServiceLinks": True}))
    return changed(changed(body, "spec", _requests), "status", _addresses)


def _addresses(status: Obj) -> Obj:
    return beside(status, {"podIPs": [{"ip": status["podIP"]}]}) if status.get("podIP") else status


def pod_template(body: Obj) -> Obj:
    return changed(body, "template", _template)


def deployment(body: Obj) -> Obj:
    more = {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}
    body = changed(body, "spec", lambda spec: beside(spec, more))
    body = changed(body, "spec", lambda spec: changed(spec, "strategy", _strategy))
    return changed(body, "spec", lambda spec: changed(spec, "template", _template))


def _strategy(strategy: Obj) -> Obj:
    strategy = beside(strategy, {"type": "RollingUpdate"})
    if strategy["type"] != "RollingUpdate":
        return strategy
    most = {"maxUnavailable": "25%", "maxSurge": "25%"}
    return changed(beside(strategy, {"rollingUpdate": {}}), "rollingUpdate", lambda each: beside(each, most))


def _template(template: Obj) -> Obj:
    return changed(template, "spec", _pod_spec)


def _pod_spec(spec: Obj) -> Obj:
    spec = beside(
        spec,
        {
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "securityContext": {},
            "schedulerName": "default-scheduler",
        },
    )
    if spec.get("serviceAccountName") and "serviceAccount" not in spec:
        spec = {**spec, "serviceAccount": spec["serviceAccountName"]}
    spec = changed(spec, "containers", each(_without_restarts))
    spec = changed(spec, "initContainers", each(_only_sidecars))
    for group in ("containers", "initContainers"):
        spec = changed(spec, group, each(_container))
    return changed(spec, "volumes", each(_volume))


def _without_restarts(container: Obj) -> Obj:
    """Restart policies of containers are behind a feature gate: they are dropped, but for a sidecar's."""
    if "restartPolicy" not in container:
        return container
    return {key: value for key, value in container.items() if key not in ("restartPolicy", "restartPolicyRules")}


def _only_sidecars(container: Obj) -> Obj:
    return container if container.get("restartPolicy") == "Always" else _without_restarts(container)


def _container(container: Obj) -> Obj:
    image = str(container.get("image", ""))
    last = image.partition("@")[0].rpartition("/")[2]
    latest = "@" not in image and (":" not in last or last.endswith(":latest"))
    container = beside(
        container,
        {
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": "Always" if latest else "IfNotPresent",
        },
    )
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        container = changed(container, probe, _probe)
    container = changed(container, "env", each(_variable))
    return changed(container, "ports", each(lambda port: beside(port, {"protocol": "TCP"})))


def _probe(probe: Obj) -> Obj:
    probe = beside(probe, PROBE)
    probe = changed(probe, "grpc", lambda grpc: beside(grpc, {"service": ""}))
    return changed(probe, "httpGet", lambda get: beside(get, {"path": "/", "scheme": "HTTP"}))


def _variable(variable: Obj) -> Obj:
    def source(value: Obj) -> Obj:
        return changed(value, "fieldRef", lambda field: beside(field, {"apiVersion": "v1"}))

    return changed(variable, "valueFrom", source)


def _volume(volume: Obj) -> Obj:
    if len(volume) < 2:
        return beside(volume, {"emptyDir": {}})
    for source in ("secret", "configMap", "projected", "downwardAPI"):
        volume = changed(volume, source, lambda given: beside(given, {"defaultMode": MODE}))
    volume = changed(volume, "hostPath", lambda given: beside(given, {"type": ""}))
    return changed(volume, "projected", lambda given: changed(given, "sources", each(_projection)))


def _projection(source: Obj) -> Obj:
    return changed(source, "serviceAccountToken", lambda token: beside(token, {"expirationSeconds": 3600}))


def _requests(spec: Obj) -> Obj:
    """Of a pod, not of a template: what is limited and not requested is requested."""

    def container(value: Obj) -> Obj:
        limits = value.get("resources", {}).get("limits")
        if not limits:
            return value
        return changed(
            value,
            "resources",
            lambda given: changed(beside(given, {"requests": {}}), "requests", lambda asked: beside(asked, limits)),
        )

    for group in ("containers", "initContainers"):
        spec = changed(spec, group, each(container))
    return spec


def service(body: Obj) -> Obj:
    return changed(body, "spec", _service_spec)


def _service_spec(spec: Obj) -> Obj:
    spec = beside(spec, {"sessionAffinity": "None", "type": "ClusterIP"})
    spec = changed(spec, "ports", each(_service_port))
    if spec["sessionAffinity"] == "ClientIP":
        spec = beside(spec, {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}}})
    elif "sessionAffinityConfig" in spec:
        spec = {key: value for key, value in spec.items() if key != "sessionAffinityConfig"}
    return spec if spec["type"] == "ExternalName" else beside(spec, {"internalTrafficPolicy": "Cluster"})


def _service_port(port: Obj) -> Obj:
    return beside(port, {"protocol": "TCP", "targetPort": port.get("port", 0)})


def claim(body: Obj) -> Obj:
    body = changed(body, "spec", lambda spec: beside(spec, {"volumeMode": "Filesystem"}))
    return changed(body, "status", lambda status: beside(status, {"phase": "Pending"}))


def endpoint_slice(body: Obj) -> Obj:
    return changed(body, "ports", each(lambda port: beside(port, {"name": "", "protocol": "TCP"})))
