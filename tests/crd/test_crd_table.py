"""Every row of the table against the real API server, and no rule without a row."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from slipway.api.crd import KINDS, TRAINING_JOB, object_schema
from slipway.api.reference import RULES_KEY, walk

from .crdmaker import Maker
from .crdtable import COMMAND_JOB, RECIPE_JOB, SERVICE, Case, Obj, changed
from .crdtable_accelerator import ACCELERATOR_CASES
from .crdtable_elastic import ELASTIC_CASES
from .crdtable_gang import GANG_CASES
from .crdtable_inferenceservice import INFERENCE_SERVICE_CASES
from .crdtable_recipes import RECIPE_CASES
from .crdtable_strategies import STRATEGY_CASES
from .crdtable_trainingjob import IMMUTABLE, TRAINING_JOB_CASES

JOB_CASES = TRAINING_JOB_CASES + GANG_CASES + ELASTIC_CASES + RECIPE_CASES + STRATEGY_CASES
CASES = JOB_CASES + INFERENCE_SERVICE_CASES + ACCELERATOR_CASES
CREATED = 201
REFUSED = (400, 422)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.base['kind']}: {case.name}")
def test_case(make: Maker, case: Case) -> None:
    status, message = make.dry_run(case.body())
    if not case.message:
        assert (status, message) == (CREATED, "")
        return
    assert status in REFUSED, "accepted"
    assert case.message in message
    assert f"{case.field}: " in message


def rules_in_types() -> Iterator[tuple[str, str, dict[str, str]]]:
    """(kind, path of the field, rule) of every CEL rule; the path of a list's item ends in []."""
    for kind in KINDS:
        for row in walk(object_schema(kind)):
            for rule in row.schema.get(RULES_KEY, []):
                yield kind.kind, row.path, rule


def test_every_rule_has_a_case_that_it_refuses() -> None:
    shown = {(case.base["kind"], _of_schema(case.field), case.message) for case in CASES}
    fixed = {("TrainingJob", "spec", f"{field} {IMMUTABLE}") for field in FIXED}  # test_spec_cannot_change
    assert {(kind, path, rule["message"]) for kind, path, rule in rules_in_types()} - shown == fixed


def _of_schema(field: str) -> str:
    """The path as the schema has it, of any item of a list and any value of a map."""
    return re.sub(r"\[[a-z]+\]", "{}", re.sub(r"\[\d+\]", "[]", field))


def has_path(value: Any, path: str) -> bool:
    """Whether the field is there; [] in the path stands for any item of the list."""
    first, _, rest = path.partition(".")
    found = value.get(first.removesuffix("[]"))
    if found is None or not rest:
        return found is not None
    return any(has_path(each, rest) for each in (found if first.endswith("[]") else [found]))


def test_every_field_that_a_rule_asks_for_is_in_a_case_that_is_accepted() -> None:
    """Else the rule might refuse every use of it. What may change at all has its own tests."""
    asked = {
        (kind, f"{path}.{field}")
        for kind, path, rule in rules_in_types()
        if "oldSelf" not in rule["rule"]
        for field in re.findall(r"has\(self\.([\w.]+)\)", rule["rule"])
    }
    accepted = [case.body() for case in CASES if not case.message]
    shown = {(kind, path) for kind, path in asked for body in accepted if body["kind"] == kind and has_path(body, path)}
    assert len(asked) > 30
    assert sorted(asked - shown) == []


def test_every_field_of_a_job_is_tried_to_change() -> None:
    fields = set(object_schema(TRAINING_JOB)["properties"]["spec"]["properties"])
    assert fields - {"suspend"} == set(FIXED)


def test_every_kind_has_cases_that_are_accepted() -> None:
    accepted = [case.base["kind"] for case in CASES if not case.message]
    assert [kind.kind for kind in KINDS if accepted.count(kind.kind) < 5] == []


POD_TEMPLATE: Obj = {"spec": {"containers": [{"name": "main", "env": [{"name": "A", "value": "1"}]}]}}


# What each field of the spec of TEMPLATED may not become.
FIXED: dict[str, list[Any]] = {
    "recipe": [None],
    "command": [["true"]],
    "image": ["other"],
    "accelerator": ["nvidia"],
    "acceleratorClass": ["h200"],
    "nodes": [2],
    "elastic": [{"minNodes": 1}],
    "perNode": [2],
    "strategy": ["ddp"],
    "ddp": [{"bucketMib": 1}],
    "fsdp": [{"shard": "gradients"}],
    "deepspeed": [{"stage": 1}],
    "parallel": [{"tensor": 2}],
    "activationCheckpointing": ["full"],
    "precision": ["bf16"],
    "model": [{"layers": 5}],
    "baseModel": [{"uri": "file:///models/base"}],
    "adapter": [{"rank": 8}],
    "evaluation": [{"prompts": 1}],
    "desync": ["Fail"],
    "dataset": [{"include": ["*.py"]}],
    "training": [{"optimizer": {"learningRate": "0.1"}}],
    "checkpoint": [{"keep": 3}],
    "output": [{"whenDeleted": "Delete"}],
    "failurePolicy": [{"maxRestarts": 0}, {"rules": [{"exitCodes": [1], "action": "Fail"}]}],
    "stall": [{"factor": 3}],
    "queue": ["gpus"],
    "scheduling": [{"priorityClass": "high"}],
    "deadlineSeconds": [60],
    "startDeadlineSeconds": [60],
    "ttlSecondsAfterFinished": [60],
    "podTemplate": [
        None,
        {"metadata": {"labels": {"a": "b"}}},
        {"spec": {"hostNetwork": True}},
        {"spec": {"containers": [{"name": "main", "env": [{"name": "A", "value": "2"}]}]}},
    ],
}
TEMPLATED = changed(RECIPE_JOB, {"spec.podTemplate": POD_TEMPLATE})


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in FIXED.items() for value in values], ids=str
)
@pytest.mark.parametrize("suspend", [False, True])
def test_spec_cannot_change(make: Maker, field: str, value: Any, suspend: bool) -> None:
    """Nor together with the one field that can."""
    stored = make.create(TEMPLATED)
    status, answer = make.merge(stored, {"spec": {field: value} | ({"suspend": True} if suspend else {})})
    assert (status, f"{field} {IMMUTABLE}" in answer["message"]) == (422, True)
    assert make.read(stored)["spec"] == stored["spec"]


@pytest.mark.parametrize("base", [TEMPLATED, COMMAND_JOB])
def test_a_job_may_be_suspended_and_go_on(make: Maker, base: Obj) -> None:
    stored = make.create(base)
    assert stored["spec"]["suspend"] is False
    for generation, suspend in ((2, True), (3, False)):
        status, answer = make.merge(stored, {"spec": {"suspend": suspend}})
        assert (status, answer["metadata"]["generation"]) == (200, generation)
        assert answer["spec"] == {**stored["spec"], "suspend": suspend}


def test_spec_written_again_as_it_is_or_was_given_changes_nothing(make: Maker) -> None:
    given = changed(RECIPE_JOB, {"spec.podTemplate": POD_TEMPLATE, "spec.training.optimizer": {}})
    stored = make.create(given)
    for spec in (given["spec"], stored["spec"]):
        status, answer = make.merge(stored, {"spec": spec})
        assert (status, answer["metadata"]["resourceVersion"]) == (200, stored["metadata"]["resourceVersion"])


def test_labels_of_a_job_may_change(make: Maker) -> None:
    stored = make.create(COMMAND_JOB)
    status, answer = make.merge(stored, {"metadata": {"labels": {"a": "b"}}})
    assert (status, answer["metadata"]["labels"], answer["metadata"]["generation"]) == (200, {"a": "b"}, 1)


def test_an_inference_service_may_change(make: Maker) -> None:
    stored = make.create(SERVICE)
    status, answer = make.merge(stored, {"spec": {"model": {"from": None, "uri": "pvc://models"}, "drainSeconds": 5}})
    assert (status, answer["metadata"]["generation"]) == (200, 2)
    assert answer["spec"]["model"] == {"uri": "pvc://models"}
