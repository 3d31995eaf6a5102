"""What is ours by managedFields: the same as what we want, or not, for each way in which an object can differ.

The managedFields here were written by a real API server (1.34.4); tests/perf/test_small.py shows that a restart of the
operator writes nothing there.
"""

import copy
from typing import Any

import pytest

from slipway.reconcile.owned import intent_digest, owned_digest

Obj = dict[str, Any]

WANTED: Obj = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "llama",
        "namespace": "ns",
        "labels": {"app": "llama"},
        "ownerReferences": [{"apiVersion": "v1", "kind": "Owner", "name": "o", "uid": "u-1", "controller": True}],
    },
    "spec": {
        "paused": False,
        "replicas": 2,
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "main",
                        "args": ["--model", "x"],
                        "ports": [{"name": "http", "containerPort": 8000}],
                        "resources": {"requests": {"cpu": "1"}},
                    }
                ],
                "volumes": [{"name": "tmp", "emptyDir": {}}],
            }
        },
    },
}

FIELDS: Obj = {
    "f:metadata": {"f:labels": {"f:app": {}}, "f:ownerReferences": {'k:{"uid":"u-1"}': {}}},
    "f:spec": {
        "f:paused": {},
        "f:replicas": {},
        "f:template": {
            "f:spec": {
                "f:containers": {
                    'k:{"name":"main"}': {
                        ".": {},
                        "f:args": {},
                        "f:name": {},
                        "f:ports": {
                            'k:{"containerPort":8000,"protocol":"TCP"}': {
                                ".": {},
                                "f:containerPort": {},
                                "f:name": {},
                            }
                        },
                        "f:resources": {"f:requests": {"f:cpu": {}}},
                    }
                },
                "f:volumes": {'k:{"name":"tmp"}': {".": {}, "f:emptyDir": {}, "f:name": {}}},
            }
        },
    },
}


def stored() -> Obj:
    """As the API server keeps it: defaults, other people's fields, bookkeeping."""
    body = copy.deepcopy(WANTED)
    body["metadata"] |= {
        "uid": "x",
        "resourceVersion": "7",
        "annotations": {"deployment.kubernetes.io/revision": "1"},
        "managedFields": [
            {"manager": "kcm", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {}}},
            {"manager": "slipway", "operation": "Apply", "fieldsV1": FIELDS},
        ],
    }
    del body["spec"]["paused"]  # false, and so not stored
    body["spec"]["strategy"] = {"type": "RollingUpdate"}
    main = body["spec"]["template"]["spec"]["containers"][0]
    main["ports"][0]["protocol"] = "TCP"
    main["imagePullPolicy"] = "Always"
    body["spec"]["template"]["spec"]["containers"].append({"name": "injected", "image": "mesh"})
    body["status"] = {"replicas": 2}
    return body


def test_what_others_set_and_what_is_defaulted_is_not_ours() -> None:
    assert owned_digest(stored(), "slipway") == intent_digest(WANTED)


def changed(what: str) -> Obj:
    body = stored()
    spec = body["spec"]["template"]["spec"]
    match what:
        case "a value that another client changed and did not take over":
            body["spec"]["replicas"] = 5
        case "an argument in a list that is one value":
            spec["containers"][0]["args"] = ["--model", "y"]
        case "a zero that was overruled":
            body["spec"]["paused"] = True
        case "a zero that another manager took over":
            fields = copy.deepcopy(FIELDS)
            del fields["f:spec"]["f:paused"]
            body["metadata"]["managedFields"][1]["fieldsV1"] = fields
        case "a label that was removed":
            del body["metadata"]["labels"]["app"]
        case "a field that another manager took over":
            fields = copy.deepcopy(FIELDS)
            del fields["f:spec"]["f:replicas"]
            body["metadata"]["managedFields"][1]["fieldsV1"] = fields
        case "a field of an earlier version of ours":
            fields = copy.deepcopy(FIELDS)
            fields["f:spec"]["f:strategy"] = {}
            body["metadata"]["managedFields"][1]["fieldsV1"] = fields
        case "a container that is gone":
            del spec["containers"][0]
        case "a quantity in another form":
            spec["containers"][0]["resources"]["requests"]["cpu"] = "1000m"
    return body


@pytest.mark.parametrize(
    "what",
    [
        "a value that another client changed and did not take over",
        "an argument in a list that is one value",
        "a zero that was overruled",
        "a zero that another manager took over",
        "a label that was removed",
        "a field that another manager took over",
        "a field of an earlier version of ours",
        "a container that is gone",
        "a quantity in another form",
    ],
)
def test_whatever_is_not_as_we_want_it_is_seen(what: str) -> None:
    assert changed(what) != stored()
    assert owned_digest(changed(what), "slipway") != intent_digest(WANTED)


@pytest.mark.parametrize(
    "entry",
    [
        None,
        {"manager": "somebody", "operation": "Apply", "fieldsV1": FIELDS},
        {"manager": "slipway", "operation": "Update", "fieldsV1": FIELDS},
        {"manager": "slipway", "operation": "Apply", "subresource": "status", "fieldsV1": FIELDS},
    ],
)
def test_what_we_have_never_applied_is_not_ours(entry: Obj | None) -> None:
    body = stored()
    body["metadata"]["managedFields"] = [entry] if entry else []
    assert owned_digest(body, "slipway") == ""


def test_an_element_of_a_set_is_named_by_its_value() -> None:
    body = {
        "metadata": {
            "finalizers": ["a", "b"],
            "managedFields": [
                {
                    "manager": "slipway",
                    "operation": "Apply",
                    "fieldsV1": {"f:metadata": {"f:finalizers": {'v:"b"': {}}}},
                }
            ],
        }
    }
    assert owned_digest(body, "slipway") == intent_digest({"metadata": {"name": "x", "finalizers": ["b"]}})
