"""sft, lora and qlora in this process: a real process group of one, a real base model, real files."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from slipway_train.chat import TEMPLATE
from slipway_train.course import follow
from slipway_train.errors import RecipeError, RequirementNotMet, Stopped
from slipway_train.export import Finished
from slipway_train.gang import Gang
from slipway_train.progress import Report, Reporter

from .support import instruct_json, parse, recipe_json, write_instructions


class Reports(Reporter):
    """Keeps what it is told; sends nothing."""

    def __init__(self) -> None:
        self.kept: list[Report] = []

    def report(self, report: Report) -> None:
        self.kept.append(report)


def train(
    recipe: dict[str, Any], gang: Gang, output: Path, stop: Callable[[], bool] = lambda: False
) -> tuple[Finished, list[Report]]:
    reports = Reports()
    return follow(parse(recipe), gang, output, reporter=reports, stop_asked=stop), reports.kept


def stop_at_call(number: int) -> Callable[[], bool]:
    calls = iter(range(1, 10**6))
    return lambda: next(calls) == number


def losses(output: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (output / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="session")
def base(dataset: Path, gang: Gang, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that pretrain made in a second."""
    shape = {"vocabSize": 512, "contextLength": 128, "hiddenSize": 64, "layers": 2, "heads": 2, "kvHeads": 1}
    steps = {"steps": 20, "batchSize": 4, "optimizer": {"warmupSteps": 2}}
    output = tmp_path_factory.mktemp("base")
    train(recipe_json(dataset, model=shape, training=steps), gang, output)
    return output / "model"


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("rows")
    write_instructions(root / "a.jsonl")
    return root


def steps(count: int, rate: str = "0.01") -> dict[str, Any]:
    return {"steps": count, "batchSize": 4, "seed": 3, "optimizer": {"learningRate": rate, "warmupSteps": 2}}


# sft


def test_answers_get_likelier_and_the_model_can_be_served(base: Path, rows: Path, gang: Gang, tmp_path: Path) -> None:
    finished, reports = train(instruct_json(base, rows, training=steps(30)), gang, tmp_path)
    curve = losses(tmp_path)
    assert sum(curve[-5:]) < 0.6 * sum(curve[:5])
    assert float(finished.evaluation["bitsPerByte"]) > 0
    assert set(finished.evaluation) == {
        *("bitsPerByte", "unigramBitsPerByte", "perplexity"),
        *("answers", "exactMatch", "rouge1", "rouge2", "rougeL"),
    }
    assert finished.evaluation["answers"] == 4
    assert finished.data["rows"] == 60
    assert reports[-1].bad_rows == 0
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert tokenizer.chat_template == TEMPLATE
    assert GenerationConfig.from_pretrained(tmp_path / "model").eos_token_id == [tokenizer.eos_token_id]


def test_a_stopped_run_goes_on_exactly(base: Path, rows: Path, gang: Gang, tmp_path: Path) -> None:
    recipe = instruct_json(base, rows)
    expected, _ = train(recipe, gang, tmp_path / "whole")
    with pytest.raises(Stopped, match="the checkpoint of step 5 is saved"):
        train(recipe, gang, tmp_path / "parts", stop_at_call(5))
    finished, _ = train(recipe, gang, tmp_path / "parts")
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    assert finished == expected
    weights = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "parts")]
    assert weights[0] == weights[1]


def test_bad_rows_are_left_out_and_counted(base: Path, gang: Gang, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    write_instructions(data / "a.jsonl")
    (data / "b.jsonl").write_text('no json\n{"prompt": "p"}\n')
    recipe = instruct_json(base, data, dataset={"path": str(data), "badRowsPercent": 5})
    finished, reports = train(recipe, gang, tmp_path / "out")
    assert (finished.data["rows"], finished.data["badRows"], reports[-1].bad_rows) == (62, 2, 2)
    recipe["dataset"]["badRowsPercent"] = 3
    with pytest.raises(RecipeError, match=r"dataset\.badRowsPercent: 2 of 62 rows .* b\.jsonl:1: not JSON"):
        train(recipe, gang, tmp_path / "other")


def test_rows_are_cleaned_before_training(base: Path, gang: Gang, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    write_instructions(data / "a.jsonl")
    shutil.copy(data / "a.jsonl", data / "b.jsonl")
    own = [{"name": "question", "pattern": r"What comes after \d"}]
    cleaning = {"duplicates": "exact", "charactersLeast": 10, "scrub": ["email"], "scrubPatterns": own}
    dataset = {"path": str(data), "cleaning": cleaning}
    finished, _ = train(instruct_json(base, data, dataset=dataset), gang, tmp_path / "out")
    assert finished.data["cleaning"] == {"exact-duplicate": 60, "kept": 60, "scrubbed-question": 120}


def test_a_model_that_is_not_good_enough_is_not_exported(base: Path, rows: Path, gang: Gang, tmp_path: Path) -> None:
    recipe = instruct_json(base, rows, output={"require": {"exactMatchLeast": "0.9", "perplexityMost": "1.01"}})
    with pytest.raises(RequirementNotMet, match=r"output\.require: perplexity is .* exactMatch is ") as caught:
        train(recipe, gang, tmp_path)
    assert caught.value.evaluation["answers"] == 4
    assert not (tmp_path / "model").exists()
    assert (tmp_path / "checkpoints").exists(), "whoever wants the model all the same finds it there"


def test_a_good_enough_model_is_exported(base: Path, rows: Path, gang: Gang, tmp_path: Path) -> None:
    train(instruct_json(base, rows, output={"require": {"perplexityMost": "1e6"}}), gang, tmp_path)
    assert (tmp_path / "model" / "config.json").exists()


def test_without_prompts_no_answers_are_measured(base: Path, rows: Path, gang: Gang, tmp_path: Path) -> None:
    finished, _ = train(instruct_json(base, rows, evaluation={"prompts": 0}), gang, tmp_path)
    assert "answers" not in finished.evaluation


# lora and qlora


def logits(model: Any, tokens: list[int]) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(torch.tensor([tokens])).logits
    return found


def load(path: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)


TOKENS = [5, 80, 33, 200, 7, 41]


def test_an_adapter_is_peft_s_own_and_the_merged_model_is_base_and_adapter(
    base: Path, rows: Path, gang: Gang, tmp_path: Path
) -> None:
    recipe = instruct_json(base, rows, "lora", training=steps(20, "0.02"), output={"merge": "merged"})
    train(recipe, gang, tmp_path)
    curve = losses(tmp_path)
    assert sum(curve[-5:]) < sum(curve[:5])
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert (config["peft_type"], config["r"], config["lora_alpha"], config["bias"]) == ("LORA", 16, 32, "none")
    assert not (tmp_path / "adapter" / "README.md").exists()
    adapted = logits(PeftModel.from_pretrained(load(base), str(tmp_path / "adapter")), TOKENS)
    merged = logits(load(tmp_path / "model"), TOKENS)
    assert torch.allclose(adapted, merged, atol=1e-4)
    assert (adapted - logits(load(base), TOKENS)).abs().max() > 0.1, "the adapter does something"


def test_an_adapter_alone_is_the_default_and_ends_the_job(base: Path, rows: Path, gang: Gang, tmp_path: Path) -> None:
    recipe = instruct_json(base, rows, "lora", adapter={"rank": 4, "targetModules": ["q_proj", "v_proj"]})
    first, _ = train(recipe, gang, tmp_path)
    assert not (tmp_path / "model").exists()
    names = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert {name.split(".")[-3] for name in names} == {"q_proj", "v_proj"}
    again, reports = train(recipe, gang, tmp_path)
    assert (again, reports) == (first, [])


def test_a_stopped_adapter_goes_on_exactly_from_a_checkpoint_of_itself_alone(
    base: Path, rows: Path, gang: Gang, tmp_path: Path
) -> None:
    recipe = instruct_json(base, rows, "lora", adapter={"dropoutPercent": 10})
    train(recipe, gang, tmp_path / "whole")
    with pytest.raises(Stopped):
        train(recipe, gang, tmp_path / "parts", stop_at_call(4))
    saved = load_file(tmp_path / "parts" / "checkpoints" / "step-000000004" / "tensors.safetensors")
    assert all(".lora_" in name for name in saved)
    train(recipe, gang, tmp_path / "parts")
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    adapters = [(tmp_path / name / "adapter" / "adapter_model.safetensors").read_bytes() for name in ("whole", "parts")]
    assert adapters[0] == adapters[1]


def test_qlora_trains_on_four_bits_and_hands_on_an_adapter_for_the_whole(
    base: Path, rows: Path, gang: Gang, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from slipway_train import loop

    weights: list[Any] = []
    run = loop.train

    def spying(course: Any, *arguments: Any) -> None:
        weights.extend(course.task.model.named_parameters())
        run(course, *arguments)

    monkeypatch.setattr("slipway_train.course.train", spying)
    finished, _ = train(instruct_json(base, rows, "qlora", training=steps(12, "0.02")), gang, tmp_path)
    assert float(finished.evaluation["perplexity"]) > 1
    curve = losses(tmp_path)
    assert curve[-1] < curve[0]
    packed = [name for name, parameter in weights if parameter.dtype == torch.uint8]
    assert any("q_proj.base_layer" in name for name in packed)
    assert (tmp_path / "adapter" / "adapter_config.json").exists()
    PeftModel.from_pretrained(load(base), str(tmp_path / "adapter"))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_qlora_in_pieces_is_the_same_curve(base: Path, rows: Path, gang: Gang, tmp_path: Path, precision: str) -> None:
    """By one process; of two, with kills, tests/integration/ has the curve."""
    found = {}
    for strategy in ("ddp", "fsdp"):
        asked = instruct_json(base, rows, "qlora", training=steps(8, "0.02"), strategy=strategy, precision=precision)
        found[strategy], _ = train(asked, gang, tmp_path / strategy)
    tolerance = {"fp32": 1e-5, "bf16": 2e-2}[precision]
    assert losses(tmp_path / "fsdp") == pytest.approx(losses(tmp_path / "ddp"), rel=tolerance)
    perplexities = [float(found[strategy].evaluation["perplexity"]) for strategy in ("fsdp", "ddp")]
    assert perplexities[0] == pytest.approx(perplexities[1], rel=tolerance)


def test_qlora_without_bitsandbytes_says_what_to_install(
    base: Path, rows: Path, gang: Gang, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "bitsandbytes", None)
    with pytest.raises(RecipeError, match=r"qlora needs bitsandbytes"):
        train(instruct_json(base, rows, "qlora"), gang, tmp_path)


# what is wrong is said before the first step


def change_config(base: Path, **fields: Any) -> None:
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, **fields}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda base: (base / "config.json").unlink(), r"baseModel\.uri: .* has no config\.json"),
        (lambda base: (base / "tokenizer.json").unlink(), r"baseModel\.uri: .* has no tokenizer\.json"),
        (lambda base: (base / "model.safetensors").unlink(), r"has no \*\.safetensors"),
        (lambda base: (base / "config.json").write_text("{"), r"config\.json cannot be used"),
        (lambda base: (base / "tokenizer.json").write_text("{}"), r"tokenizer\.json cannot be used"),
        (lambda base: change_config(base, num_hidden_layers=3), r"has no weights that fit model\.layers\.2\."),
        (lambda base: change_config(base, hidden_size=32), r"has no weights that fit "),
        (lambda base: change_config(base, vocab_size=100), r"its tokenizer has \d+ tokens, and the model 100"),
        (lambda base: (base / "config.json").write_text('{"model_type": "gpt2"}'), "gpt2 models are not known here"),
    ],
)
def test_a_directory_that_is_no_base_model(
    base: Path, rows: Path, gang: Gang, tmp_path: Path, change: Any, said: str
) -> None:
    shutil.copytree(base, tmp_path / "base")
    change(tmp_path / "base")
    with pytest.raises(RecipeError, match=said):
        train(instruct_json(tmp_path / "base", rows), gang, tmp_path / "out")


def test_a_context_that_the_model_does_not_have(base: Path, rows: Path, gang: Gang, tmp_path: Path) -> None:
    recipe = instruct_json(base, rows, baseModel={"path": str(base), "contextLength": 256})
    with pytest.raises(RecipeError, match=r"baseModel\.contextLength: 256 is more than the model's own 128"):
        train(recipe, gang, tmp_path)


@pytest.mark.parametrize(
    ("content", "include", "said"),
    [
        ("", ["*.jsonl"], "no file matches"),
        ('{"prompt": "a", "completion": "b"}\n', ["*.jsonl"], r"1 row\(s\) are left"),
        ('{"prompt": "a", "completion": "b"}\n' * 3, ["*.jsonl"], "all rows that are left are equal"),
        ("x", ["*"], "is no JSON lines"),
    ],
)
def test_a_dataset_without_enough_rows(
    base: Path, gang: Gang, tmp_path: Path, content: str, include: list[str], said: str
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / ("a.jsonl" if include != ["*"] else "a.txt")).write_text(content)
    recipe = instruct_json(base, data, dataset={"path": str(data), "include": include})
    with pytest.raises(RecipeError, match=said):
        train(recipe, gang, tmp_path / "out")


def test_a_checkpoint_from_another_base_is_refused(base: Path, rows: Path, gang: Gang, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "base")
    recipe = instruct_json(tmp_path / "base", rows)
    with pytest.raises(Stopped):
        train(recipe, gang, tmp_path / "out", stop_at_call(1))
    change_config(tmp_path / "base", rms_norm_eps=1e-5)
    with pytest.raises(RecipeError, match="was made from another dataset"):
        train(recipe, gang, tmp_path / "out")
