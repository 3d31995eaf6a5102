"""Recipes as a pod runs them: a launcher with two processes, a base model that pretrain made, and kills in between."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from tests.unit.train.support import free_port, instruct_json, recipe_json, write_dataset, write_instructions

from .test_train_gang import Pod, curve, launch, reached, wait_for

SHAPE = {"vocabSize": 512, "contextLength": 128, "hiddenSize": 64, "layers": 2, "heads": 2, "kvHeads": 1}
STEPS = 120


def start(recipe: dict[str, Any], output: Path, *, processes: int = 2) -> Pod:
    """One pod with all processes of the gang."""
    output.mkdir(exist_ok=True)
    scratch = output.parent / f"{output.name}-{len(list(output.parent.iterdir()))}"
    scratch.mkdir()
    pet = {"PET_NNODES": "1", "PET_NPROC_PER_NODE": str(processes), "PET_NODE_RANK": "0"}
    own = {"SLIPWAY_OUTPUT_DIR": str(output), "TMPDIR": str(scratch)}  # as a pod has a /tmp of its own
    return launch(recipe, scratch, {**pet, "PET_MASTER_PORT": str(free_port()), **own})


def finished(recipe: dict[str, Any], output: Path, *, processes: int = 2) -> Any:
    """The termination message of a run that succeeded."""
    pod = start(recipe, output, processes=processes)
    assert pod.wait() == 0, pod.log.read_text()
    return pod.message()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("base")
    (root / "text").mkdir()
    write_dataset(root / "text")
    training = {"steps": 60, "batchSize": 8, "optimizer": {"warmupSteps": 5}}
    finished(recipe_json(root / "text", model=SHAPE, training=training), root / "out", processes=1)
    return root / "out" / "model"


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("rows")
    write_instructions(root / "a.jsonl", rows=90)
    (root / "b.jsonl").write_text("this is no row\n")
    return root


def recipe(base: Path, rows: Path, kind: str, **changes: Any) -> dict[str, Any]:
    training = {"steps": STEPS, "batchSize": 8, "optimizer": {"learningRate": "0.005", "warmupSteps": 5}}
    dataset = {
        "path": str(rows),
        "heldOutPercent": 10,
        "badRowsPercent": 2,
        "cleaning": {"duplicates": "near", "similarityPercent": 95},
    }
    more = {"checkpoint": {"everySteps": 20, "keep": 2}, "evaluation": {"prompts": 4, "answerTokens": 12}}
    return instruct_json(base, rows, kind, **{"training": training, "dataset": dataset, **more, **changes})


def test_sft_learns_the_answers_and_a_killed_rank_changes_nothing(base: Path, rows: Path, tmp_path: Path) -> None:
    asked = recipe(base, rows, "sft")
    expected = finished(asked, tmp_path / "undisturbed")
    losses = [loss for _, loss in curve(tmp_path / "undisturbed")]
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10]), "the answers got likelier"
    assert expected["evaluation"]["answers"] == 4
    assert (expected["data"]["rows"], expected["data"]["badRows"]) == (91, 1)

    disturbed = tmp_path / "disturbed"
    pod = start(asked, disturbed)
    wait_for(reached(disturbed, 50), [pod], "step 50")
    os.kill(pod.worker_pid(), signal.SIGKILL)
    assert pod.wait() == 137
    (failure, *_) = pod.message()["failures"]
    assert failure["signal"] == "SIGKILL"
    assert finished(asked, disturbed) == expected
    assert curve(disturbed) == curve(tmp_path / "undisturbed")
    weights = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("undisturbed", "disturbed")]
    assert weights[0] == weights[1]
    assert not list(tmp_path.rglob("slipway-rows-*")), "no spool is left behind, not even by the kill"


@pytest.mark.parametrize("strategy", ["fsdp", "deepspeed"])
def test_sft_is_the_same_curve_whatever_the_strategy(base: Path, rows: Path, tmp_path: Path, strategy: str) -> None:
    training = {"steps": 12, "batchSize": 8, "optimizer": {"learningRate": "0.005", "warmupSteps": 5}}
    expected = finished(recipe(base, rows, "sft", training=training), tmp_path / "ddp")
    asked = recipe(base, rows, "sft", training={**training, "accumulationSteps": 2}, strategy=strategy)
    found = finished(asked, tmp_path / strategy)
    losses = [[loss for _, loss in curve(tmp_path / name)] for name in ("ddp", strategy)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    assert float(found["evaluation"]["bitsPerByte"]) == pytest.approx(
        float(expected["evaluation"]["bitsPerByte"]), abs=2e-3
    )


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(torch.tensor([[5, 80, 33, 200, 7, 41]])).logits
    return found


def test_an_adapter_of_two_ranks_merges_into_the_model_that_is_served(base: Path, rows: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    finished(recipe(base, rows, "lora", output={"merge": "merged"}), output)
    losses = [loss for _, loss in curve(output)]
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])
    plain, merged = (AutoModelForCausalLM.from_pretrained(path) for path in (base, output / "model"))
    adapted = PeftModel.from_pretrained(plain, str(output / "adapter"))
    assert torch.allclose(logits(adapted), logits(merged), atol=1e-4)


def test_a_model_that_is_not_good_enough_ends_with_3_and_its_numbers(base: Path, rows: Path, tmp_path: Path) -> None:
    require = {"require": {"exactMatchLeast": "0.99"}}
    training = {"steps": 2, "batchSize": 8}
    pod = start(recipe(base, rows, "lora", output=require, training=training), tmp_path / "out", processes=1)
    assert pod.wait() == 3, pod.log.read_text()
    message = pod.message()
    assert message["failures"][0]["exitCode"] == 3
    assert "output.require: exactMatch is 0.0000, at least 0.99 is required" in message["failures"][0]["message"]
    assert message["evaluation"]["exactMatch"] == "0.0000"
    assert not (tmp_path / "out" / "adapter").exists()
    assert json.loads(pod.termination_log.read_text()) == message
