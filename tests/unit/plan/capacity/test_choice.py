"""The rule by which layouts are ranked, and the words in which the others lose."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.plan.capacity import choice, resolved
from slipway.plan.capacity.choice import Alternative, alternatives, candidates, shortlist
from slipway.plan.capacity.devices import BUILT_IN
from slipway.plan.capacity.layout import load_of
from slipway.plan.capacity.room import Room, of_device
from slipway.plan.capacity.training_memory import memory

from .builders import SEVEN_BILLION, SEVENTY_BILLION, on_gpu, spec

TWENTY_BILLION = SEVEN_BILLION | {"hiddenSize": 6144, "layers": 44, "heads": 64, "kvHeads": 64}
H100 = of_device(BUILT_IN.classes["h100-80gb"])


@pytest.fixture
def everything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the API has every strategy."""
    for module in (choice, resolved):
        monkeypatch.setattr(module, "STRATEGIES", frozenset({"ddp", "fsdp", "deepspeed", "parallel"}))
    monkeypatch.setattr(choice, "RECOMPUTES", True)
    monkeypatch.setattr(choice, "ACCUMULATES", True)


def job(**fields: Any) -> Any:
    return spec(**{"accelerator": "nvidia", "precision": "bf16", "perNode": 8, "nodes": 1, "batch": 64, **fields})


def chosen(what: Any, room: Any = H100) -> Alternative:
    (found,) = [each for each in alternatives(what, room) if each.chosen]
    return found


@pytest.mark.usefixtures("everything_runs")
@pytest.mark.parametrize(
    ("what", "gpu", "name"),
    [
        (job(), "h100-80gb", "ddp"),
        (job(perNode=1), "h100-80gb", "ddp"),
        (job(model=SEVEN_BILLION), "h100-80gb", "fsdp gradients, 8 micro-batches"),
        (job(model=SEVEN_BILLION, nodes=2), "h200", "fsdp gradients"),
        (job(model=SEVEN_BILLION), "a100-40gb", "fsdp gradients, checkpointing, 8 micro-batches"),
        (job(model=SEVENTY_BILLION, nodes=8), "h100-80gb", "parallel tensor 4 pipeline 1, 4 micro-batches"),
        (job(model=SEVENTY_BILLION), "h100-80gb", "deepspeed stage 3, offload cpu, checkpointing, 8 micro-batches"),
    ],
)
def test_the_rule(what: Any, gpu: str, name: str) -> None:
    """DDP where it fits, FSDP to about 13B, tensor and pipeline above 30B, ZeRO-3 offload where memory is tight."""
    assert chosen(what, of_device(BUILT_IN.classes[gpu])).layout.name.startswith(name)


@pytest.mark.usefixtures("everything_runs")
@pytest.mark.parametrize(
    ("model", "order"),
    [
        (SEVEN_BILLION, ["ddp none", "ddp full", "parallel none", "parallel full", "deepspeed none"]),
        (TWENTY_BILLION, ["ddp none", "parallel none", "ddp full", "parallel full", "deepspeed none"]),
        (SEVENTY_BILLION, ["parallel none", "parallel full", "ddp none", "ddp full", "deepspeed none"]),
    ],
)
def test_the_order_of_families_goes_by_size(model: Any, order: list[str]) -> None:
    what = job(model=model)
    seen = [(each.strategy, each.checkpointing, each.offload) for each in candidates(what, load_of(what))]
    families = ["deepspeed none" if away != "none" else f"{name} {again}" for name, again, away in seen]
    firsts = list(dict.fromkeys(each for each in families if each in order))
    assert [each for each in firsts if not each.startswith("deepspeed")] == order[:-1]
    assert seen[-1][2] == "nvme", "offload comes last"


@pytest.mark.usefixtures("everything_runs")
def test_every_loser_says_why_with_numbers() -> None:
    found = {each.layout.name: each.reason for each in alternatives(job(model=SEVEN_BILLION), H100)}
    assert found["ddp"] == "needs 346.4 GiB, 222.9 of it activations"
    assert found["fsdp gradients, 8 micro-batches"] == "the first that fits"
    assert found["fsdp full, 8 micro-batches"].startswith("sends ")
    assert " GiB a step and not " in found["fsdp full, 8 micro-batches"]
    assert found["fsdp full, checkpointing"].startswith("computes every forward pass twice")
    assert "its pipeline is idle 6 % of the time" in found["parallel tensor 1 pipeline 2, 16 micro-batches"]
    offloaded = "deepspeed stage 3, offload cpu, checkpointing, 8 micro-batches"
    assert found[offloaded].startswith("moves weights and gradients to the host and back at every step")
    assert all(found.values())


def test_all_that_is_ranked_can_be_asked_for() -> None:
    assert {"ddp", "fsdp", "deepspeed", "parallel"} == choice.STRATEGIES
    assert choice.RECOMPUTES
    assert choice.ACCUMULATES


def test_only_what_the_api_has_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is told, for what it would take."""
    for name, has in (("STRATEGIES", frozenset({"ddp"})), ("RECOMPUTES", False), ("ACCUMULATES", False)):
        monkeypatch.setattr(choice, name, has)
    found = alternatives(job(model=SEVEN_BILLION), H100)
    assert not any(each.chosen for each in found)
    by_name = {each.layout.name: each for each in found}
    assert by_name["fsdp full, checkpointing"].reason == "this version does not run it"
    assert by_name["fsdp full, checkpointing"].fit.verdict == "fits"  # type: ignore[union-attr]
    assert by_name["ddp, checkpointing"].reason.startswith("needs ")


def test_where_the_memory_is_not_known_the_first_is_taken_and_says_so() -> None:
    assert (
        chosen(job(model=SEVENTY_BILLION), None).reason == "the first in order; how much memory there is is not known"
    )


def test_a_tight_one_is_taken_where_nothing_fits() -> None:
    what = job(perNode=1, batch=1)
    needed = memory(chosen(what).layout, load_of(what), "nvidia").total
    found = chosen(what, Room(needed, 1, "just so"))
    assert (found.layout.name, found.reason) == ("ddp", "the first that may fit: none has 15 % to spare")


def test_work_that_cannot_be_shared_is_told_by_field() -> None:
    (ddp, *_) = alternatives(job(batch=12), H100)
    assert ddp.fit is None
    assert ddp.reason.startswith("training.batchSize, 12, is not a multiple of")


def test_one_process_has_nobody_to_share_with() -> None:
    what = job(perNode=1)
    assert {each.strategy for each in candidates(what, load_of(what)) if each.offload == "none"} == {"ddp"}
    assert "hybrid" not in {each.shard for each in candidates(job(), load_of(job()))}
    assert "hybrid" in {each.shard for each in candidates(job(nodes=2), load_of(job()))}


def test_a_cpu_has_nowhere_to_offload_to() -> None:
    what = spec(perNode=2)
    assert {each.offload for each in candidates(what, load_of(what))} == {"none"}


@pytest.mark.usefixtures("everything_runs")
def test_the_shortlist_has_the_chosen_and_one_of_each_kind() -> None:
    every = alternatives(job(model=SEVEN_BILLION), H100)
    short = shortlist(every)
    kinds = [
        (each.layout.strategy, each.layout.shard, each.layout.stage, each.layout.offload, each.layout.tensor)
        for each in short
    ]
    assert len(set(kinds)) == len(kinds) < len(every) / 2
    assert [each for each in short if each.chosen] == [each for each in every if each.chosen]
    assert list(short) == [each for each in every if each in short], "in the same order"


@pytest.mark.usefixtures("everything_runs")
def test_auto_chooses_how_to_share_and_nothing_that_costs() -> None:
    assert (
        resolved.resolved(on_gpu("NVIDIA-H200", model=SEVEN_BILLION, batch=16, perNode=8, precision="bf16")).name
        == "fsdp gradients"
    )
    assert resolved.resolved(on_gpu("NVIDIA-H200", perNode=8)).name == "ddp"
    assert resolved.resolved(on_gpu("Tesla-T4", model=SEVENTY_BILLION, perNode=8)).name == "ddp", (
        "nothing fits: see refusal"
    )
    assert resolved.resolved(spec(accelerator="nvidia", model=SEVENTY_BILLION, perNode=8)).name == "ddp", "not known"
    large = {"model": TWENTY_BILLION, "batch": 16, "perNode": 8}
    found = {each: resolved.resolved(on_gpu("NVIDIA-H200", precision=each, **large)).name for each in ("bf16", "fp8")}
    assert found["fp8"].startswith("fsdp"), "deepspeed and parallel do not train in fp8"
    asked = on_gpu("NVIDIA-H200", model=SEVEN_BILLION, perNode=8, strategy="ddp")
    assert resolved.resolved(asked).name == "ddp", "what is asked for is not second-guessed"


@pytest.mark.usefixtures("everything_runs")
@settings(max_examples=60)
@given(
    nodes=st.sampled_from([1, 2, 3]),
    per_node=st.sampled_from([1, 2, 8]),
    batch=st.sampled_from([1, 6, 48]),
    gpu=st.sampled_from(sorted(BUILT_IN.classes)),
    model=st.sampled_from([{}, SEVEN_BILLION, TWENTY_BILLION, SEVENTY_BILLION]),
)
def test_whatever_is_asked_there_is_an_answer(nodes: int, per_node: int, batch: int, gpu: str, model: Any) -> None:
    what = job(nodes=nodes, perNode=per_node, batch=batch, model=model)
    found = alternatives(what, of_device(BUILT_IN.classes[gpu]))
    assert sum(each.chosen for each in found) <= 1
    assert len({each.layout for each in found}) == len(found)
    for each in found:
        assert each.reason
        assert not each.chosen or each.fit is not None
