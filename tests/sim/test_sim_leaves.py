"""Which leaves of the CRDs are tried: all, or the ones that are named here with the reason."""

from collections.abc import Callable
from pathlib import Path

import pytest

from slipway.api.crd import INFERENCE_SERVICE, TRAINING_JOB, crd
from slipway.plan.observed import Obj

from .apiserver.writes import merge_patched
from .scenario import Scenario
from .scenarios import SCENARIOS
from .scenarios.leaves import (
    JOB_LEAVES,
    OURS_OF_A_JOB,
    OURS_OF_A_SERVICE,
    SERVICE_LEAVES,
    Leaf,
    _created,
    _service,
)
from .script import Script
from .seeds import LEAVES, OTHERS
from .world import run


def leaves_of(schema: Obj, path: str = "") -> set[str]:
    """Every path of the schema below which the schema says nothing more."""
    below = schema.get("properties")
    if not below:
        return {path}
    return {leaf for name, part in below.items() for leaf in leaves_of(part, f"{path}.{name}".lstrip("."))}


def spec_of(definition: Obj) -> Obj:
    found: Obj = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


@pytest.mark.parametrize(
    ("definition", "tried"), [(crd(TRAINING_JOB), JOB_LEAVES), (crd(INFERENCE_SERVICE), SERVICE_LEAVES)]
)
def test_every_leaf_is_tried(definition: Obj, tried: tuple[Leaf, ...]) -> None:
    names = {leaf.name for leaf in tried}
    assert {leaf for leaf in leaves_of(spec_of(definition)) if not _is_tried(leaf, names)} == set()


def _is_tried(leaf: str, names: set[str]) -> bool:
    """Below podTemplate.spec the schema knows nothing: some fields of core/v1 stand for all."""
    return leaf in names or any(name.startswith(f"{leaf}.") for name in names)


def test_the_page_counts_them() -> None:
    """docs/reliability.md; what takes longer to count, `python -m tests.sim count` does."""
    page = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text()
    assert f"{len(OTHERS)} scenarios and {len(LEAVES)} of single leaves" in page
    assert f"| scenarios | {len(OTHERS)}, and {len(LEAVES)} of single leaves |" in page
    assert f"| {len(JOB_LEAVES) + len(SERVICE_LEAVES)}: all of the schema" in page


def test_every_leaf_has_its_scenarios() -> None:
    for leaf in SERVICE_LEAVES:
        assert f"leaf of a service: {leaf.name}" in SCENARIOS
    for leaf in JOB_LEAVES:
        assert {f"leaf of a job: {leaf.name}", f"leaf of a new job: {leaf.name}"} <= set(SCENARIOS)


@pytest.mark.parametrize("leaf", [*SERVICE_LEAVES, *JOB_LEAVES], ids=lambda leaf: leaf.name)
def test_the_values_differ(leaf: Leaf) -> None:
    assert leaf.other != leaf.invalid
    base = next(
        scenario for name, scenario in SCENARIOS.items() if name.startswith("leaf") and name.endswith(leaf.name)
    )
    specs = [
        step.act.body["spec"]
        for step in base.steps
        if step.act and hasattr(step.act, "body") and "spec" in step.act.body
    ]
    assert any(merge_patched(spec, leaf.patch(leaf.other)) != spec for spec in specs)


VOLUMES = ("podTemplate", "spec", "volumes")
GOOD, RESERVED = "extra", "reserved"


@pytest.mark.parametrize("made", [_created, _service])
@pytest.mark.parametrize(
    ("other", "invalid", "complains"),
    [(GOOD, RESERVED, False), (RESERVED, RESERVED, True), (GOOD, GOOD, True)],
    ids=["as it should be", "what is called valid is not", "what is called invalid is not"],
)
def test_values_that_are_not_what_they_are_called_are_complained_of(
    monkeypatch: pytest.MonkeyPatch, made: Callable[[Leaf], Scenario], other: str, invalid: str, complains: bool
) -> None:
    """Seven leaves were tried with values that the operator took otherwise, and nobody noticed."""
    reserved = OURS_OF_A_SERVICE if made is _service else OURS_OF_A_JOB
    volumes = {GOOD: {"name": "extra", "emptyDir": {}}, RESERVED: reserved}
    scenario = made(Leaf(VOLUMES, [volumes[other]], [volumes[invalid]]))
    monkeypatch.setitem(SCENARIOS, scenario.name, scenario)
    vain = [violation for violation in run(Script(scenario.name)).violations if "in vain" in violation.message]
    assert bool(vain) == complains
