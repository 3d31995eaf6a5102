"""What is refused, in which words, and that a refusal touches nothing."""

from dataclasses import replace

import pytest

from slipway.plan.inference import plan
from slipway.plan.inference.children import selector_labels
from slipway.plan.observed import Child, Obj, Observed, Ref, Verdict
from slipway.plan.outcome import Event, Plan

from .world import (
    CLAIM,
    DEFAULTS,
    DEPLOYMENT,
    JOB,
    SCALED_OBJECT,
    SCALING,
    SERVICE,
    THEN,
    UID,
    applied,
    child,
    condition,
    from_job,
    job,
    owner,
    pod,
    said,
    settle,
    spec,
    world,
)

CHILDREN = (child(DEPLOYMENT), child(SERVICE), child(SCALED_OBJECT))
NO_PROMETHEUS = replace(DEFAULTS, prometheus_url="")
NO_IMAGES = replace(DEFAULTS, vllm_images=(("cpu", "vllm-cpu:1"),))


def refused(outcome: Plan, reason: str) -> str:
    """The message of a refusal, after checking that it is told in full and touches nothing."""
    assert (outcome.apply, outcome.create, outcome.delete) == ((), (), ())
    status, found, message = said(outcome, "Accepted")
    assert (status, found) == ("False", reason)
    assert said(outcome, "Ready") == ("False", reason, message)
    assert said(outcome, "ModelReady")[:2] == ("Unknown", "NotAccepted")
    assert said(outcome, "Scaling")[:2] == ("Unknown", "NotAccepted")
    assert outcome.events == (Event("Warning", reason, message),)
    return message


CASES: list[tuple[Obj, str, str]] = [
    ({"model": {}}, "InvalidSpec", "spec.model: exactly one of from and uri must be set"),
    (
        {"model": {"uri": "pvc://a/b", "from": {"trainingJob": "x"}}},
        "InvalidSpec",
        "spec.model: exactly one of from and uri must be set",
    ),
    (
        {"model": {"uri": "pvc://models/../other"}},
        "InvalidSpec",
        "spec.model.uri: 'pvc://models/../other' leaves its claim: write the path without '..'",
    ),
]


@pytest.mark.parametrize(("body", "reason", "message"), CASES)
def test_refused_spec(body: Obj, reason: str, message: str) -> None:
    assert refused(settle(body, children=CHILDREN), reason) == message


def test_every_wrong_field_is_named_as_it_is_written() -> None:
    message = refused(settle(spec(engine="other", drainSeconds=-1, colour="red")), "InvalidSpec")
    assert message == (
        "spec.engine: Input should be 'vllm' or 'sglang'; "
        "spec.drainSeconds: Input should be greater than or equal to 0; "
        "spec.colour: Extra inputs are not permitted"
    )


def test_scaling_without_prometheus() -> None:
    message = refused(settle(spec(scaling=SCALING), defaults=NO_PROMETHEUS), "PrometheusNotConfigured")
    assert message == (
        "spec.scaling: replicas follow a Prometheus query, and this installation names no Prometheus: "
        "configure its address in the operator, or leave scaling out and set spec.replicas"
    )
    assert said(settle(spec(), defaults=NO_PROMETHEUS), "Accepted")[0] == "True"


def test_no_image_for_the_accelerator() -> None:
    message = refused(settle(spec(accelerator="nvidia"), defaults=NO_IMAGES), "ImageNotConfigured")
    assert message == (
        "spec.image: this installation has no vLLM image for accelerator nvidia: "
        "set spec.image, or configure one in the operator"
    )
    assert said(settle(spec(accelerator="nvidia", image="mine:1"), defaults=NO_IMAGES), "Accepted")[0] == "True"


@pytest.mark.parametrize(
    ("argument", "reason", "message"),
    [
        ("--port=9", "ReservedEngineArgument", "spec.engineArgs[1]: --port is not yours to set: "),
        ("--dtipe=half", "UnknownEngineArgument", "spec.engineArgs[1]: --dtipe is not an option of vLLM "),
        (
            "--enable-sleep-mode",
            "UnsupportedEngineArgument",
            "spec.engineArgs[1]: the engine has no sleep mode on a CPU",
        ),
    ],
)
def test_engine_arguments_are_checked_against_the_engine(argument: str, reason: str, message: str) -> None:
    outcome = settle(spec(engineArgs=["--enforce-eager", argument]))
    assert refused(outcome, reason).startswith(message)


def test_engine_arguments_are_checked_for_the_accelerator() -> None:
    outcome = settle(spec(engineArgs=["--enable-sleep-mode"], accelerator="nvidia"))
    assert said(outcome, "Accepted")[0] == "True"


RESERVED: list[tuple[Obj, str]] = [
    ({"image": "x"}, "spec.podTemplate.spec.containers[0].image: set spec.image"),
    (
        {"command": ["x"]},
        "spec.podTemplate.spec.containers[0].command: the engine is started by Slipway: give flags in spec.engineArgs",
    ),
    (
        {"resources": {"limits": {"nvidia.com/gpu": 3}}},
        "spec.podTemplate.spec.containers[0].resources.limits[nvidia.com/gpu]: "
        "set spec.accelerator and spec.parallelism.tensor",
    ),
    ({"args": ["x"]}, "spec.podTemplate.spec.containers[0].args: give the engine's flags in spec.engineArgs"),
    ({"lifecycle": {"preStop": {}}}, "spec.podTemplate.spec.containers[0].lifecycle: set spec.drainSeconds"),
    (
        {"readinessProbe": {"httpGet": {}}},
        "spec.podTemplate.spec.containers[0].readinessProbe: "
        "leave it out: a replica is ready when it has generated a token",
    ),
    (
        {"livenessProbe": {"httpGet": {}}},
        "spec.podTemplate.spec.containers[0].livenessProbe: "
        "leave it out, and set spec.wedgeSeconds: an engine that owes tokens is restarted",
    ),
    (
        {"startupProbe": {"httpGet": {}}},
        "spec.podTemplate.spec.containers[0].startupProbe: leave it out, and set spec.startupSeconds",
    ),
    (
        {"env": [{"name": "VLLM_API_KEY", "value": "x"}]},
        "spec.podTemplate.spec.containers[0].env[0].name: VLLM_API_KEY is Slipway's: choose another name",
    ),
    (
        {"ports": [{"containerPort": 8001}]},
        "spec.podTemplate.spec.containers[0].ports[0].containerPort: 8001 is Slipway's: choose another port",
    ),
    (
        {"volumeMounts": [{"name": "x", "mountPath": "/dev/shm"}]},
        "spec.podTemplate.spec.containers[0].volumeMounts[0].mountPath: /dev/shm is Slipway's: mount elsewhere",
    ),
]


@pytest.mark.parametrize(("fields", "message"), RESERVED)
def test_reserved_field_of_the_main_container(fields: Obj, message: str) -> None:
    user = {"spec": {"containers": [{"name": "main", **fields}]}}
    assert refused(settle(spec(podTemplate=user)), "InvalidPodTemplate") == message


@pytest.mark.parametrize(
    ("pod_spec", "message"),
    [
        (
            {"terminationGracePeriodSeconds": 1, "enableServiceLinks": True},
            "spec.podTemplate.spec.terminationGracePeriodSeconds: set spec.drainSeconds; "
            "spec.podTemplate.spec.enableServiceLinks: "
            "leave it out: a Service named vllm would set VLLM_PORT, which the engine reads",
        ),
        (
            {"volumes": [{"name": "shm", "emptyDir": {}}]},
            "spec.podTemplate.spec.volumes[0].name: shm is Slipway's: choose another name",
        ),
        (
            {"initContainers": [{"name": "model-check"}]},
            "spec.podTemplate.spec.initContainers[0].name: model-check is Slipway's: choose another name",
        ),
        (
            {"initContainers": [{"name": "slipway-engine"}]},
            "spec.podTemplate.spec.initContainers[0].name: slipway-engine is Slipway's: choose another name",
        ),
    ],
)
def test_reserved_part_of_the_pod(pod_spec: Obj, message: str) -> None:
    assert refused(settle(spec(podTemplate={"spec": pod_spec})), "InvalidPodTemplate") == message


# The API server's verdict


def test_template_that_the_api_server_rejects() -> None:
    outcome = settle(spec(), children=CHILDREN, complaint="template.spec.priorityClassName: Invalid value")
    message = refused(outcome, "InvalidPodTemplate")
    assert message == "the API server finds the pod template invalid: template.spec.priorityClassName: Invalid value"
    assert not outcome.look_again


def test_a_template_that_a_quota_refuses_is_tried_again() -> None:
    outcome = settle(spec(), children=CHILDREN, complaint="exceeded quota: pods", complaint_invalid=False)
    message = refused(outcome, "PodsRefused")
    assert message == "the API server refuses the pods: exceeded quota: pods"
    assert outcome.look_again


def test_a_refusal_that_only_counts_anew_is_not_written_anew() -> None:
    first = settle(spec(), complaint="exceeded quota: q, used: pods=7", complaint_invalid=False)
    again = settle(spec(), complaint="exceeded quota: q, used: pods=8", complaint_invalid=False, status=first.status)
    assert again.status == first.status


def test_template_is_tried_before_the_model_is_there() -> None:
    waiting = {JOB: job(condition("Ready", "False", "Running"))}
    outcome = settle(from_job(), objects=waiting, complaint="no such field")
    assert refused(outcome, "InvalidPodTemplate") == "the API server finds the pod template invalid: no such field"


def test_trial_is_the_template_that_would_be_applied() -> None:
    seen = Observed(owner(), read={CLAIM: {"spec": {"accessModes": ["ReadWriteMany"]}}}, children=CHILDREN)
    outcome = plan(seen, 0.0, DEFAULTS)
    [(digest, trial)] = outcome.templates
    assert (trial["kind"], trial["metadata"]["namespace"]) == ("PodTemplate", "team")
    accepted = plan(replace(seen, verdicts={digest: Verdict()}), 0.0, DEFAULTS)
    rendered = accepted.apply[0]["spec"]["template"]
    assert rendered["metadata"]["labels"].pop("slipway.dev/revision") == digest
    assert rendered == trial["template"]


@pytest.mark.parametrize(
    ("fields", "children", "kind"),
    [
        ({}, (), "Pod"),
        ({}, CHILDREN, "PodTemplate"),
        ({}, tuple(replace(each, owner_uid="another's") for each in CHILDREN), "Pod"),
        ({"replicas": 0}, (), "PodTemplate"),
        ({"scaling": SCALING}, (), "Pod"),
    ],
    ids=["new", "there are pods that use the quota", "a namesake's", "at zero", "scaled"],
)
def test_pods_are_tried_as_pods_only_before_there_are_any(fields: Obj, children: tuple[Child, ...], kind: str) -> None:
    seen = Observed(
        owner(spec(**fields)), read={CLAIM: {"spec": {"accessModes": ["ReadWriteMany"]}}}, children=children
    )
    [(digest, trial)] = plan(seen, 0.0, DEFAULTS).templates
    assert trial["kind"] == kind
    assert trial["metadata"]["name"] == f"slipway-trial-{digest}"


def test_a_service_that_waits_for_its_job_is_not_refused_for_the_quota_that_the_job_uses() -> None:
    seen = Observed(owner(from_job()), read={JOB: job(condition("Ready", "False", "Running"))})
    [(_, trial)] = plan(seen, 0.0, DEFAULTS).templates
    assert trial["kind"] == "PodTemplate"


def test_nothing_is_told_while_something_is_asked() -> None:
    status = {"conditions": [{"type": "Ready", "status": "True", "reason": "Serving", "lastTransitionTime": THEN}]}
    outcome = plan(Observed(owner(status=status)), 0.0, DEFAULTS)
    assert outcome == Plan(status=status, reads=(CLAIM,))


def test_what_can_be_asked_at_once_is() -> None:
    seen = Observed(owner(), read={CLAIM: {"spec": {"accessModes": ["ReadWriteMany"]}}})
    outcome = plan(seen, 0.0, DEFAULTS)
    assert outcome.reads == (DEPLOYMENT, SERVICE)
    assert len(outcome.templates) == 1


# Whose names


@pytest.mark.parametrize(("kind", "ref"), [("Deployment", DEPLOYMENT), ("Service", SERVICE)])
def test_somebody_elses_object_is_not_taken_over(kind: str, ref: Ref) -> None:
    outcome = settle(spec(), objects={ref: {"metadata": {"ownerReferences": [{"uid": "another"}]}}})
    assert refused(outcome, "NameConflict") == (
        f"{kind} 'chat' exists in namespace 'team' and does not belong to this InferenceService: "
        "delete or rename it, or give the InferenceService another name"
    )
    assert outcome.look_again


def test_object_without_any_owner_is_not_taken_over() -> None:
    refused(settle(spec(), objects={SERVICE: {"metadata": {}}}), "NameConflict")


def test_first_conflict_is_told() -> None:
    message = refused(settle(spec(), objects={DEPLOYMENT: {}, SERVICE: {}}), "NameConflict")
    assert message.startswith("Deployment ")


def test_scaled_object_of_that_name_matters_only_with_scaling() -> None:
    objects: dict[Ref, Obj] = {SCALED_OBJECT: {"metadata": {}}}
    refused(settle(spec(scaling=SCALING), objects=objects), "NameConflict")
    assert said(settle(spec(), objects=objects), "Accepted")[0] == "True"


def test_own_object_that_the_index_does_not_show_is_applied() -> None:
    mine = {"metadata": {"ownerReferences": [{"uid": "first"}, {"uid": "uid-of-chat"}]}}
    outcome = settle(spec(), objects={DEPLOYMENT: mine, SERVICE: mine})
    assert len(outcome.apply) == 2
    assert not outcome.look_again


ORPHAN = {"labels": selector_labels("chat")}
OTHERS = [{"uid": "another", "controller": False}]


@pytest.mark.parametrize("references", [[], OTHERS])
@pytest.mark.parametrize("ref", [DEPLOYMENT, SERVICE])
def test_an_object_of_ours_without_a_controller_is_taken_back(ref: Ref, references: list[Obj]) -> None:
    """Its owner reference was edited away, or its service deleted with --cascade=orphan and made again."""
    orphan = replace(
        child(ref, uid=references[0]["uid"] if references else ""), labels=ORPHAN["labels"], controlled=False
    )
    live = {ref: {"metadata": {**ORPHAN, "ownerReferences": references}}}
    for outcome in (settle(spec(), children=(orphan,)), settle(spec(), objects=live)):
        assert said(outcome, "Accepted")[0] == "True"
        (reference,) = applied(outcome, ref.kind)["metadata"]["ownerReferences"]
        assert (reference["uid"], reference["controller"]) == (UID, True)


@pytest.mark.parametrize(
    ("labels", "controlled"),
    [
        (selector_labels("chat"), True),
        (selector_labels("other"), False),
        ({"slipway.dev/inference-service": "chat"}, False),
        ({}, False),
    ],
)
def test_an_object_with_another_controller_or_other_labels_is_not_taken(
    labels: dict[str, str], controlled: bool
) -> None:
    stranger = replace(child(DEPLOYMENT, uid="another"), labels=labels, controlled=controlled)
    refused(settle(spec(), children=(stranger,)), "NameConflict")
    references = [{"uid": "another", "controller": controlled}]
    live: dict[Ref, Obj] = {DEPLOYMENT: {"metadata": {"labels": labels, "ownerReferences": references}}}
    refused(settle(spec(), objects=live), "NameConflict")


def test_an_orphaned_scaled_object_that_is_not_asked_for_is_deleted() -> None:
    orphan = replace(child(SCALED_OBJECT, uid=""), labels=ORPHAN["labels"], controlled=False)
    assert [wanted.ref for wanted in settle(spec(), children=(orphan,)).delete] == [SCALED_OBJECT]


@pytest.mark.parametrize("uid", ["an-earlier-chat", "zz-an-earlier-chat"])
def test_namesakes_child_is_waited_for(uid: str) -> None:
    children = (child(DEPLOYMENT, uid=uid), child(SERVICE))
    outcome = settle(spec(), children=children)
    assert refused(outcome, "NameConflict").startswith("Deployment ")
    assert outcome.look_again


def test_indexed_children_are_not_read() -> None:
    seen = replace(world(spec(scaling=SCALING)).observed, children=CHILDREN)
    assert plan(seen, 0.0, DEFAULTS).reads == (CLAIM,)
    with_claim = replace(seen, read={CLAIM: {"spec": {"accessModes": ["ReadWriteMany"]}}})
    assert plan(with_claim, 0.0, DEFAULTS).reads == ()
    bare = replace(with_claim, children=())
    assert plan(bare, 0.0, DEFAULTS).reads == (DEPLOYMENT, SERVICE, SCALED_OBJECT)


# What stays


def test_refusal_still_counts_what_serves() -> None:
    outcome = settle({"model": {}}, pods=(pod("chat-1", "any", ready=True),))
    assert said(outcome, "Available") == ("True", "ReplicasReady", "1 of 1 replicas ready")
    assert (outcome.status["replicas"], outcome.status["readyReplicas"]) == (1, 1)


def test_unreadable_spec_has_no_number_of_replicas() -> None:
    unreadable = spec(replicas="many")
    status, reason, message = said(settle(unreadable), "Available")
    assert (status, reason) == ("False", "InvalidSpec")
    assert message.startswith("0 replicas ready; spec.replicas: ")
    assert said(settle(unreadable, pods=(pod("a", ready=True),)), "Available") == (
        "True",
        "ReplicasReady",
        "1 replicas ready",
    )


def test_deleted_service_is_left_to_its_owner_references() -> None:
    status = {"conditions": [], "observedGeneration": 2}
    seen = Observed(owner(status=status, deleting=True), children=CHILDREN)
    assert plan(seen, 0.0, DEFAULTS) == Plan(status=status)


def test_a_class_that_there_is_not_is_refused_and_what_runs_is_left() -> None:
    body = spec(accelerator="nvidia", acceleratorClass="h1000")
    outcome = settle(body, children=CHILDREN)
    message = refused(outcome, "UnknownAccelerator")
    assert message.startswith("spec.acceleratorClass: there is no Accelerator 'h1000': there are a100-40gb, ")
    assert "h200" in message


def test_a_node_selector_that_leads_elsewhere_than_the_class_is_refused() -> None:
    template = {"spec": {"nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-L4"}}}
    body = spec(accelerator="nvidia", acceleratorClass="h200", podTemplate=template)
    message = refused(settle(body), "InvalidPodTemplate")
    assert message.startswith("spec.podTemplate.spec.nodeSelector[nvidia.com/gpu.product]: 'NVIDIA-L4' is not ")
