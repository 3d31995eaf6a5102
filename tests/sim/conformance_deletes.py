"""Conformance of deletion: preconditions, finalizers, propagation, a pod's grace, what is answered."""

from .conformance import Bench, Obj, case, claim, deployment, job, lease, pod, service, version, with_meta

ANOTHER = "11111111-2222-4333-8444-555555555555"
POD_TEMPLATE: Obj = {
    "apiVersion": "v1",
    "kind": "PodTemplate",
    "metadata": {"name": "template"},
    "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod()["spec"]},
}


@case
def delete_with_preconditions(bench: Bench) -> None:
    _, made = bench.create("trainingjobs", job())
    status, answer = bench.delete("trainingjobs", "job", options(preconditions={"uid": ANOTHER}))
    assert (status, answer["reason"]) == (409, "Conflict")
    assert bench.delete("trainingjobs", "job", options(preconditions={"resourceVersion": "1"}))[0] == 409
    right = {"uid": made["metadata"]["uid"], "resourceVersion": version(made)}
    assert bench.delete("trainingjobs", "job", options(preconditions=right))[0] == 200
    assert bench.get("trainingjobs", "job")[0] == 404


def options(**more: object) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background", **more}


@case
def delete_answers(bench: Bench) -> None:
    bodies: dict[str, Obj] = {
        "trainingjobs": job(),
        "services": service(),
        "deployments": deployment(),
        "leases": lease(),
        "pods": pod(),
        "podtemplates": POD_TEMPLATE,
    }
    for plural, body in bodies.items():
        bench.create(plural, body)
        assert bench.delete(plural, body["metadata"]["name"], options())[0] == 200
        assert bench.get(plural, body["metadata"]["name"])[0] == 404


@case
def a_finalizer_holds(bench: Bench) -> None:
    bench.create("trainingjobs", with_meta(job(), finalizers=["example.com/hold"]))
    status, answer = bench.delete("trainingjobs", "job", options())
    assert (status, "deletionTimestamp" in answer["metadata"], answer["metadata"]["generation"]) == (200, True, 2)
    _, again = bench.delete("trainingjobs", "job", options())
    assert version(again) == version(answer)
    assert bench.create("trainingjobs", job())[0] == 409
    assert bench.merge("trainingjobs", "job", {"metadata": {"finalizers": None}})[0] == 200
    assert bench.get("trainingjobs", "job")[0] == 404


@case
def no_finalizer_is_added_to_what_is_going(bench: Bench) -> None:
    bench.create("trainingjobs", with_meta(job(), finalizers=["example.com/hold"]))
    bench.delete("trainingjobs", "job", options())
    both = {"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}}
    assert bench.merge("trainingjobs", "job", both)[0] == 422
    bench.merge("trainingjobs", "job", {"metadata": {"finalizers": None}})


@case
def foreground_and_orphan_are_finalizers(bench: Bench) -> None:
    bench.create("trainingjobs", job())
    _, answer = bench.delete("trainingjobs", "job", options(propagationPolicy="Foreground"))
    assert answer["metadata"]["finalizers"] == ["foregroundDeletion"]
    bench.merge("trainingjobs", "job", {"metadata": {"finalizers": None}})
    bench.create("services", service())
    _, answer = bench.delete("services", "web", options(propagationPolicy="Orphan"))
    assert answer["metadata"]["finalizers"] == ["orphan"]
    bench.merge("services", "web", {"metadata": {"finalizers": None}})
    assert bench.get("services", "web")[0] == 404


@case
def a_claim_is_protected(bench: Bench) -> None:
    _, made = bench.create("persistentvolumeclaims", claim())
    assert made["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    status, answer = bench.delete("persistentvolumeclaims", "claim", options())
    assert (status, "deletionTimestamp" in answer["metadata"]) == (200, True)
    bench.merge("persistentvolumeclaims", "claim", {"metadata": {"finalizers": None}})
    assert bench.get("persistentvolumeclaims", "claim")[0] == 404


@case
def a_pod_without_a_node_goes_at_once(bench: Bench) -> None:
    bench.create("pods", pod())
    assert bench.delete("pods", "pod")[0] == 200
    assert bench.get("pods", "pod")[0] == 404


@case
def a_pod_on_a_node_has_its_grace(bench: Bench) -> None:
    bench.create("pods", pod(nodeName="node-1", terminationGracePeriodSeconds=20))
    _, answer = bench.delete("pods", "pod")
    assert answer["metadata"]["deletionGracePeriodSeconds"] == 20
    _, shorter = bench.delete("pods", "pod", options(gracePeriodSeconds=5))
    assert shorter["metadata"]["deletionGracePeriodSeconds"] == 5
    _, longer = bench.delete("pods", "pod", options(gracePeriodSeconds=50))
    assert longer["metadata"]["deletionGracePeriodSeconds"] == 5
    assert bench.delete("pods", "pod", options(gracePeriodSeconds=0))[0] == 200
    assert bench.get("pods", "pod")[0] == 404


@case
def a_pod_that_has_ended_goes_at_once(bench: Bench) -> None:
    bench.create("pods", pod(nodeName="node-1"))
    bench.merge("pods", "pod", {"status": {"phase": "Succeeded"}}, "status")
    bench.delete("pods", "pod")
    assert bench.get("pods", "pod")[0] == 404


@case
def delete_dry_run(bench: Bench) -> None:
    bench.create("trainingjobs", job())
    assert bench.delete("trainingjobs", "job", dryRun="All")[0] == 200
    assert bench.get("trainingjobs", "job")[0] == 200
