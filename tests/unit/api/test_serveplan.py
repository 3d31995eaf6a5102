"""`slipway plan serve`: the table and the JSON, from a config.json, a directory or an InferenceService."""

import json
from pathlib import Path
from typing import Any

import pytest

from slipway.__main__ import main

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
}
SERVICE = """
apiVersion: slipway.dev/v1alpha1
kind: InferenceService
metadata: {name: chat, namespace: team}
spec:
  model: {uri: pvc://models/llama}
  accelerator: nvidia
  parallelism: {tensor: 2}
  engineArgs: [--max-model-len=8192, --gpu-memory-utilization=0.5, --kv-cache-dtype=fp8, --enable-lora]
  podTemplate: {spec: {nodeSelector: {nvidia.com/gpu.product: NVIDIA-H200}}}
"""
TRAINED = """
apiVersion: slipway.dev/v1alpha1
kind: InferenceService
metadata: {name: mine}
spec: {model: {from: {trainingJob: small}}, accelerator: nvidia}
---
apiVersion: slipway.dev/v1alpha1
kind: TrainingJob
metadata: {name: small}
spec:
  recipe: pretrain
  model: {vocabSize: 512, contextLength: 2048, hiddenSize: 96, layers: 2, heads: 4, kvHeads: 2}
  dataset: {uri: "file:///data"}
  training: {steps: 5}
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    directory = tmp_path / "llama"
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(LLAMA))
    return directory


@pytest.fixture
def told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """What `slipway plan serve` prints for a path, or for a text in a file, and its exit code's error."""

    def tell(what: Path | str, *arguments: str, code: int = 0) -> str:
        path = what if isinstance(what, Path) else tmp_path / "service.yaml"
        if isinstance(what, str):
            path.write_text(what)
        assert main(["plan", "serve", "-f", str(path), *arguments]) == code
        printed = capsys.readouterr()
        return printed.err if code else printed.out

    return tell


def test_the_table_says_what_is_best_and_why_not_the_others(told: Any, model: Path) -> None:
    lines = told(model, "--accelerator", "h100-80gb", "--gpus", "2").splitlines()
    assert lines[:3] == [
        "llama: 8.03 B parameters; vllm, up to 2 GPUs.",
        "Asked: 1,024 tokens in and 256 out. Times and rates are estimates (docs/planner.md).",
        "Serve it on: h100-80gb TP1.",
    ]
    head = "GPU CUT GPUS WEIGHTS KV TOKENS AT ONCE TTFT MS ITL MS TOKENS/S $/M WHY"
    assert " ".join(lines[4].split()) == head
    assert " ".join(lines[5].split()).startswith("* h100-80gb TP1 1 x 2 15.0 ")
    assert lines[5].endswith("the least money per token")
    assert lines[-1].endswith("more with -o json.")


def test_json_has_every_alternative(told: Any, model: Path) -> None:
    (plan,) = json.loads(told(model / "config.json", "--accelerator", "a100-80gb", "-o", "json"))
    assert plan["model"] == "llama"
    assert plan["parameters"] == 8_030_257_152
    assert (plan["engine"], plan["utilization"], plan["weightsFrom"]) == ("vllm", 0.92, "config")
    chosen = [each for each in plan["alternatives"] if each["chosen"]]
    assert [each["name"] for each in chosen] == [plan["chosen"]] == ["a100-80gb TP1"]
    assert chosen[0]["kvBytesPerToken"] == 131072
    assert sum(chosen[0]["bytesPerGpu"][part] for part in ("weights", "step", "runtime", "kv")) == pytest.approx(
        chosen[0]["bytesPerGpu"]["usable"], abs=2
    )
    assert chosen[0]["itlSecondsAtPeak"] < chosen[0]["itlSeconds"]
    assert {each["precision"] for each in plan["alternatives"]} == {"as is", "int4"}, "an A100 multiplies no fp8"
    assert all(each["reason"] for each in plan["alternatives"])


def test_weights_beside_a_config_are_believed(told: Any, model: Path) -> None:
    index = {"metadata": {"total_size": 20_000_000_000}, "weight_map": {}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    (plan,) = json.loads(told(model, "--accelerator", "h200", "-o", "json"))
    assert plan["weightsFrom"] == "files"
    (one,) = [each for each in plan["alternatives"] if each["name"] == "h200 TP1"]
    assert one["bytesPerGpu"]["weights"] == 20_000_000_000


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not JSON: Expecting value"),
        ("{", "not JSON: "),
        ("9" * 5000, "not JSON: Exceeds the limit"),
        ("[]", "must be a JSON object, and its metadata one too: fetch it again"),
        ('{"metadata": 5}', "must be a JSON object, and its metadata one too: fetch it again"),
        ('{"metadata": {"total_size": "large"}}', "metadata.total_size: must be a number of bytes, 1 to 1000"),
        ('{"metadata": {"total_size": 1e300}}', "metadata.total_size: must be a number of bytes, 1 to 1000"),
    ],
)
def test_an_index_that_is_none_is_named(told: Any, model: Path, text: str, complaint: str) -> None:
    (model / "model.safetensors.index.json").write_text(text)
    assert f"model.safetensors.index.json: {complaint}" in told(model, "--accelerator", "h200", code=1)


def test_an_index_need_not_say_how_large_the_weights_are(told: Any, model: Path) -> None:
    (model / "model.safetensors.index.json").write_text('{"metadata": null, "weight_map": {}}')
    (plan,) = json.loads(told(model, "--accelerator", "h200", "-o", "json"))
    assert plan["weightsFrom"] == "config"


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"num_hidden_layers": 10**30}, "config.json: num_hidden_layers: must be at most 1000"),
        ({"vocab_size": 10**300}, "config.json: vocab_size: must be at most 1000000000000"),
        ({"num_local_experts": 8, "num_experts_per_tok": 100}, "config.json: num_experts_per_tok: must be at most 8"),
        (
            {"quantization_config": {"quant_method": "compressed-tensors", "config_groups": {"a": 5}}},
            "config_groups: has no group with weights.num_bits",
        ),
    ],
)
def test_sizes_that_no_model_has(told: Any, changed: dict[str, Any], complaint: str) -> None:
    assert complaint in told(json.dumps(LLAMA | changed), "--accelerator", "h200", code=1)


def test_no_stage_is_without_a_layer(told: Any, model: Path) -> None:
    """However many GPUs there are: a hundred thousand of them would be 400,000 lines."""
    (plan,) = json.loads(told(model, "--accelerator", "a100-80gb", "--gpus", "100000", "-o", "json"))
    assert max(each["pipeline"] for each in plan["alternatives"]) == LLAMA["num_hidden_layers"]
    assert len(plan["alternatives"]) <= 2 * 17 * LLAMA["num_hidden_layers"], "two precisions, and TP1 to TP65536"


def test_flags_of_demand(told: Any, model: Path) -> None:
    flags = ["--rate", "40", "--ttft-ms", "500", "--itl-ms", "30", "--prompt-tokens", "2000", "--output-tokens", "100"]
    text = told(model, "--accelerator", "h100-80gb", *flags)
    asked = "2,000 tokens in and 100 out, 40 requests a second, TTFT at most 500 ms, ITL at most 30 ms."
    assert f"Asked: {asked}" in text
    (priced,) = json.loads(told(model, "--accelerator", "l4", "--price", "0.7", "-o", "json"))
    assert priced["alternatives"][0]["dollarsPerMillionTokens"] > 0
    assert priced["alternatives"][0]["priceSource"] == "--price"


def test_an_inference_service_says_how_it_is_served(told: Any, model: Path) -> None:
    (plan,) = json.loads(told(SERVICE, "--config", str(model), "-o", "json"))
    assert (plan["model"], plan["utilization"]) == ("team/chat", 0.5)
    assert plan["asked"]["name"] == "h200 TP2"
    assert {each["accelerator"] for each in plan["alternatives"]} == {"h200"}
    assert plan["alternatives"][0]["kvBytesPerToken"] in (65536, 32768), "keys and values of 8 bits"
    assert plan["notes"] == ["spec.engineArgs[3]: --enable-lora changes memory, and is not planned for"]
    text = told(SERVICE, "--config", str(model))
    assert "As the file has it, h200 TP2: runs: " in text
    assert told(SERVICE, "--config", str(model), "--utilization", "0.9", "--accelerator", "l40s").count("l40s") > 2


def test_the_flags_of_an_sglang_service_are_read_as_sglangs(told: Any, model: Path) -> None:
    flags = "--context-length=8192, --mem-fraction-static=0.5, --kv-cache-dtype=fp8_e5m2, --chunked-prefill-size=-1"
    vllms = SERVICE[SERVICE.index("--max") : SERVICE.index("]")]
    service = SERVICE.replace(vllms, f"{flags}, --page-size=64").replace("spec:\n", "spec:\n  engine: sglang\n")
    (plan,) = json.loads(told(service, "--config", str(model), "-o", "json"))
    assert (plan["engine"], plan["utilization"]) == ("sglang", 0.5)
    assert "spec.engineArgs[4]: --page-size changes memory, and is not planned for" in plan["notes"]
    found = told(service, "--config", str(model), "--prompt-tokens", "8000", code=1)
    assert "8000 and 256 are more than spec.engineArgs' --context-length, 8192: lower one" in found
    (asked,) = json.loads(told(service, "--config", str(model), "--engine", "vllm", "-o", "json"))
    assert asked["engine"] == "vllm"


def test_a_model_that_a_job_of_the_same_file_makes(told: Any) -> None:
    (plan,) = json.loads(told(TRAINED, "--accelerator", "l4", "--prompt-tokens", "100", "-o", "json"))
    assert plan["model"] == "default/mine"
    assert plan["parameters"] == 252_288


@pytest.mark.parametrize(
    ("text", "arguments", "complaint"),
    [
        (SERVICE, [], "InferenceService team/chat: spec.model.uri: cannot be read from here"),
        (SERVICE, ["--config", "/nowhere"], "--config: [Errno 2] No such file"),
        (SERVICE.replace("nvidia\n", "cpu\n").replace("{tensor: 2}", "{}"), [], "spec.accelerator is cpu: only GPUs"),
        (SERVICE.replace("8192", "8k"), [], "spec.engineArgs[0]: --max-model-len=8k: write it as a plain number"),
        (SERVICE.replace("accelerator", "accelerators"), [], "accelerators: "),
        (TRAINED.replace("name: small}", "name: other}"), [], "trainingJob: small: is not in this file"),
        (TRAINED.split("---")[1], [], "is neither a model's config.json nor does it hold an InferenceService"),
        ("{", [], "not JSON: "),
        ('{"model_type": "llama"}', [], "config.json: num_hidden_layers or "),
        (json.dumps(LLAMA), [], "--accelerator: name a GPU, or several"),
        (
            json.dumps(LLAMA),
            ["--accelerator", "H1000"],
            "--accelerator H1000: not a GPU that is known; it is one of a100-40gb, ",
        ),
        (json.dumps(LLAMA), ["--accelerator", "l4", "--accelerator", "t4", "--price", "1"], "--price: is of one kind"),
        (json.dumps(LLAMA), ["--accelerator", "l4", "--prompt-tokens", "131072"], "are more than the model's context"),
        (
            json.dumps(LLAMA),
            ["--accelerator", "l4", "--kv-cache-dtype", "int2"],
            "--kv-cache-dtype int2: is not planned",
        ),
        (json.dumps(LLAMA), ["--accelerator", "l4", "--config", "x"], "--config: belongs to a file with"),
    ],
)
def test_what_is_wrong_is_named(told: Any, text: str, arguments: list[str], complaint: str) -> None:
    assert complaint in told(text, *arguments, code=1)


def test_a_request_is_no_longer_than_the_engine_takes(told: Any, model: Path) -> None:
    found = told(SERVICE, "--config", str(model), "--prompt-tokens", "8000", code=1)
    assert "8000 and 256 are more than spec.engineArgs' --max-model-len, 8192: lower one" in found


def test_nor_than_the_model_does(told: Any, model: Path) -> None:
    service = SERVICE.replace("8192", "1000000")
    found = told(service, "--config", str(model), "--prompt-tokens", "200000", code=1)
    assert "200000 and 256 are more than the model's context, 131072: lower one" in found


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("--gpu-memory-utilization=5", "--gpu-memory-utilization must be above 0 and at most 1, which 5 is not"),
        ("--gpu-memory-utilization=0", "--gpu-memory-utilization must be above 0 and at most 1, which 0 is not"),
        ("--gpu-memory-utilization=nan", "--gpu-memory-utilization takes a number, which nan is not"),
        ("--nosuch=1", "--nosuch is not an option of vLLM"),
        ("--max-num-batched-tokens=10000000000", "--max-num-batched-tokens must be at most 1000000000"),
        ("--max-num-batched-tokens=-4", "--max-num-batched-tokens must be at least 1, which -4 is not"),
    ],
)
def test_engine_arguments_that_would_be_refused_are_not_planned(
    told: Any, model: Path, written: str, complaint: str
) -> None:
    found = told(SERVICE.replace("--gpu-memory-utilization=0.5", written), "--config", str(model), code=1)
    assert f"InferenceService team/chat: spec.engineArgs[1]: {complaint}" in found


def test_each_engine_refuses_in_its_own_words(told: Any, model: Path) -> None:
    service = SERVICE.replace("spec:\n", "spec:\n  engine: sglang\n", 1)
    assert "--max-model-len is not an option of SGLang" in told(service, "--config", str(model), code=1)


def test_another_name_of_a_flag_is_read_too(told: Any, model: Path) -> None:
    service = SERVICE.replace("--gpu-memory-utilization", "--device-memory-utilization")
    (plan,) = json.loads(told(service, "--config", str(model), "-o", "json"))
    assert plan["utilization"] == 0.5


def test_a_job_is_looked_for_in_the_services_own_namespace(told: Any) -> None:
    larger = (
        TRAINED.split("---")[1].replace("name: small", "name: small, namespace: team").replace("layers: 2", "layers: 4")
    )
    (plan,) = json.loads(told(f"{TRAINED}---{larger}", "--accelerator", "l4", "--prompt-tokens", "100", "-o", "json"))
    assert plan["parameters"] == 252_288
    found = told(f"{TRAINED.split('---')[0]}---{larger}", "--accelerator", "l4", code=1)
    assert "trainingJob: small: is not in this file, in namespace default: add it" in found


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["plan", "-f", "x", "--gpus", "4"], "--gpus belongs to `slipway plan serve`"),
        (["plan", "train", "-f", "x", "--rate", "4"], "--rate belongs to `slipway plan serve`"),
        (["plan", "serve", "-f", "x", "--gpu", "l4"], "--gpu belongs to `slipway plan train`"),
        (["plan", "-f", "x", "-o", "json"], "-o belongs to `slipway plan train` and `slipway plan serve`"),
    ],
)
def test_flags_of_another_plan(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "value", "complaint"),
    [
        ("--gpus", "0", "must be a whole number above zero"),
        ("--gpus", "two", "must be a whole number above zero"),
        ("--rate", "-1", "must be a number above zero"),
        ("--itl-ms", "nan", "must be a number above zero"),
        ("--utilization", "1.5", "must be at most 1"),
        ("--gpus", "1" + "0" * 30, "must be a whole number above zero, at most 1000000000"),
        ("--price", "1e308", "must be a number above zero, from 0.000001 to 1000000000"),
        ("--rate", "1e-320", "must be a number above zero, from 0.000001 to 1000000000"),
        ("--engine", "tgi", "invalid choice"),
    ],
)
def test_values_that_no_flag_takes(flag: str, value: str, complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["plan", "serve", "-f", "x", f"{flag}={value}"])
    assert caught.value.code == 2
    assert complaint in capsys.readouterr().err


ACCELERATOR = """
apiVersion: slipway.dev/v1alpha1
kind: Accelerator
metadata: {name: mine}
spec:
  memoryGib: "192"
  memoryGigabytesPerSecond: 5300
  teraflops: {fp16: 1300, bf16: 1300}
  linkGigabytesPerSecond: 64
  hostGigabytesPerSecond: 64
  nodeLabels: {gpu: mine}
  dollarsPerHour: "1.50"
  priceSource: our contract
"""


def test_accelerators_of_other_files_are_planned_with(told: Any, model: Path, tmp_path: Path) -> None:
    other = tmp_path / "mine.yaml"
    other.write_text(ACCELERATOR)
    (plan,) = json.loads(told(model, "-f", str(other), "--accelerator", "Mine", "-o", "json"))
    assert {(each["accelerator"], each["priceSource"]) for each in plan["alternatives"]} == {("mine", "our contract")}
    named = SERVICE.replace("accelerator: nvidia", "accelerator: nvidia\n  acceleratorClass: mine")
    named = named.replace("  podTemplate: {spec: {nodeSelector: {nvidia.com/gpu.product: NVIDIA-H200}}}\n", "")
    (plan,) = json.loads(told(named, "-f", str(other), "--config", str(model), "-o", "json"))
    assert plan["asked"]["name"] == "mine TP2"
    complaint = "InferenceService team/chat: spec.acceleratorClass: there is no Accelerator 'mine': there are a100-40gb"
    assert complaint in told(named, "--config", str(model), code=1)


def test_a_service_beside_a_config_is_refused(told: Any, model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(SERVICE)
    complaint = "InferenceService chat: name its model with --config, not with -f"
    assert complaint in told(model, "-f", str(other), "--accelerator", "l4", code=1)


def test_the_job_of_a_service_may_be_in_another_file(told: Any, tmp_path: Path) -> None:
    service, job = TRAINED.split("---")
    (tmp_path / "job.yaml").write_text(job)
    arguments = ["--accelerator", "l4", "--prompt-tokens", "100", "-o", "json"]
    (plan,) = json.loads(told(service, "-f", str(tmp_path / "job.yaml"), *arguments))
    assert plan["model"] == "default/mine"
