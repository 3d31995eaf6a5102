"""Conformance of writes and reads: create, replace, patch, versions, generations, subresources, listings."""

from .conformance import (
    Bench,
    case,
    deployment,
    gang,
    inference,
    job,
    lease,
    pod,
    service,
    version,
    with_meta,
)

ANOTHER = "11111111-2222-4333-8444-555555555555"


@case
def create_twice(bench: Bench) -> None:
    assert bench.create("trainingjobs", job())[0] == 201
    status, answer = bench.create("trainingjobs", job())
    assert (status, answer["reason"]) == (409, "AlreadyExists")
    bench.create("services", service())
    assert bench.create("services", service())[1]["reason"] == "AlreadyExists"


@case
def what_is_not_there(bench: Bench) -> None:
    assert bench.get("trainingjobs", "job")[1]["reason"] == "NotFound"
    assert bench.merge("services", "web", {"metadata": {"labels": {"a": "b"}}})[0] == 404
    assert bench.put("trainingjobs", "job", job())[0] in (404, 422)
    assert bench.delete("pods", "pod")[0] == 404
    assert bench.ask("GET", "/apis/no.such.group/v1/namespaces/default/things")[0] == 404
    assert bench.ask("GET", f"/api/v1/namespaces/{bench.namespace}/nosuchthings")[0] == 404


@case
def create_in_a_namespace_that_is_not_there(bench: Bench) -> None:
    for root, body in (("/api/v1", service()), ("/apis/slipway.dev/v1alpha1", job())):
        plural = "services" if body["kind"] == "Service" else "trainingjobs"
        status, answer = bench.ask("POST", f"{root}/namespaces/no-such-namespace/{plural}", body)
        assert (status, answer["reason"]) == (404, "NotFound")


@case
def create_under_another_namespace(bench: Bench) -> None:
    assert bench.create("services", with_meta(service(), namespace="default"))[0] == 400


@case
def create_without_a_name(bench: Bench) -> None:
    assert bench.create("deployments", {**deployment(), "metadata": {}})[0] == 422
    assert bench.create("trainingjobs", {**job(), "metadata": {}})[0] == 422


@case
def generated_names(bench: Bench) -> None:
    made = [bench.create("pods", named) for named in 2 * [GENERATED]]
    names = [answer["metadata"]["name"] for _, answer in made]
    assert [status for status, _ in made] == [201, 201]
    assert all(name.startswith("pod-") and len(name) == 9 for name in names)
    assert names[0] != names[1]


GENERATED = {**pod(), "metadata": {"generateName": "pod-"}}


@case
def create_with_a_version(bench: Bench) -> None:
    assert bench.create("services", with_meta(service(), resourceVersion="1"))[0] >= 400
    assert bench.create("trainingjobs", with_meta(job(), resourceVersion="1"))[0] >= 400


@case
def create_of_another_kind(bench: Bench) -> None:
    assert bench.create("services", pod())[0] == 400
    assert bench.create("pytorchjobs", {**gang(), "kind": "ScaledObject"})[0] == 422
    assert bench.create("pytorchjobs", {**gang(), "apiVersion": "keda.sh/v1alpha1"})[0] == 400


@case
def create_ignores_status_and_server_fields(bench: Bench) -> None:
    body = with_meta(job(), generation=7, uid=ANOTHER, deletionTimestamp="2026-01-02T03:04:05Z")
    status, made = bench.create("trainingjobs", {**body, "status": {"attempt": 3}})
    assert (status, made["metadata"]["generation"], "status" in made) == (201, 1, False)
    assert made["metadata"]["uid"] != ANOTHER
    assert "deletionTimestamp" not in made["metadata"]


@case
def create_dry_run(bench: Bench) -> None:
    assert bench.create("trainingjobs", job(), dryRun="All")[0] == 201
    assert bench.create("podtemplates", POD_TEMPLATE, dryRun="All")[0] == 201
    assert bench.names("trainingjobs") == []
    assert bench.names("podtemplates") == []


POD_TEMPLATE = {
    "apiVersion": "v1",
    "kind": "PodTemplate",
    "metadata": {"name": "template"},
    "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod()["spec"]},
}


@case
def create_dry_run_of_what_exists(bench: Bench) -> None:
    bench.create("trainingjobs", job())
    assert bench.create("trainingjobs", job(), dryRun="All")[0] == 409


@case
def unknown_fields_are_dropped_or_refused(bench: Bench) -> None:
    status, made = bench.create("trainingjobs", job("a", noSuchField=1))
    assert (status, "noSuchField" in made["spec"]) == (201, False)
    assert bench.create("trainingjobs", job("b", noSuchField=1), fieldValidation="Strict")[0] == 400
    status, made = bench.create("services", service("c", noSuchField=1))
    assert (status, "noSuchField" in made["spec"]) == (201, False)
    assert bench.create("services", service("d", noSuchField=1), fieldValidation="Strict")[0] == 400


@case
def wrong_types(bench: Bench) -> None:
    assert bench.create("services", service(ports="none"))[0] == 400
    assert bench.create("trainingjobs", job(nodes="two"))[0] == 422
    assert bench.create("trainingjobs", with_meta(job(), labels={"a": 1}))[0] == 400


@case
def labels_must_be_labels(bench: Bench) -> None:
    for body, plural in ((service(), "services"), (job(), "trainingjobs")):
        assert bench.create(plural, with_meta(body, labels={"a": "not one word"}))[0] == 422
        assert bench.create(plural, with_meta(body, labels={"-": "x"}))[0] == 422


@case
def names_must_be_names(bench: Bench) -> None:
    assert bench.create("services", service("1web"))[0] == 422
    assert bench.create("pytorchjobs", gang("Upper"))[0] == 422
    assert bench.create("pods", pod("a_b"))[0] == 422


@case
def defaults_of_a_custom_resource(bench: Bench) -> None:
    spec = {"recipe": "pretrain", "dataset": {"uri": "file:///x"}, "training": {"steps": 5, "optimizer": None}}
    status, made = bench.create("trainingjobs", {**job(), "spec": {**spec, "model": {}, "output": None}})
    assert (status, made["spec"]["training"]["optimizer"]["learningRate"]) == (201, "0.003")
    assert made["spec"]["output"] == {"merge": "none", "whenDeleted": "Retain"}


@case
def generation_counts_changes_of_spec(bench: Bench) -> None:
    bench.create("inferenceservices", inference())
    _, made = bench.merge("inferenceservices", "serve", {"spec": {"replicas": 2}})
    assert made["metadata"]["generation"] == 2
    _, made = bench.merge("inferenceservices", "serve", {"metadata": {"labels": {"a": "b"}}})
    assert made["metadata"]["generation"] == 2
    _, made = bench.merge("inferenceservices", "serve", {"status": {"replicas": 2}}, "status")
    assert made["metadata"]["generation"] == 2


@case
def generation_of_a_deployment(bench: Bench) -> None:
    _, made = bench.create("deployments", deployment())
    assert made["metadata"]["generation"] == 1
    _, made = bench.merge("deployments", "deploy", {"metadata": {"labels": {"a": "b"}}})
    assert made["metadata"]["generation"] == 1
    _, made = bench.merge("deployments", "deploy", {"metadata": {"annotations": {"a": "b"}}})
    assert made["metadata"]["generation"] == 2, "an annotation counts too"
    _, made = bench.merge("deployments", "deploy", {"spec": {"replicas": 0}})
    assert (made["metadata"]["generation"], made["spec"]["replicas"]) == (3, 0)
    _, made = bench.merge("deployments", "deploy", {"status": {"replicas": 1, "observedGeneration": 2}}, "status")
    assert (made["metadata"]["generation"], made["status"]["replicas"]) == (3, 1)


@case
def the_main_endpoint_does_not_write_status(bench: Bench) -> None:
    _, first = bench.create("trainingjobs", job())
    status, made = bench.merge("trainingjobs", "job", {"status": {"attempt": 2}})
    assert (status, "status" in made, version(made)) == (200, False, version(first))
    bench.create("deployments", deployment())
    assert "replicas" not in bench.merge("deployments", "deploy", {"status": {"replicas": 1}})[1]["status"]


@case
def the_status_endpoint_writes_nothing_else(bench: Bench) -> None:
    bench.create("inferenceservices", inference())
    change = {"spec": {"replicas": 5}, "metadata": {"labels": {"a": "b"}}, "status": {"replicas": 1}}
    status, made = bench.merge("inferenceservices", "serve", change, "status")
    assert (status, made["spec"]["replicas"], made["status"]["replicas"]) == (200, 1, 1)
    assert "labels" not in made["metadata"]


@case
def the_status_is_validated(bench: Bench) -> None:
    bench.create("trainingjobs", job())
    assert bench.merge("trainingjobs", "job", {"status": {"attempt": -1}}, "status")[0] == 422
    assert bench.merge("trainingjobs", "job", {"status": {"conditions": [{"type": "Ready"}]}}, "status")[0] == 422


@case
def merge_patch_semantics(bench: Bench) -> None:
    bench.create("pytorchjobs", gang(a={"b": 1, "c": 2}, d=[1, 2], e="f"))
    _, made = bench.merge("pytorchjobs", "gang", {"spec": {"a": {"b": None, "x": 3}, "d": [3], "e": {"y": 1}}})
    assert made["spec"] == {"a": {"c": 2, "x": 3}, "d": [3], "e": {"y": 1}}


@case
def a_merge_that_changes_nothing(bench: Bench) -> None:
    _, first = bench.create("deployments", deployment())
    _, second = bench.merge("deployments", "deploy", {"spec": {"replicas": 1}})
    assert version(first) == version(second)


@case
def a_merge_with_an_old_version(bench: Bench) -> None:
    _, first = bench.create("inferenceservices", inference())
    bench.merge("inferenceservices", "serve", {"spec": {"replicas": 2}})
    late = {"metadata": {"resourceVersion": version(first)}, "spec": {"replicas": 3}}
    status, answer = bench.merge("inferenceservices", "serve", late)
    assert (status, answer["reason"]) == (409, "Conflict")


@case
def a_merge_with_another_uid(bench: Bench) -> None:
    for plural, body in (("services", service()), ("trainingjobs", job())):
        bench.create(plural, body)
        change = {"metadata": {"uid": ANOTHER, "labels": {"a": "b"}}}
        assert bench.merge(plural, body["metadata"]["name"], change)[0] in (409, 422)


@case
def server_fields_cannot_be_changed(bench: Bench) -> None:
    _, first = bench.create("trainingjobs", job())
    for change in (
        {"generation": 9},
        {"creationTimestamp": "2020-01-02T03:04:05Z"},
        {"deletionTimestamp": "2026-01-02T03:04:05Z"},
        {"name": "other"},
        {"namespace": "other"},
    ):
        bench.merge("trainingjobs", "job", {"metadata": change})
    _, after = bench.get("trainingjobs", "job")
    assert after["metadata"]["creationTimestamp"] == first["metadata"]["creationTimestamp"]
    assert after["metadata"]["generation"] == 1


@case
def a_put_needs_a_version_or_not(bench: Bench) -> None:
    bench.create("trainingjobs", job())
    assert bench.put("trainingjobs", "job", job())[0] == 422
    bench.create("leases", lease())
    assert bench.put("leases", "lease", lease(holderIdentity="b"))[0] == 422
    bench.create("deployments", deployment())
    assert bench.put("deployments", "deploy", deployment(replicas=2))[0] == 200


@case
def a_put_with_an_old_version(bench: Bench) -> None:
    _, first = bench.create("leases", lease())
    newer = with_meta(lease(holderIdentity="b"), resourceVersion=version(first))
    assert bench.put("leases", "lease", newer)[0] == 200
    status, answer = bench.put("leases", "lease", with_meta(lease(holderIdentity="c"), resourceVersion=version(first)))
    assert (status, answer["reason"]) == (409, "Conflict")


@case
def a_put_with_another_uid(bench: Bench) -> None:
    _, first = bench.create("leases", lease())
    body = with_meta(lease(holderIdentity="b"), resourceVersion=version(first), uid=ANOTHER)
    status, answer = bench.put("leases", "lease", body)
    assert (status, answer["reason"]) == (409, "Conflict")


@case
def a_put_of_a_lease_that_is_gone(bench: Bench) -> None:
    _, first = bench.create("leases", lease())
    bench.delete("leases", "lease")
    body = with_meta(lease(holderIdentity="b"), resourceVersion=version(first), uid=first["metadata"]["uid"])
    assert bench.put("leases", "lease", body)[0] in (404, 409)
    assert bench.put("leases", "lease", lease())[0] in (201, 404, 422)


@case
def a_lease_is_released(bench: Bench) -> None:
    times = {"acquireTime": "2026-01-02T03:04:05.000001Z", "renewTime": "2026-01-02T03:04:05.120000Z"}
    _, first = bench.create("leases", lease(**times, leaseTransitions=0))
    assert first["spec"]["renewTime"] == times["renewTime"]
    body = with_meta(lease(holderIdentity="", leaseDurationSeconds=1), resourceVersion=version(first))
    status, made = bench.put("leases", "lease", body)
    assert (status, made["spec"]["holderIdentity"]) == (200, "")
    assert (
        bench.put("leases", "lease", with_meta(lease(leaseDurationSeconds=0), resourceVersion=version(made)))[0] == 422
    )


@case
def a_put_drops_what_it_leaves_out(bench: Bench) -> None:
    _, first = bench.create("inferenceservices", with_meta(inference(drainSeconds=5), labels={"a": "b"}))
    _, made = bench.put("inferenceservices", "serve", with_meta(inference(), resourceVersion=version(first)))
    assert (made["spec"]["drainSeconds"], made["metadata"].get("labels")) == (45, None)


@case
def a_put_under_another_name(bench: Bench) -> None:
    bench.create("deployments", deployment())
    assert bench.put("deployments", "deploy", deployment("other"))[0] == 400


@case
def listings_with_label_selectors(bench: Bench) -> None:
    for name, labels in (("a", {"x": "1", "y": "1"}), ("b", {"x": "2"}), ("c", {"y": "1"}), ("d", {})):
        bench.create("pytorchjobs", with_meta(gang(name), labels=labels))
    selectors = {
        "x=1": ["a"],
        "x==2": ["b"],
        "x!=1": ["b", "c", "d"],
        "x": ["a", "b"],
        "!x": ["c", "d"],
        "x in (1, 2)": ["a", "b"],
        "x notin (1)": ["b", "c", "d"],
        "y=1,x!=1": ["c"],
        "": ["a", "b", "c", "d"],
    }
    for selector, expected in selectors.items():
        assert bench.names("pytorchjobs", labelSelector=selector) == expected


@case
def listings_by_name(bench: Bench) -> None:
    for name in ("a", "b"):
        bench.create("services", service(name))
    assert bench.names("services", fieldSelector="metadata.name=b") == ["b"]


@case
def deleting_a_collection(bench: Bench) -> None:
    for name, labels in (("a", {"x": "1"}), ("b", {"x": "2"})):
        bench.create("pytorchjobs", with_meta(gang(name), labels=labels))
    assert bench.ask("DELETE", bench.path("pytorchjobs"), labelSelector="x=1")[0] == 200
    assert bench.names("pytorchjobs") == ["b"]


@case
def a_version_for_every_change(bench: Bench) -> None:
    _, first = bench.create("services", service())
    _, second = bench.merge("services", "web", {"metadata": {"labels": {"a": "b"}}})
    assert int(version(second)) > int(version(first))


@case
def an_owner_reference_must_be_whole(bench: Bench) -> None:
    reference = {"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": ANOTHER, "controller": True}
    assert bench.create("services", with_meta(service(), ownerReferences=[{**reference, "uid": ""}]))[0] == 422
    twice = [reference, {**reference, "uid": "22222222-2222-4333-8444-555555555555"}]
    assert bench.create("services", with_meta(service(), ownerReferences=twice))[0] == 422


@case
def scaling_an_inference_service(bench: Bench) -> None:
    bench.create("inferenceservices", inference())
    bench.merge("inferenceservices", "serve", {"status": {"replicas": 1, "selector": "a=b"}}, "status")
    _, scale = bench.get("inferenceservices", "serve", "scale")
    assert (scale["spec"], scale["status"]) == ({"replicas": 1}, {"replicas": 1, "selector": "a=b"})
    scale["spec"]["replicas"] = 3
    assert bench.put("inferenceservices", "serve", scale, "scale")[0] == 200
    _, made = bench.get("inferenceservices", "serve")
    assert (made["spec"]["replicas"], made["metadata"]["generation"]) == (3, 2)
    assert bench.put("inferenceservices", "serve", scale, "scale")[0] == 409
    assert bench.merge("inferenceservices", "serve", {"spec": {"replicas": 0}}, "scale")[0] == 200
    assert bench.get("inferenceservices", "serve")[1]["spec"]["replicas"] == 0
    assert bench.merge("inferenceservices", "serve", {"spec": {"replicas": 5000}}, "scale")[0] == 422
    assert bench.get("trainingjobs", "job", "scale")[0] == 404


@case
def scaling_a_deployment(bench: Bench) -> None:
    bench.create("deployments", deployment())
    assert bench.merge("deployments", "deploy", {"spec": {"replicas": 4}}, "scale")[0] == 200
    assert bench.get("deployments", "deploy")[1]["spec"]["replicas"] == 4
