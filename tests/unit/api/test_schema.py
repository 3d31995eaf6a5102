"""`slipway plan` judges fields and types as the API server does (tests/crd/test_crd_plan.py asks that one)."""

from typing import Any

import pytest
import yaml

from slipway.api.plainyaml import PlainDumper
from slipway.cli.documents import InvalidFile, documents
from slipway.cli.preview import owner_of
from tests.crd.plantable import JUDGED, Judged
from tests.crd.test_crd_table import CASES


@pytest.mark.parametrize("judged", JUDGED, ids=lambda judged: str(judged.change))
def test_fields_and_types(judged: Judged) -> None:
    text = yaml.dump(judged.body(), Dumper=PlainDumper)
    if not judged.field:
        owner_of(*documents(text))
        return
    with pytest.raises(InvalidFile) as caught:
        owner_of(*documents(text))
    assert f"{judged.field}: " in str(caught.value)
    assert judged.mend in str(caught.value)


def test_what_the_api_server_accepts_is_accepted() -> None:
    """Every accepted row of the table of rules (tests/crd/test_crd_table.py)."""
    accepted = [case for case in CASES if not case.message]
    for case in accepted:
        owner_of(*documents(yaml.dump(case.body(), Dumper=PlainDumper)))
    assert len(accepted) > 10


PATTERNS = [
    (
        "TrainingJob",
        {"dataset": {"uri": "http://x"}},
        "spec.dataset.uri: must be file:///path, pvc://claim/path, s3://",
    ),
    ("TrainingJob", {"output": {"size": "much"}}, 'spec.output.size: must be a quantity such as "500Mi" or "10Gi"'),
    (
        "TrainingJob",
        {"dataset": {"uri": "file:///x", "cleaning": {"languages": ["en", "EN"]}}},
        "spec.dataset.cleaning.languages[1]: must be a language by ISO 639-1, such as en",
    ),
    ("InferenceService", {"model": {"uri": "s3://x"}}, "spec.model.uri: must be pvc://claim/path"),
    ("InferenceService", {"engineArgs": ["-xy"]}, "spec.engineArgs[0]: must be a flag: --flag or --flag=value, each"),
]


@pytest.mark.parametrize(("kind", "spec", "told"), PATTERNS)
def test_an_expression_that_does_not_match_is_told_as_the_api_server_tells_it(
    kind: str, spec: dict[str, Any], told: str
) -> None:
    metadata = {"name": "demo", "namespace": "default"}
    with pytest.raises(InvalidFile) as caught:
        owner_of({"apiVersion": "slipway.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
    assert told in str(caught.value)
    assert "should match pattern" not in str(caught.value)


def test_all_that_is_wrong_is_told_at_once() -> None:
    wrong = "spec: {recipe: pretrain, nodes: 0, perNode: '2', training: {steps: 1}, dataset: {url: a}}"
    head = "apiVersion: slipway.dev/v1alpha1\nkind: TrainingJob\nmetadata: {name: demo}\n"
    with pytest.raises(InvalidFile) as caught:
        owner_of(*documents(head + wrong))
    told = dict(each.split(": ", 1) for each in str(caught.value).removeprefix("TrainingJob demo: ").split("; "))
    assert told == {
        "spec.nodes": "Input should be greater than or equal to 1",
        "spec.perNode": "must be a whole number, not text: leave the quotes out",
        "spec.dataset.uri": "must be set",
        "spec.dataset.url": "there is no such field: did you mean uri?",
    }


def test_a_null_is_not_part_of_what_is_planned() -> None:
    text = yaml.dump(
        Judged(JUDGED[0].base, {"spec.nodes": None, "spec.podTemplate": {"spec": {"a": None}}}).body(),
        Dumper=PlainDumper,
    )
    spec = owner_of(*documents(text)).spec
    assert "nodes" not in spec
    assert spec["podTemplate"] == {"spec": {"a": None}}
