"""Conformance of server-side apply: ownership, lists that merge, atomic parts, conflicts, what is removed and kept."""

from .conformance import Bench, case, container, deployment, gang, inference, job, service, version, with_meta

SLIPWAY, OTHER = "slipway", "other"
ANOTHER = "11111111-2222-4333-8444-555555555555"
READY = {"type": "Ready", "status": "False", "reason": "Made", "lastTransitionTime": "2026-01-02T03:04:05Z"}


@case
def apply_creates(bench: Bench) -> None:
    status, made = bench.apply("services", service(), SLIPWAY)
    assert (status, made["spec"]["type"]) == (201, "ClusterIP")


@case
def apply_again_changes_nothing(bench: Bench) -> None:
    _, first = bench.apply("services", service(), SLIPWAY)
    status, second = bench.apply("services", service(), SLIPWAY)
    assert (status, version(second)) == (200, version(first))


@case
def apply_of_a_deployment_again_changes_nothing(bench: Bench) -> None:
    resources = {"limits": {"memory": "1024Mi", "cpu": "0.5"}, "requests": {}}
    body = deployment("deploy", container(resources=resources, env=[], ports=[{"containerPort": 80}]))
    _, first = bench.apply("deployments", body, SLIPWAY)
    status, second = bench.apply("deployments", body, SLIPWAY)
    assert (status, version(second)) == (200, version(first))
    limits = second["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits == {"memory": "1Gi", "cpu": "500m"}


@case
def a_field_that_is_dropped_is_removed(bench: Bench) -> None:
    bench.apply("services", with_meta(service(), labels={"a": "1", "b": "2"}), SLIPWAY)
    status, made = bench.apply("services", with_meta(service(), labels={"a": "1"}), SLIPWAY)
    assert (status, made["metadata"]["labels"]) == (200, {"a": "1"})


@case
def all_labels_dropped(bench: Bench) -> None:
    bench.apply("services", with_meta(service(), labels={"a": "1"}), SLIPWAY)
    status, made = bench.apply("services", service(), SLIPWAY)
    assert (status, made["metadata"].get("labels")) == (200, None)


@case
def a_field_that_is_dropped_but_owned_by_another_stays(bench: Bench) -> None:
    both = with_meta(service(), labels={"a": "1", "b": "2"})
    bench.apply("services", both, SLIPWAY)
    bench.apply("services", both, OTHER)
    _, made = bench.apply("services", service(), SLIPWAY)
    assert made["metadata"]["labels"] == {"a": "1", "b": "2"}


@case
def what_others_add_stays(bench: Bench) -> None:
    bench.apply("services", with_meta(service(), labels={"a": "1"}), SLIPWAY)
    bench.merge("services", "web", {"metadata": {"labels": {"theirs": "2"}, "annotations": {"x": "y"}}})
    _, made = bench.apply("services", with_meta(service(), labels={"a": "3"}), SLIPWAY)
    assert made["metadata"]["labels"] == {"a": "3", "theirs": "2"}


@case
def a_conflict_without_force(bench: Bench) -> None:
    bench.apply("deployments", deployment(replicas=1), SLIPWAY)
    status, answer = bench.apply("deployments", deployment(replicas=2), OTHER, force=False)
    assert (status, answer["reason"]) == (409, "Conflict")
    assert bench.get("deployments", "deploy")[1]["spec"]["replicas"] == 1


@case
def no_conflict_over_the_same_value(bench: Bench) -> None:
    bench.apply("deployments", deployment(replicas=1), SLIPWAY)
    status, _ = bench.apply("deployments", deployment(replicas=1), OTHER, force=False)
    assert status == 200


@case
def force_takes_the_field(bench: Bench) -> None:
    bench.apply("deployments", deployment(replicas=1), SLIPWAY)
    bench.apply("deployments", deployment(replicas=2), OTHER)
    _, made = bench.apply("deployments", deployment(), OTHER)
    assert made["spec"]["replicas"] == 1, "nobody owns it any more, so it is defaulted"


@case
def handing_replicas_over(bench: Bench) -> None:
    """A second manager takes a field before the first lets go: it never falls back to its default."""
    bench.apply("deployments", deployment(replicas=3), SLIPWAY)
    only = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "deploy"}, "spec": {"replicas": 3}}
    bench.apply("deployments", only, OTHER)
    _, made = bench.apply("deployments", deployment(), SLIPWAY)
    assert made["spec"]["replicas"] == 3


@case
def an_update_takes_the_field(bench: Bench) -> None:
    bench.apply("deployments", deployment(replicas=1), SLIPWAY)
    bench.merge("deployments", "deploy", {"spec": {"replicas": 4}})
    status, _ = bench.apply("deployments", deployment(replicas=1), SLIPWAY, force=False)
    assert status == 409
    _, made = bench.apply("deployments", deployment(replicas=1), SLIPWAY)
    assert made["spec"]["replicas"] == 1


@case
def containers_merge_by_name(bench: Bench) -> None:
    bench.apply("deployments", deployment("deploy", container("main"), container("side")), SLIPWAY)
    theirs = {"spec": {"containers": [{"name": "main", "env": [{"name": "A", "value": "1"}]}]}}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "deploy"}, "spec": {"template": theirs}}
    _, made = bench.apply("deployments", body, OTHER)
    containers = made["spec"]["template"]["spec"]["containers"]
    assert [(c["name"], c["image"], len(c.get("env", []))) for c in containers] == [
        ("main", "image:1", 1),
        ("side", "image:1", 0),
    ]
    _, made = bench.apply("deployments", deployment("deploy", container("main", image="image:2")), SLIPWAY)
    containers = made["spec"]["template"]["spec"]["containers"]
    assert [(c["name"], c["image"], len(c.get("env", []))) for c in containers] == [("main", "image:2", 1)]


@case
def env_merges_by_name_and_keeps_order(bench: Bench) -> None:
    def env(*names: str) -> list[dict[str, str]]:
        return [{"name": name, "value": name.lower()} for name in names]

    bench.apply("deployments", deployment("deploy", container(env=env("A", "B", "C"))), SLIPWAY)
    bench.apply("deployments", deployment("deploy", container(env=env("X", "B"))), OTHER)
    _, made = bench.apply("deployments", deployment("deploy", container(env=env("C", "D", "A"))), SLIPWAY)
    names = [each["name"] for each in made["spec"]["template"]["spec"]["containers"][0]["env"]]
    assert sorted(names) == ["A", "B", "C", "D", "X"]


@case
def service_ports_merge_by_port_and_protocol(bench: Bench) -> None:
    bench.apply("services", service(), SLIPWAY)
    both = service(ports=[{"name": "http", "port": 80, "targetPort": 9000}, {"name": "x", "port": 81}])
    bench.apply("services", both, OTHER)
    _, made = bench.apply("services", service(ports=[{"name": "tls", "port": 443}]), SLIPWAY)
    assert {port["port"] for port in made["spec"]["ports"]} == {443, 80, 81}


@case
def another_entry_that_makes_ours_invalid(bench: Bench) -> None:
    """What Applier._overrule is for: a port of another manager takes our port's name."""
    bench.apply("services", service(ports=[{"name": "http", "port": 81}]), OTHER)
    status, answer = bench.apply("services", service(), SLIPWAY)
    assert (status, answer["reason"]) == (422, "Invalid")
    assert bench.merge("services", "web", service())[0] == 200
    status, made = bench.apply("services", service(), SLIPWAY)
    assert (status, [port["port"] for port in made["spec"]["ports"]]) == (200, [80])


@case
def a_selector_is_atomic(bench: Bench) -> None:
    bench.apply("services", service(selector={"a": "1"}), SLIPWAY)
    _, made = bench.apply("services", service(selector={"b": "2"}), OTHER)
    assert made["spec"]["selector"] == {"b": "2"}
    _, made = bench.apply("services", service(selector={"a": "1"}), SLIPWAY)
    assert made["spec"]["selector"] == {"a": "1"}


@case
def command_is_atomic(bench: Bench) -> None:
    bench.apply("deployments", deployment("deploy", container(command=["a", "b"])), SLIPWAY)
    _, made = bench.apply("deployments", deployment("deploy", container(command=["c"])), OTHER)
    assert made["spec"]["template"]["spec"]["containers"][0]["command"] == ["c"]


@case
def owner_references_merge_by_uid(bench: Bench) -> None:
    _, first = bench.create("trainingjobs", job("one"))
    _, second = bench.create("trainingjobs", job("two"))

    def reference(owner: dict[str, object]) -> dict[str, object]:
        meta = owner["metadata"]
        assert isinstance(meta, dict)
        return {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": meta["name"], "uid": meta["uid"]}

    bench.apply("services", with_meta(service(), ownerReferences=[reference(first)]), SLIPWAY)
    _, made = bench.apply("services", with_meta(service(), ownerReferences=[reference(second)]), OTHER)
    assert len(made["metadata"]["ownerReferences"]) == 2
    _, made = bench.apply("services", service(), SLIPWAY)
    assert [each["name"] for each in made["metadata"]["ownerReferences"]] == ["two"]


@case
def finalizers_are_a_set(bench: Bench) -> None:
    bench.apply("services", with_meta(service(), finalizers=["a.example/x"]), SLIPWAY)
    _, made = bench.apply("services", with_meta(service(), finalizers=["b.example/y", "a.example/x"]), OTHER)
    assert sorted(made["metadata"]["finalizers"]) == ["a.example/x", "b.example/y"]
    _, made = bench.apply("services", service(), SLIPWAY)
    assert sorted(made["metadata"]["finalizers"]) == ["a.example/x", "b.example/y"]
    bench.apply("services", service(), OTHER)


@case
def apply_to_status(bench: Bench) -> None:
    _, made = bench.create("trainingjobs", job())
    body = {**job(), "status": {"attempt": 1, "conditions": [READY]}}
    del body["spec"]
    status, after = bench.apply("trainingjobs", body, SLIPWAY, "status")
    assert (status, after["status"]["attempt"], after["spec"]) == (200, 1, made["spec"])
    _, again = bench.apply("trainingjobs", body, SLIPWAY, "status")
    assert version(again) == version(after)
    assert again["metadata"]["generation"] == 1


@case
def conditions_merge_by_type(bench: Bench) -> None:
    bench.create("trainingjobs", job())

    def status(*conditions: dict[str, str], **more: object) -> dict[str, object]:
        body = {**job(), "status": {"conditions": list(conditions), **more}}
        del body["spec"]
        return body

    bench.apply("trainingjobs", status(READY, {**READY, "type": "Running"}, attempt=2), SLIPWAY, "status")
    bench.apply("trainingjobs", status({**READY, "type": "Theirs"}), OTHER, "status")
    _, made = bench.apply("trainingjobs", status({**READY, "status": "True"}), SLIPWAY, "status")
    assert [(c["type"], c["status"]) for c in made["status"]["conditions"]] == [("Ready", "True"), ("Theirs", "False")]
    assert "attempt" not in made["status"]


@case
def a_stale_status_apply(bench: Bench) -> None:
    _, made = bench.create("trainingjobs", job())
    body = with_meta({**job(), "status": {"attempt": 1}}, resourceVersion=version(made), uid=made["metadata"]["uid"])
    del body["spec"]
    assert bench.apply("trainingjobs", body, SLIPWAY, "status")[0] == 200
    late = {**body, "status": {"attempt": 0}}
    status, answer = bench.apply("trainingjobs", late, OTHER, "status")
    assert (status, answer["reason"]) == (409, "Conflict")


@case
def a_uid_alone_does_not_guard_a_status_apply(bench: Bench) -> None:
    """The status endpoint takes metadata from the stored object, so only the resourceVersion is a guard."""
    _, made = bench.create("trainingjobs", job())
    body = with_meta({**job(), "status": {"attempt": 1}}, uid=ANOTHER)
    del body["spec"]
    assert bench.apply("trainingjobs", body, SLIPWAY, "status")[0] == 200
    late = with_meta(body, resourceVersion=version(made), uid=ANOTHER)
    assert bench.apply("trainingjobs", late, SLIPWAY, "status")[0] == 409


@case
def apply_of_status_to_nothing(bench: Bench) -> None:
    body = {**job(), "status": {"attempt": 1}}
    del body["spec"]
    assert bench.apply("trainingjobs", body, SLIPWAY, "status")[0] == 404


@case
def apply_with_a_uid_creates_nothing(bench: Bench) -> None:
    body = with_meta(service(), uid=ANOTHER)
    status, answer = bench.apply("services", body, SLIPWAY)
    assert (status, answer["reason"]) == (409, "Conflict")


@case
def apply_with_a_version_creates(bench: Bench) -> None:
    assert bench.apply("services", with_meta(service(), resourceVersion="1"), SLIPWAY)[0] == 201


@case
def apply_with_an_old_version(bench: Bench) -> None:
    _, made = bench.apply("services", service(), SLIPWAY)
    bench.merge("services", "web", {"metadata": {"labels": {"a": "b"}}})
    status, answer = bench.apply("services", with_meta(service(), resourceVersion=version(made)), SLIPWAY)
    assert (status, answer["reason"]) == (409, "Conflict")


@case
def apply_needs_a_manager(bench: Bench) -> None:
    status, _ = bench.ask("PATCH", bench.path("services", "web"), service(), "application/apply-patch+yaml")
    assert status in (400, 422)


@case
def apply_of_duplicate_keys(bench: Bench) -> None:
    body = deployment("deploy", container(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]))
    bench.apply("deployments", deployment(), SLIPWAY)
    assert bench.apply("deployments", body, SLIPWAY)[0] >= 400


@case
def apply_of_an_undeclared_field(bench: Bench) -> None:
    assert bench.apply("services", service(noSuchField=1), SLIPWAY)[0] >= 400
    assert bench.apply("trainingjobs", job(noSuchField=1), SLIPWAY)[0] >= 400


@case
def apply_of_untyped_data(bench: Bench) -> None:
    """A PyTorchJob's spec is untyped here: maps merge, lists are replaced."""
    bench.apply("pytorchjobs", gang(map={"a": 1}, list=[1, 2], deep={"x": {"y": 1}}), SLIPWAY)
    bench.apply("pytorchjobs", gang(map={"b": 2}, list=[3]), OTHER)
    _, made = bench.apply("pytorchjobs", gang(deep={"x": {"z": 2}}), SLIPWAY)
    assert made["spec"] == {"map": {"b": 2}, "list": [3], "deep": {"x": {"z": 2}}}


@case
def apply_over_a_create_keeps_what_was_created(bench: Bench) -> None:
    bench.create("services", with_meta(service(), labels={"mine": "1"}))
    _, made = bench.apply("services", with_meta(service(), labels={"ours": "2"}), SLIPWAY)
    assert made["metadata"]["labels"] == {"mine": "1", "ours": "2"}


@case
def apply_dry_run(bench: Bench) -> None:
    assert bench.apply("services", service(), SLIPWAY, dryRun="All")[0] == 201
    assert bench.get("services", "web")[0] == 404


@case
def an_empty_struct_that_was_applied_is_removed(bench: Bench) -> None:
    bench.apply("inferenceservices", inference(scaling={"maxReplicas": 3}, drainSeconds=10), SLIPWAY)
    _, made = bench.apply("inferenceservices", inference(), SLIPWAY)
    assert (made["spec"].get("scaling"), made["spec"]["drainSeconds"]) == (None, 45)


@case
def a_set_in_a_custom_resource(bench: Bench) -> None:
    def of(*patterns: str) -> dict[str, object]:
        dataset = {"uri": "file:///data", "include": list(patterns)}
        return job(command=None, recipe="pretrain", dataset=dataset, training={"steps": 1})

    body = of("a", "b")
    body["spec"] = {k: v for k, v in body["spec"].items() if v is not None}  # type: ignore[attr-defined]
    bench.apply("trainingjobs", body, SLIPWAY)
    _, made = bench.apply("trainingjobs", body, OTHER)
    assert made["spec"]["dataset"]["include"] == ["a", "b"]


@case
def a_set_has_no_order(bench: Bench) -> None:
    """`self == oldSelf` of a spec that cannot change: another order of a set is no change to CEL, and is stored."""
    spec = {"recipe": "pretrain", "training": {"steps": 1}}
    bench.create("trainingjobs", {**job(), "spec": {**spec, "dataset": {"uri": "file:///x", "include": ["a", "b"]}}})
    status, made = bench.merge("trainingjobs", "job", {"spec": {"dataset": {"include": ["b", "a"]}}})
    assert (status, made["spec"]["dataset"]["include"], made["metadata"]["generation"]) == (200, ["b", "a"], 2)


@case
def apply_with_another_uid(bench: Bench) -> None:
    bench.apply("services", service(), SLIPWAY)
    status, answer = bench.apply("services", with_meta(service(), uid=ANOTHER, labels={"a": "b"}), SLIPWAY)
    assert status in (409, 422), answer
    bench.apply("trainingjobs", job(), SLIPWAY)
    status, answer = bench.apply("trainingjobs", with_meta(job(), uid=ANOTHER, labels={"a": "b"}), SLIPWAY)
    assert status in (409, 422), answer
