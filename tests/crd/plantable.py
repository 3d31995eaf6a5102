"""What the API server and `slipway plan` must judge alike of fields and types: data for both of their tests."""

from dataclasses import dataclass
from typing import Any, Final

from .crdtable import COMMAND_JOB, RECIPE_JOB, SERVICE, Obj, changed


@dataclass(frozen=True)
class Judged:
    """`base` with `change`, and the path at which it is refused; "" when it is accepted."""

    base: Obj
    change: dict[str, Any]
    field: str = ""
    mend: str = ""  # what `slipway plan` says besides

    def body(self) -> Obj:
        return changed(self.base, self.change)


NULLS_IN_PLACE_OF_NOTHING: Final = (
    {"spec.queue": None},
    {"spec.nodes": None},
    {"spec.dataset.include": None},
    {"spec.podTemplate": None},
    {"spec.podTemplate": {"metadata": None, "spec": None}},
    {"spec.podTemplate": {"metadata": {"labels": {"a": None}}}},
    {"spec.podTemplate": {"spec": {"nodeSelector": None}}},
    {"spec.output": None, "spec.elastic": None},
    {"spec.failurePolicy": {"rules": None}},
    {"spec.failurePolicy": {"rules": [{"exitCodes": [1], "action": "Fail", "message": None}]}},
    {"status": None},
    {"metadata.annotations": None},
)
NUMBER, TEXT, BOOLEAN = "must be a whole number, not text", "put it in quotes", "must be true or false, not"
JUDGED: Final = (
    Judged(RECIPE_JOB, {}),
    *(Judged(RECIPE_JOB, change) for change in NULLS_IN_PLACE_OF_NOTHING),
    Judged(SERVICE, {"spec.replicas": None, "spec.scaling": None, "spec.engineArgs": None}),
    Judged(SERVICE, {"spec.model": {"from": None, "uri": "pvc://models"}}),
    Judged(SERVICE, {"spec.engineArgs": ["--a", "--a"]}),
    Judged(RECIPE_JOB, {"spec.dataset.include": ["*.py", None]}, "spec.dataset.include[1]", "must be text, not null"),
    Judged(RECIPE_JOB, {"spec.failurePolicy": {"rules": [None]}}, "spec.failurePolicy.rules[0]", "not null"),
    Judged(RECIPE_JOB, {"spec.dataset.uri": None}, "spec.dataset.uri", "must be set"),
    Judged(RECIPE_JOB, {"spec": None}, "spec", "must be set"),
    Judged(RECIPE_JOB, {"spec": "x"}, "spec", "must be a map, not text"),
    Judged(RECIPE_JOB, {"spec.nodes": "2"}, "spec.nodes", f"{NUMBER}: leave the quotes out"),
    Judged(RECIPE_JOB, {"spec.nodes": "two"}, "spec.nodes", NUMBER),
    Judged(RECIPE_JOB, {"spec.nodes": 2.5}, "spec.nodes", "must be a whole number, not 2.5"),
    Judged(RECIPE_JOB, {"spec.nodes": 2.0**63}, "spec.nodes"),
    Judged(RECIPE_JOB, {"spec.nodes": [1]}, "spec.nodes", "must be a whole number, not a list"),
    Judged(RECIPE_JOB, {"spec.perNode": True}, "spec.perNode", "must be a whole number, not true or false"),
    Judged(RECIPE_JOB, {"spec.training.seed": True}, "spec.training.seed"),
    Judged(RECIPE_JOB, {"spec.training.steps": -1}, "spec.training.steps"),
    Judged(RECIPE_JOB, {"spec.training.steps": "-1"}, "spec.training.steps", "leave the quotes out"),
    Judged(RECIPE_JOB, {"spec.suspend": "true"}, "spec.suspend", f"{BOOLEAN} text: leave the quotes out"),
    Judged(RECIPE_JOB, {"spec.suspend": 1}, "spec.suspend", f"{BOOLEAN} a number"),
    Judged(RECIPE_JOB, {"spec.recipe": 7}, "spec.recipe", f"must be text, not a number: {TEXT}"),
    Judged(RECIPE_JOB, {"spec.training.optimizer": {"learningRate": 0.001}}, "spec.training.optimizer.learningRate"),
    Judged(RECIPE_JOB, {"spec.elastic": []}, "spec.elastic", "must be a map, not a list: write its fields as `name: "),
    Judged(COMMAND_JOB, {"spec.command": "x"}, "spec.command", "must be a list, not text: begin each of its entries"),
    Judged(RECIPE_JOB, {"spec.dataset.include": ["a", "b", "a"]}, "spec.dataset.include[2]", "in the list already"),
    Judged(RECIPE_JOB, {"spec.podTemplate": {"metadata": {"labels": {"a": 1}}}}, "spec.podTemplate.metadata.labels.a"),
    Judged(SERVICE, {"spec.engineArgs": [1]}, "spec.engineArgs[0]", TEXT),
    Judged(SERVICE, {"spec.drainSeconds": "5"}, "spec.drainSeconds", NUMBER),
    Judged(RECIPE_JOB, {"unknown": 1}, "unknown", "there is no such field: leave it out"),
    Judged(RECIPE_JOB, {"spec.per_node": 2}, "spec.per_node", "there is no such field: did you mean perNode?"),
    Judged(RECIPE_JOB, {"spec.training.Steps": 2}, "spec.training.Steps", "did you mean steps?"),
    Judged(RECIPE_JOB, {"spec.podTemplate": {"metadata": {"name": "x"}}}, "spec.podTemplate.metadata.name"),
    Judged(RECIPE_JOB, {"status": {"nosuch": 1}}, "status.nosuch"),
    Judged(RECIPE_JOB, {"metadata.lables": {}}, "metadata.lables", "did you mean labels?"),
)
