"""Previews: a plan without a cluster, answered from the file."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
import yaml

from slipway.cli import preview as cli
from slipway.cli.documents import InvalidFile, documents
from slipway.cli.preview import DEFAULTS, Operator, PlanFunction, Preview, owner_of, rendered, summary
from slipway.plan.observed import Obj, Observed, Ref
from slipway.plan.outcome import Defaults, Delete, Plan

JOB = """
apiVersion: slipway.dev/v1alpha1
kind: TrainingJob
metadata: {name: demo, namespace: team, labels: {a: b}}
spec:
  recipe: pretrain
  dataset: {uri: "pvc://text"}
  training: {steps: 5}
"""
CLAIM_BODY: Obj = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "text", "namespace": "team"},
}
CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: text, namespace: team}
spec: {volumeName: pv-1}
"""
SERVICE = """
apiVersion: slipway.dev/v1alpha1
kind: InferenceService
metadata: {name: chat}
spec: {model: {uri: "pvc://models"}}
"""
TEXT_CLAIM = Ref("v1", "PersistentVolumeClaim", "persistentvolumeclaims", "team", "text")
READY = {"type": "Ready", "status": "False", "reason": "Pending", "message": "waits for a node"}
ACCEPTED = {"type": "Accepted", "status": "True", "reason": "Accepted", "message": ""}


def obj(kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}


def ref_of(body: Obj) -> Ref:
    return Ref(body["apiVersion"], body["kind"], body["kind"].lower() + "s", "team", body["metadata"]["name"])


def plan_of(observed: Observed, now: float, defaults: Defaults) -> Plan:
    """A plan like the operator's: asks for a claim and a verdict first, then says what it saw."""
    assert defaults == DEFAULTS
    if TEXT_CLAIM not in observed.read:
        return Plan(status={}, reads=(TEXT_CLAIM,))
    if "digest" not in observed.verdicts:
        return Plan(status={}, templates=(("digest", obj("PodTemplate", "trial")),))
    claim = observed.read[TEXT_CLAIM]
    volume = claim["spec"]["volumeName"] if claim else "none"
    status = {"conditions": [ACCEPTED, READY | {"message": f"{volume} at {now:g}"}]}
    return Plan(status=status, apply=(obj("Service", "a"),), create=(obj("Pod", "b"),), requeue_after=5.0)


def using(plan: PlanFunction = plan_of, **others: PlanFunction) -> Operator:
    return Operator({"TrainingJob": plan, "InferenceService": plan, **others}, ref_of)


def preview(text: str, using: Operator, now: float | None = None) -> list[Preview]:
    return cli.preview(documents(text), using, now)


def test_reads_are_answered_by_the_other_documents() -> None:
    (only,) = preview(JOB + "---" + CLAIM, using(), now=7.0)
    assert only.plan.status["conditions"][1]["message"] == "pv-1 at 7"
    assert only.absent == ()


@pytest.mark.parametrize("kind", ["v1 List", "slipway.dev/v1alpha1 TrainingJobList"])
def test_a_list_is_read_as_the_documents_that_it_holds(kind: str) -> None:
    api_version, _, name = kind.partition(" ")
    held = {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": [yaml.safe_load(CLAIM)]}
    listed = {"apiVersion": api_version, "kind": name, "items": [yaml.safe_load(JOB), held]}
    text = yaml.safe_dump(listed) + "---" + SERVICE
    assert preview(text, using(), now=7.0) == preview(f"{JOB}---{CLAIM}---{SERVICE}", using(), now=7.0)


@pytest.mark.parametrize("other", ["name: other, namespace: team", "name: text, namespace: other", "name: text"])
def test_what_the_file_does_not_hold_is_absent_and_said_so(other: str) -> None:
    (only,) = preview(JOB + "---" + CLAIM.replace("name: text, namespace: team", other), using(), now=7.0)
    assert only.plan.status["conditions"][1]["message"] == "none at 7"
    assert only.absent == (TEXT_CLAIM,)
    assert "looked for    PersistentVolumeClaim team/text, which the file does not have" in summary([only])


def test_each_resource_is_planned_by_its_own_plan() -> None:
    def other(observed: Observed, now: float, defaults: Defaults) -> Plan:
        return Plan(status={}, apply=(obj("Deployment", observed.owner.name),))

    job, service = preview(JOB + "---" + SERVICE, using(InferenceService=other))
    assert (job.kind, service.kind) == ("TrainingJob", "InferenceService")
    assert service.made == (obj("Deployment", "chat"),)


def test_a_key_that_comes_by_a_merge_may_be_set_again() -> None:
    text = JOB.replace("training: {steps: 5}", "training: {<<: &t {steps: 4, batchSize: 8}, steps: 5}")
    (only,) = preview(text, using(), now=7.0)
    assert only.owner.spec["training"] == {"steps": 5, "batchSize": 8}


def test_what_is_not_planned_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(preview(JOB + "---" + CLAIM, using(), now=7.0)) == 1
    told = "not planned: PersistentVolumeClaim text (v1) is no TrainingJob or InferenceService\n"
    assert capsys.readouterr() == ("", told)


def test_owner_is_as_after_its_creation() -> None:
    owner = owner_of(yaml.safe_load(JOB))
    assert (owner.namespace, owner.name, owner.generation) == ("team", "demo", 1)
    assert (owner.deleting, owner.status, owner.spec["training"]) == (False, {}, {"steps": 5})
    assert owner_of(yaml.safe_load(SERVICE)).namespace == "default"


def test_summary_tells_everything_that_would_happen() -> None:
    (only,) = preview(JOB + "---" + CLAIM, using(), now=7.0)
    gone = Delete(Ref("v1", "Pod", "pods", "team", "old"), "uid")
    full = replace(only, plan=replace(only.plan, delete=(gone,)))
    assert summary([full]).splitlines() == [
        "TrainingJob team/demo",
        "  would make    Service a",
        "  would make    Pod b",
        "  would delete  Pod old",
        "  then status would say:",
        "    Accepted      True     Accepted",
        "    Ready         False    Pending: pv-1 at 7",
        "  would look again after 5 s",
        "",
        "Not checked here: the API server's own rules on values and on fields together (CEL). "
        "`kubectl apply --dry-run=server -f FILE` checks them.",
    ]


def test_rendered_is_yaml_of_what_would_be_applied_and_created() -> None:
    text = rendered(preview(JOB + "---" + CLAIM, using()))
    assert list(yaml.safe_load_all(text)) == [obj("Service", "a"), obj("Pod", "b")]
    assert text.startswith("---\n")
    assert rendered([]) == "# Nothing would be made: `slipway plan` says why.\n"


def test_shared_parts_are_written_out() -> None:
    labels = {"a": "b"}

    def sharing(observed: Observed, now: float, defaults: Defaults) -> Plan:
        return Plan(status={}, apply=(obj("Service", "a") | {"spec": labels, "more": labels},))

    assert "&id" not in rendered(preview(JOB, using(sharing)))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "nothing to plan"),
        (CLAIM, "nothing to plan: no document is a TrainingJob or InferenceService of slipway.dev/v1alpha1"),
        (
            CLAIM + "---" + JOB.replace("v1alpha1", "v1"),
            "document 2 is a TrainingJob of slipway.dev/v1, which there is not: "
            "Slipway has TrainingJob, InferenceService or Accelerator of slipway.dev/v1alpha1",
        ),
        (
            JOB + "---\n---" + SERVICE.replace("InferenceService", "InferenceServcie"),
            "document 3 is a InferenceServcie of slipway.dev/v1alpha1, which there is not",
        ),
        (JOB.replace("apiVersion: slipway.dev/v1alpha1", ""), "document 1 is not a Kubernetes object: apiVersion must"),
        (JOB.replace("kind: TrainingJob", "kind: 7"), "document 1 is not a Kubernetes object: kind must be set"),
        ("{", "not YAML"),
        ("- a", "document 1 is not a Kubernetes object"),
        (JOB + "---\nkind: Pod\nmetadata: {}", "document 2 is not a Kubernetes object with metadata.name"),
        ("kind: List\nitems: [{kind: Pod}]", "document 1, item 1, is not a Kubernetes object with metadata.name"),
        ("kind: List\nmetadata: {}", "document 1 is not a Kubernetes object with metadata.name"),
        (
            JOB.replace("name: demo", "name: 7"),
            "document 1 (TrainingJob): metadata.name: must be text, and not empty",
        ),
        (
            JOB + "---" + CLAIM.replace("name: text", 'name: ""'),
            "document 2 (PersistentVolumeClaim): metadata.name: must",
        ),
        (
            JOB.replace("name: demo", "name: 1x"),
            "metadata.name: must be a DNS label of at most 40 characters that starts",
        ),
        (
            JOB.replace("name: demo", "name: De"),
            "metadata.name: must be a DNS label of at most 40 characters that starts",
        ),
        (SERVICE.replace("chat", "c" * 41), "(InferenceService): metadata.name: must be a DNS label of at most 40"),
        (SERVICE.replace("chat", "a-0-master-0"), "metadata.name: must not end as a training pod's does"),
        (JOB.replace("namespace: team", "namespace: [a]"), "metadata.namespace: must be a DNS label: ['a']"),
        (JOB.replace("{a: b}", "{a: 1}"), "metadata.labels: must hold text alone"),
        (JOB + "  training: {steps: 6}", 'key "training" already set in map'),
        (JOB.replace("steps: 5", "steps: 5, steps: 6"), 'key "steps" already set in map'),
        (JOB.replace("steps: 5", "steps: 2026-01-01"), "spec.training.steps: must be a whole number, not text"),
        (JOB.replace("steps: 5", "steps: !!timestamp 2026-13-01"), "!!timestamp is no type of JSON's: leave it out"),
        (
            JOB.replace("steps: 5", "steps: 5, optimizer: {learningRate: 1e-3}"),
            "spec.training.optimizer.learningRate: must be text, not a number: put it in quotes",
        ),
        (JOB + "  deadlineSeconds: 1:30", "spec.deadlineSeconds: must be a whole number, not text"),
        (JOB.replace("steps: 5", "steps: 0"), "TrainingJob demo: spec.training.steps: Input should be greater"),
        (JOB + "  lottery: a", "TrainingJob demo: spec.lottery: there is no such field"),
        (CLAIM.replace("{volumeName: pv-1}", "5"), "document 1 (PersistentVolumeClaim): spec: must be a map, not"),
        (
            CLAIM.replace("volumeName: pv-1", "accessModes: 5"),
            "document 1 (PersistentVolumeClaim): spec.accessModes: must be a list, not",
        ),
        (CLAIM.replace("volumeName: pv-1", "accessModes: [[a]]"), "spec.accessModes: must hold text alone, such as"),
        (SERVICE.replace("{uri", "{url"), "InferenceService chat: spec.model.url"),
    ],
)
def test_an_invalid_file_is_refused_with_the_field(text: str, complaint: str) -> None:
    with pytest.raises(InvalidFile, match=re.escape(complaint)):
        preview(text, using())


def test_later_visits_see_what_former_ones_made() -> None:
    """A gang comes only when its claim is there: both are shown, in order, and the status once they are made."""

    def stepwise(observed: Observed, now: float, defaults: Defaults) -> Plan:
        made = [(child.ref.name, child.owner_uid == observed.owner.uid, child.created) for child in observed.children]
        step = observed.owner.status.get("step", 0)
        status = {"step": step + 1}
        if TEXT_CLAIM not in observed.read:
            return Plan(status={}, reads=(TEXT_CLAIM,))
        if not made:
            assert observed.read[TEXT_CLAIM] is None
            return Plan(status=status, apply=(CLAIM_BODY,))
        assert observed.read[TEXT_CLAIM] == CLAIM_BODY
        assert made[0] == ("text", True, 7.0)
        return Plan(status=status, apply=(CLAIM_BODY,), create=(obj("Pod", "gang"),))

    (only,) = preview(JOB, using(stepwise), now=7.0)
    assert only.made == (CLAIM_BODY, obj("Pod", "gang"))
    assert only.plan.status == {"step": 3}
    assert only.absent == ()


def test_an_object_that_changes_from_visit_to_visit_is_shown_as_it_was_last_made() -> None:
    def growing(observed: Observed, now: float, defaults: Defaults) -> Plan:
        count = len(observed.children)
        more = (obj("Pod", "b"),) if count else ()
        return Plan(status={}, apply=(obj("Service", "a") | {"count": count}, *more))

    (only,) = preview(JOB, using(growing))
    assert only.made == (obj("Service", "a") | {"count": 2}, obj("Pod", "b"))


def test_a_plan_that_never_stops_making_is_stopped() -> None:
    def making(observed: Observed, now: float, defaults: Defaults) -> Plan:
        return Plan(status={}, create=(obj("Pod", f"pod-{len(observed.children)}"),))

    with pytest.raises(RuntimeError, match="demo still makes more after 8 visits"):
        preview(JOB, using(making))


def test_a_plan_that_never_stops_asking_is_stopped() -> None:
    def asking(observed: Observed, now: float, defaults: Defaults) -> Plan:
        return Plan(status={}, templates=((f"digest-{len(observed.verdicts)}", obj("PodTemplate", "trial")),))

    with pytest.raises(RuntimeError, match="demo still asks for more after 8 rounds"):
        preview(JOB, using(asking))


def test_a_plan_that_repeats_its_question_has_its_answer() -> None:
    def repeating(observed: Observed, now: float, defaults: Defaults) -> Plan:
        return Plan(status={"rounds": len(observed.verdicts)}, templates=(("same", obj("PodTemplate", "trial")),))

    (only,) = preview(JOB, using(repeating))
    assert only.plan.status == {"rounds": 1}


ACCELERATOR = """
apiVersion: slipway.dev/v1alpha1
kind: Accelerator
metadata: {name: mine}
spec:
  memoryGib: "80"
  memoryGigabytesPerSecond: 2000
  teraflops: {fp16: 300, bf16: 300}
  linkGigabytesPerSecond: 64
  hostGigabytesPerSecond: 32
  nodeLabels: {gpu: mine}
"""


def test_an_accelerator_of_the_files_can_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    named = SERVICE.replace("spec: {", "spec: {accelerator: nvidia, acceleratorClass: mine, ")
    models = "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: models}}"
    present = documents(f"{ACCELERATOR}---{named}---\n{models}")
    [made] = cli.preview(present, cli.operator(), now=0.0)
    assert 'nodeSelector": {"gpu": "mine"}' in json.dumps(made.made)
    assert cli.refusals([made]) == []
    assert "Accelerator" not in capsys.readouterr().err, "it is read, and not told to be left out"
    [alone] = cli.preview(documents(named), cli.operator(), now=0.0)
    assert cli.refusals([alone]) == ["InferenceService default/chat would not be accepted: UnknownAccelerator"]


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (
            ACCELERATOR.replace('"80"', "80"),
            "Accelerator mine: spec.memoryGib: must be text, not a number: put it in quotes",
        ),
        (ACCELERATOR.replace("fp16", "fp12"), "Accelerator mine: spec.teraflops.fp16: must be set"),
        (ACCELERATOR.replace("name: mine", "name: My.Own"), "must be a DNS label of at most 63 characters: 'My.Own'"),
        (ACCELERATOR.replace("gpu:", "a b:"), "spec.nodeLabels: Value error, 'a b' is no label's key"),
    ],
)
def test_an_accelerator_that_is_wrong_is_refused(wrong: str, complaint: str) -> None:
    with pytest.raises(InvalidFile, match=re.escape(complaint)):
        cli.preview(documents(f"{wrong}---{SERVICE}"), cli.operator(), now=0.0)
