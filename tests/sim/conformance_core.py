"""Conformance of core kinds: defaults, what is refused, what cannot change, and what no operator could express."""

from typing import Any

from .conformance import Bench, Obj, case, claim, container, deployment, pod, service, version, with_meta

IMAGE = "image:1"
STRICT = {"dryRun": "All", "fieldValidation": "Strict"}


def pod_template(spec: Obj, **metadata: Any) -> Obj:
    template = {"metadata": metadata, "spec": spec}
    return {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "template"}, "template": template}


def trial(bench: Bench, spec: Obj, **metadata: Any) -> int:
    """What reconcile/trial.py asks: the status of a dry-run create of a pod template."""
    return bench.create("podtemplates", pod_template(spec, **metadata), **STRICT)[0]


@case
def templates_that_are_taken(bench: Bench) -> None:
    volumes = [{"name": "a", "emptyDir": {}}, {"name": "b", "persistentVolumeClaim": {"claimName": "c"}}, {"name": "c"}]
    mounts = [{"name": "a", "mountPath": "/a"}, {"name": "b", "mountPath": "/b", "subPath": "x/y", "readOnly": True}]
    probe = {"httpGet": {"port": 8000}}
    variables = [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    specs: tuple[Obj, ...] = (
        {"containers": [container()]},
        {"containers": [container(volumeMounts=mounts)], "volumes": volumes},
        {"containers": [container(env=variables, readinessProbe=probe, livenessProbe={"exec": {"command": ["a"]}})]},
        {"containers": [container(resources={"limits": {"cpu": 1, "memory": "1024Mi", "nvidia.com/gpu": "1"}})]},
        {"containers": [container()], "initContainers": [container("side", restartPolicy="Always")]},
        {"containers": [container(ports=[{"containerPort": 80, "name": "http"}])], "restartPolicy": "Never"},
        {"containers": [container()], "initContainers": [container("init", restartPolicy="Never")]},
        {"containers": [container(restartPolicy="Always")], "terminationGracePeriodSeconds": -1},
        {"containers": [container()], "nodeSelector": {"a": "b"}, "tolerations": [{"operator": "Exists"}]},
        {"containers": [container(lifecycle={"preStop": {"sleep": {"seconds": 5}}})], "hostNetwork": False},
    )
    for spec in specs:
        assert trial(bench, spec, labels={"a": "b"}) == 201


@case
def templates_that_are_invalid(bench: Bench) -> None:
    specs: tuple[Obj, ...] = (
        {"containers": []},
        {"containers": [{"name": "main"}]},
        {"containers": [{"image": IMAGE}]},
        {"containers": [container("Main")]},
        {"containers": [container(), container()]},
        {"containers": [container()], "initContainers": [container()]},
        {"containers": [container(volumeMounts=[{"name": "a", "mountPath": "/a"}])]},
        {"containers": [container(ports=[{"containerPort": 0}])]},
        {"containers": [container(ports=[{"containerPort": 70000}])]},
        {"containers": [container(ports=[{"containerPort": 80, "protocol": "tcp"}])]},
        {"containers": [container(resources={"limits": {"memory": "-1"}})]},
        {"containers": [container(resources={"limits": {"memory": "1Gi"}, "requests": {"memory": "2Gi"}})]},
        {"containers": [container(resources={"limits": {"gpus": "1"}})]},
        {"containers": [container(imagePullPolicy="Sometimes")]},
        {"containers": [container(env=[{"name": "A=B"}])]},
        {"containers": [container(env=[{"value": "1"}])]},
        {"containers": [container()], "restartPolicy": "Sometimes"},
        {"containers": [container()], "dnsPolicy": "Never"},
        {"containers": [container()], "volumes": [{"name": "a"}, {"name": "a"}]},
        {"containers": [container()], "volumes": [{"name": "A"}]},
        {"containers": [container()], "volumes": [{"name": "a", "emptyDir": {}, "hostPath": {"path": "/"}}]},
    )
    for spec in specs:
        assert trial(bench, spec) == 422, spec


@case
def templates_that_cannot_be_read(bench: Bench) -> None:
    specs: tuple[Obj, ...] = (
        {"containers": "main"},
        {"containers": [container(command="true")]},
        {"containers": [container(ports=[{"containerPort": "80"}])]},
        {"containers": [container(env=[{"name": "A", "value": 1}])]},
        {"containers": [container(resources={"limits": {"memory": "lots"}})]},
        {"containers": [container()], "hostNetwork": "yes"},
        {"containers": [container()], "nodeSelector": {"a": 1}},
        {"containers": [container()], "terminationGracePeriodSeconds": "30"},
    )
    for spec in specs:
        assert trial(bench, spec) == 400, spec


@case
def unknown_fields_of_a_template_are_told_with_their_place(bench: Bench) -> None:
    spec: Obj = {"containers": [container(), container("side", resources={"limit": {"cpu": "1"}}, port=80)]}
    for plural, body, root in (
        ("podtemplates", pod_template(spec), "template."),
        ("pods", pod(containers=spec["containers"]), ""),
    ):
        status, answer = bench.create(plural, body, **STRICT)
        assert status == 400
        for field in ("resources.limit", "port"):
            assert f'unknown field "{root}spec.containers[1].{field}"' in answer["message"], answer
        assert f"cannot be handled as a {body['kind']}: strict decoding error: unknown" in answer["message"], answer
        assert bench.create(plural, body, dryRun="All")[0] == 201, "dropped"


@case
def labels_of_a_template(bench: Bench) -> None:
    assert trial(bench, {"containers": [container()]}, labels={"a": "no label"}) == 422
    assert trial(bench, {"containers": [container()]}, annotations={"no annotation": "a"}) == 422


@case
def defaults_of_a_pod(bench: Bench) -> None:
    more = container("side", image="image", resources={"limits": {"cpu": "1"}}, ports=[{"containerPort": 80}])
    status, made = bench.create("pods", pod(containers=[container(), more]))
    assert (status, made["status"]["phase"], made["status"]["qosClass"]) == (201, "Pending", "Burstable")
    assert [each["imagePullPolicy"] for each in made["spec"]["containers"]] == ["IfNotPresent", "Always"]
    assert made["spec"]["containers"][1]["resources"]["requests"] == {"cpu": "1"}


@case
def defaults_of_a_pod_template_in_a_deployment(bench: Bench) -> None:
    probe = {"httpGet": {"port": "http"}, "failureThreshold": 9}
    volumes = [
        {"name": "a", "configMap": {"name": "x"}},
        {"name": "b", "secret": {"secretName": "x"}},
        {"name": "c", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
        {"name": "d", "hostPath": {"path": "/d"}},
        {"name": "e"},
    ]
    body = deployment("deploy", container(readinessProbe=probe, ports=[{"containerPort": 80, "name": "http"}]))
    body["spec"]["template"]["spec"]["volumes"] = volumes
    body["spec"]["template"]["spec"]["serviceAccountName"] = "account"
    status, made = bench.create("deployments", body)
    assert (status, made["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["periodSeconds"]) == (201, 10)


@case
def zeros_that_stay_and_zeros_that_go(bench: Bench) -> None:
    body = deployment(replicas=0, minReadySeconds=0, paused=False, revisionHistoryLimit=0)
    body["spec"]["template"]["spec"] |= {"hostNetwork": False, "automountServiceAccountToken": False, "tolerations": []}
    _, made = bench.create("deployments", body)
    assert (made["spec"]["replicas"], "minReadySeconds" in made["spec"], "paused" in made["spec"]) == (0, False, False)
    assert made["spec"]["template"]["spec"]["automountServiceAccountToken"] is False


@case
def a_deployments_selector(bench: Bench) -> None:
    assert bench.create("deployments", deployment(selector={"matchLabels": {"app": "other"}}))[0] == 422
    assert bench.create("deployments", deployment(selector={}))[0] == 422
    bench.create("deployments", deployment())
    change: Obj = {"selector": {"matchLabels": {"b": "c"}}, "template": {"metadata": {"labels": {"b": "c"}}}}
    status, answer = bench.merge("deployments", "deploy", {"spec": change})
    assert (status, "immutable" in answer["message"]) == (422, True)


@case
def a_deployment_must_restart_its_pods(bench: Bench) -> None:
    body = deployment()
    body["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    assert bench.create("deployments", body)[0] == 422
    assert bench.create("deployments", deployment(replicas=-1))[0] == 422
    assert bench.create("deployments", deployment("deploy", container("Main")))[0] == 422


@case
def a_deployment_without_containers(bench: Bench) -> None:
    body = deployment()
    body["spec"]["template"]["spec"]["containers"] = []
    assert bench.create("deployments", body)[0] == 422


@case
def a_recreating_deployment(bench: Bench) -> None:
    _, made = bench.create("deployments", deployment(strategy={"type": "Recreate"}))
    assert made["spec"]["strategy"] == {"type": "Recreate"}
    surge = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}
    _, made = bench.create("deployments", deployment("other", strategy=surge))
    assert made["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": "25%"}


@case
def services_that_are_invalid(bench: Bench) -> None:
    specs: tuple[Obj, ...] = (
        {"ports": []},
        {"ports": [{"port": 0}]},
        {"ports": [{"port": 70000}]},
        {"ports": [{"port": 80}, {"port": 81}]},
        {"ports": [{"name": "a", "port": 80}, {"name": "a", "port": 81}]},
        {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 80}]},
        {"ports": [{"port": 80, "protocol": "tcp"}]},
        {"ports": [{"port": 80, "targetPort": 70000}]},
        {"ports": [{"port": 80, "targetPort": "NotAName!"}]},
        {"type": "Sometimes"},
    )
    for spec in specs:
        assert bench.create("services", service(**spec))[0] == 422, spec


@case
def a_headless_service(bench: Bench) -> None:
    status, made = bench.create("services", service(clusterIP="None", ports=[]))
    assert (status, made["spec"]["clusterIP"], made["spec"].get("ports")) == (201, "None", None)


@case
def a_services_address_stays(bench: Bench) -> None:
    _, made = bench.create("services", service())
    _, after = bench.put("services", "web", service(ports=[{"port": 81}]))
    assert after["spec"]["clusterIP"] == made["spec"]["clusterIP"]
    assert bench.merge("services", "web", {"spec": {"clusterIP": "10.0.0.250"}})[0] == 422


@case
def a_service_without_selector(bench: Bench) -> None:
    body = service()
    del body["spec"]["selector"]
    assert bench.apply("services", body, "slipway")[0] == 201


@case
def claims_that_are_invalid(bench: Bench) -> None:
    assert bench.create("persistentvolumeclaims", claim(accessModes=[]))[0] == 422
    assert bench.create("persistentvolumeclaims", claim(resources={}))[0] == 422
    assert bench.create("persistentvolumeclaims", claim(resources={"requests": {"storage": "much"}}))[0] == 400


@case
def a_claims_spec_stays(bench: Bench) -> None:
    bench.create("persistentvolumeclaims", claim(storageClassName=""))
    for change in ({"accessModes": ["ReadWriteMany"]}, {"storageClassName": "x"}):
        assert bench.merge("persistentvolumeclaims", "claim", {"spec": change})[0] == 422
    larger = {"resources": {"requests": {"storage": "2Gi"}}}
    assert bench.merge("persistentvolumeclaims", "claim", {"spec": larger})[0] == 422, "it is not bound"
    bench.merge("persistentvolumeclaims", "claim", {"metadata": {"labels": {"a": "b"}, "finalizers": None}})


@case
def a_pods_spec_stays(bench: Bench) -> None:
    bench.create("pods", pod())
    assert bench.merge("pods", "pod", {"spec": {"nodeName": "other", "restartPolicy": "Never"}})[0] == 422
    status, made = bench.merge("pods", "pod", {"status": {"phase": "Running", "podIP": "10.1.2.3"}}, "status")
    assert (status, made["status"]["phase"]) == (200, "Running")


EVENT: Obj = {
    "apiVersion": "events.k8s.io/v1",
    "kind": "Event",
    "metadata": {"name": "event"},
    "eventTime": "2026-01-02T03:04:05.000001Z",
    "reportingController": "slipway.dev/operator",
    "reportingInstance": "slipway-0",
    "action": "Reconcile",
    "reason": "Made",
    "type": "Normal",
    "note": "now Made",
}


def event(bench: Bench, **more: object) -> Obj:
    regarding = {"apiVersion": "v1", "kind": "Pod", "namespace": bench.namespace, "name": "x"}
    return {**EVENT, "regarding": regarding, **more}


@case
def an_event_and_its_series(bench: Bench) -> None:
    assert bench.create("events", event(bench))[0] == 201
    series = {"count": 2, "lastObservedTime": "2026-01-02T03:05:05.000001Z"}
    status, made = bench.merge("events", "event", {"series": series})
    assert (status, made["series"]["count"]) == (200, 2)


@case
def events_that_are_invalid(bench: Bench) -> None:
    changes: tuple[Obj, ...] = (
        {"reason": ""},
        {"action": ""},
        {"reportingController": ""},
        {"reportingController": "not a name"},
        {"reportingInstance": "x" * 129},
        {"type": "Loud"},
        {"note": "é" * 513},
    )
    for change in changes:
        assert bench.create("events", event(bench, **change))[0] == 422, change


def endpoint_slice(**more: object) -> Obj:
    body: Obj = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "leader", "labels": {"kubernetes.io/service-name": "leader"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.2.3"], "conditions": {"ready": True}}],
        "ports": [{"name": "progress", "port": 8090, "protocol": "TCP"}],
    }
    return body | more


@case
def the_leaders_endpoint(bench: Bench) -> None:
    _, first = bench.apply("endpointslices", endpoint_slice(), "slipway")
    _, again = bench.apply("endpointslices", endpoint_slice(), "slipway")
    assert version(first) == version(again)
    assert all(first[field] == endpoint_slice()[field] for field in ("addressType", "endpoints", "ports"))
    moved = endpoint_slice(endpoints=[{"addresses": ["10.1.2.4"], "conditions": {"ready": True}}])
    _, after = bench.apply("endpointslices", moved, "slipway")
    assert (after["endpoints"][0]["addresses"], after["metadata"]["generation"]) == (["10.1.2.4"], 2)
    other = endpoint_slice(addressType="IPv6", endpoints=[{"addresses": ["fd00::1"]}])
    assert bench.apply("endpointslices", other, "slipway")[0] == 422


@case
def endpoints_that_are_invalid(bench: Bench) -> None:
    changes: tuple[Obj, ...] = (
        {"addressType": "IPv5"},
        {"endpoints": [{"addresses": []}]},
        {"endpoints": [{"addresses": ["somewhere"]}]},
        {"endpoints": [{"addresses": ["10.1.2.300"]}]},
    )
    for change in changes:
        assert bench.apply("endpointslices", endpoint_slice(**change), "slipway")[0] == 422, change


@case
def a_pod_template_is_stored(bench: Bench) -> None:
    status, made = bench.create("podtemplates", with_meta(pod_template({"containers": [container()]}), labels={}))
    assert (status, made["template"]["spec"]["restartPolicy"]) == (201, "Always")


@case
def quantities_are_canonical(bench: Bench) -> None:
    for given, kept in (
        ("1024Mi", "1Gi"),
        ("0.5", "500m"),
        ("1000", "1k"),
        ("1.5Gi", "1536Mi"),
        (2, "2"),
        ("100M", "100M"),
        ("0.1", "100m"),
        ("1e3", "1e3"),
        ("1500m", "1500m"),
        ("2000m", "2"),
        ("1.5", "1500m"),
        ("0", "0"),
        ("512Ki", "512Ki"),
        ("1.0Ki", "1Ki"),
        ("1E", "1E"),
    ):
        body = deployment("deploy", container(resources={"requests": {"memory": given}}))
        _, made = bench.create("deployments", body, dryRun="All")
        stored = made["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["memory"]
        assert stored == kept, given
