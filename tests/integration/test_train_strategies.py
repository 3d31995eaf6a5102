"""Every strategy computes what one process computes: the same losses, and checkpoints that any other goes on from."""

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tests.unit.train.support import instruct_json, recipe_json, write_dataset, write_instructions

from .strategybed import Curve, train
from .strategysteps import Steps, steps

STEPS = 12
TOLERANCE = 1e-5  # relative, of a loss in fp32: sums come in another order. Seen are 4e-7
BF16_TOLERANCE = 5e-3  # what is rounded where is the strategy's own. Seen are 1.3e-3
FP8_TOLERANCE = 1e-2
MODEL = {"vocabSize": 512, "contextLength": 64, "hiddenSize": 64, "layers": 4, "heads": 4, "kvHeads": 2}
TRAINING = {"steps": STEPS, "batchSize": 12, "seed": 3, "optimizer": {"warmupSteps": 2}}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dataset")
    write_dataset(root)
    return root


def recipe(dataset: Path, strategy: str, *, accumulate: int = 1, **changes: Any) -> dict[str, Any]:
    """`strategy`'s settings are given under its name."""
    training = TRAINING | {"accumulationSteps": accumulate}
    checkpoint = {"everySteps": 100}
    return recipe_json(dataset, strategy=strategy, model=MODEL, training=training, checkpoint=checkpoint, **changes)


@pytest.fixture(scope="module")
def alone_at(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("alone")


@pytest.fixture(scope="module")
def alone(dataset: Path, alone_at: Path) -> Curve:
    curve = train(recipe(dataset, "ddp"), alone_at, processes=1)
    assert len(curve.losses) == STEPS
    assert curve.losses[-1] < curve.losses[0] - 1, "it learns"
    return curve


def test_checkpoints_go_from_strategy_to_strategy_and_world_to_world(
    dataset: Path, alone: Curve, tmp_path: Path
) -> None:
    """One run in attempts, each with another strategy or size: it is the undisturbed curve."""
    cut = {"tensor": 2, "pipeline": 2, "schedule": "Interleaved1F1B"}
    attempts: list[tuple[int, int | None, dict[str, Any]]] = [
        (2, 2, recipe(dataset, "deepspeed", deepspeed={"stage": 3}, activationCheckpointing="full")),
        (4, 3, recipe(dataset, "parallel", parallel=cut, accumulate=2)),
        (2, 2, recipe(dataset, "fsdp", fsdp={"shard": "full"}, activationCheckpointing="full")),
        (2, 2, recipe(dataset, "deepspeed", deepspeed={"stage": 2}, accumulate=2)),
        (1, 1, recipe(dataset, "ddp", accumulate=4)),
        (4, None, recipe(dataset, "fsdp", fsdp={"shard": "hybrid"})),
    ]
    done = 0
    for processes, stop_at, what in attempts:
        nodes = 2 if processes == 4 else 1
        curve = train(what, tmp_path, processes=processes, nodes=nodes, stop_at=stop_at)
        done = done + stop_at if stop_at else STEPS
        assert curve.losses == pytest.approx(alone.losses[:done], rel=TOLERANCE), what["strategy"]
    assert curve.bits_per_byte == pytest.approx(alone.bits_per_byte, rel=TOLERANCE)


def gang(strategy: str, processes: int = 2, nodes: int = 1, **changes: Any) -> Any:
    changes = {"parallel": changes.pop("cut")} | changes if "cut" in changes else changes
    return pytest.param(strategy, processes, nodes, changes, id=f"{strategy} {processes} {changes or ''}")


EVERY_STRATEGY = [
    gang("ddp", accumulate=3, ddp={"bucketMib": 1}, activationCheckpointing="full"),
    gang("fsdp", fsdp={"shard": "gradients"}, accumulate=2),
    gang("fsdp", 4, 2, fsdp={"shard": "hybrid"}),
    gang("fsdp", 3, fsdp={"offload": "cpu"}, activationCheckpointing="full"),
    gang("deepspeed", deepspeed={"stage": 1}),
    gang("deepspeed", deepspeed={"stage": 2, "offload": "cpu"}, accumulate=2),
    gang("deepspeed", 3, deepspeed={"stage": 3, "offload": "cpu"}, activationCheckpointing="full"),
    gang("parallel", cut={"context": 2}),
    gang("parallel", cut={"pipeline": 2, "schedule": "Interleaved1F1B"}, accumulate=2),
    gang("parallel", 4, cut={"tensor": 2}, accumulate=2),
    gang("parallel", 4, cut={"pipeline": 2}, accumulate=6, activationCheckpointing="full"),
    gang("parallel", 4, cut={"tensor": 2, "context": 2}),
    gang("parallel", 4, cut={"pipeline": 2, "context": 2}, accumulate=2),
]


SEVERAL_BUCKETS = MODEL | {"hiddenSize": 192, "layers": 2}


@pytest.mark.parametrize("accumulate", [1, 2])
def test_three_ranks_add_up_gradients_in_the_same_order_after_a_resume(
    accumulate: int, dataset: Path, tmp_path: Path
) -> None:
    """gloo's order of a number's terms depends on where it lies in what is sent, and two ranks have no order."""
    what = recipe(dataset, "ddp", ddp={"bucketMib": 1}, accumulate=accumulate) | {"model": SEVERAL_BUCKETS}
    found = steps(what, tmp_path, processes=3)
    assert found.restored == found.went_on


EXPERTS = MODEL | {"experts": 4, "expertsPerToken": 2}
WITH_EXPERTS = [
    gang("fsdp", activationCheckpointing="full"),
    gang("deepspeed", deepspeed={"stage": 3}),
    gang("parallel", cut={"expert": 2}, accumulate=2),
    gang("parallel", 4, cut={"expert": 2, "context": 2}),
    gang("parallel", 4, cut={"expert": 2, "pipeline": 2}, accumulate=2, activationCheckpointing="full"),
]


@pytest.fixture(scope="module")
def one_process(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Steps:
    return steps(recipe(dataset, "ddp"), tmp_path_factory.mktemp("one"), processes=1)


@pytest.fixture(scope="module")
def experts(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Steps:
    return steps(recipe(dataset, "ddp") | {"model": EXPERTS}, tmp_path_factory.mktemp("experts"), processes=1)


@pytest.mark.parametrize(("strategy", "processes", "nodes", "changes"), EVERY_STRATEGY)
def test_rows_of_packed_documents_and_ignored_labels_count_the_same(
    strategy: str,
    processes: int,
    nodes: int,
    changes: dict[str, Any],
    dataset: Path,
    one_process: Steps,
    tmp_path: Path,
) -> None:
    """And what was captured goes on bit for bit."""
    found = steps(recipe(dataset, strategy, **changes), tmp_path, processes=processes, nodes=nodes)
    assert_same(found, one_process)


@pytest.mark.parametrize(("strategy", "processes", "nodes", "changes"), WITH_EXPERTS)
def test_a_model_with_experts_too(
    strategy: str, processes: int, nodes: int, changes: dict[str, Any], dataset: Path, tmp_path: Path, experts: Steps
) -> None:
    what = recipe(dataset, strategy, **changes) | {"model": EXPERTS}
    assert_same(steps(what, tmp_path, processes=processes, nodes=nodes), experts)


def assert_same(found: Steps, one_process: Steps) -> None:
    assert found.means == pytest.approx(one_process.means, rel=TOLERANCE)
    assert found.losses == pytest.approx(one_process.losses, rel=1e-3, abs=1e-4)
    assert found.restored == found.went_on
    assert found.names == one_process.names


@pytest.mark.parametrize(
    ("strategy", "processes", "nodes", "changes"),
    [
        gang("fsdp"),
        gang("deepspeed", deepspeed={"stage": 3}),
        gang("parallel", 4, cut={"tensor": 2, "pipeline": 2}, accumulate=2),
    ],
)
def test_bf16_is_near(
    strategy: str,
    processes: int,
    nodes: int,
    changes: dict[str, Any],
    dataset: Path,
    one_process: Steps,
    tmp_path: Path,
) -> None:
    what = recipe(dataset, strategy, precision="bf16", **changes)
    found = steps(what, tmp_path, processes=processes, nodes=nodes)
    assert found.means == pytest.approx(one_process.means, rel=BF16_TOLERANCE)
    assert found.means != pytest.approx(one_process.means, rel=1e-6), "it was computed in bf16"


@pytest.mark.parametrize(("strategy", "processes", "nodes", "changes"), [gang("ddp", accumulate=2), gang("fsdp")])
def test_fp8_is_near_and_resumes_bit_for_bit(
    strategy: str,
    processes: int,
    nodes: int,
    changes: dict[str, Any],
    dataset: Path,
    one_process: Steps,
    tmp_path: Path,
) -> None:
    """On CPUs, which a job is not let use for it: torch multiplies eight bits there too, slowly."""
    what = recipe(dataset, strategy, precision="fp8", **changes)
    found = steps(what, tmp_path, processes=processes, nodes=nodes)
    assert found.means == pytest.approx(one_process.means, rel=FP8_TOLERANCE)
    assert found.means != pytest.approx(one_process.means, rel=1e-5), "it was computed in eight bits"
    assert found.restored == found.went_on


@pytest.fixture(scope="module")
def instructions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("instructions")
    write_instructions(root / "rows.jsonl")
    return root


@pytest.fixture(scope="module")
def adapted(
    request: pytest.FixtureRequest,
    alone: Curve,
    alone_at: Path,
    instructions: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[str, Path, Curve]:
    """An adapter by ddp, on the model of `alone`: its recipe, where it is, and its curve."""
    assert alone.bits_per_byte is not None, "there is a model"
    root = tmp_path_factory.mktemp("adapted")
    curve = train(adapting(alone_at, instructions, request.param, "ddp"), root, processes=2)
    assert curve.losses[-1] < curve.losses[0], "it learns"
    return request.param, root, curve


def adapting(output: Path, rows: Path, kind: str, strategy: str, **changes: Any) -> dict[str, Any]:
    """An adapter with dropout, on the model in `output`; some rows are too long for it."""
    base = output / "job" / "model"
    data = {"path": str(rows), "heldOutPercent": 20, "badRowsPercent": 40}
    fixed = {"adapter": {"dropoutPercent": 5}, "evaluation": {"prompts": 0}, "checkpoint": {"everySteps": 100}}
    model = {"path": str(base), "contextLength": MODEL["contextLength"]}
    whole = instruct_json(base, rows, kind, strategy=strategy, training=TRAINING, dataset=data, baseModel=model)
    return whole | fixed | changes


@pytest.mark.parametrize(
    ("adapted", "changes"),
    [
        ("lora", {}),
        ("lora", {"fsdp": {"shard": "gradients"}, "activationCheckpointing": "full"}),
        ("qlora", {}),
        pytest.param(
            "qlora", {"fsdp": {"shard": "gradients"}, "activationCheckpointing": "full"}, marks=pytest.mark.verify
        ),
    ],
    indirect=["adapted"],
)
def test_an_adapter_on_a_base_in_pieces(
    changes: dict[str, Any],
    adapted: tuple[str, Path, Curve],
    alone_at: Path,
    instructions: Path,
    tmp_path: Path,
) -> None:
    """The curve and the adapter of ddp, stopped and gone on from shards that hold nothing of the base."""
    kind, at, usual = adapted
    shards = {"checkpoint": {"everySteps": 100, "layout": "Sharded"}}
    asked = adapting(alone_at, instructions, kind, "fsdp", **changes) | shards
    train(asked, tmp_path, processes=2, stop_at=5)
    files = list((tmp_path / "job" / "checkpoints" / "step-000000005").glob("shard-*"))
    saved = {name for file in files for name in load_file(file)}
    assert len(files) == 2
    assert saved
    assert all(".lora_" in name for name in saved), "the base is no part of a checkpoint"
    curve = train(asked, tmp_path, processes=2)
    assert curve.losses == pytest.approx(usual.losses, rel=TOLERANCE)
    assert curve.bits_per_byte == pytest.approx(usual.bits_per_byte, rel=TOLERANCE)
    adapters = [load_file(each / "job" / "adapter" / "adapter_model.safetensors") for each in (at, tmp_path)]
    assert adapters[0].keys() == adapters[1].keys()
    for name, expected in adapters[0].items():
        assert adapters[1][name].sub(expected).norm() <= 0.01 * expected.norm(), name
