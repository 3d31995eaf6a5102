"""Which engine arguments pass, which are refused, and that a refusal names the element and the mend."""

import json
from importlib import resources

import pytest

from slipway.api.common import Accelerator
from slipway.plan.inference import engineargs, enginetable
from slipway.plan.inference.engineargs import Refusal
from slipway.plan.inference.enginetable import Option, Table, read, table
from slipway.plan.inference.vllm import ENGINE


@pytest.fixture(autouse=True)
def _read_anew() -> None:
    """The table is read once a process; each test here reads it as it is now."""
    table.cache_clear()


def vllm() -> Table:
    return table("vllm")


def check(engine_args: list[str], *, accelerator: Accelerator) -> Refusal | None:
    return engineargs.check(engine_args, ENGINE, accelerator=accelerator)


REAL_WORLD = [
    "--max-model-len=512",
    "--dtype=bfloat16",
    "--enforce-eager",
    "--kv-cache-dtype=fp8",
    "--enable-prefix-caching",
    "--gpu-memory-utilization=0.9",
    "--max-num-seqs=256",
    "--max-num-batched-tokens=8k",
    "--quantization=awq_marlin",
    "--tool-call-parser=hermes",
    "--enable-auto-tool-choice",
    "--reasoning-parser=qwen3",
    "--trust-remote-code",
    "--enable-expert-parallel",
]


@pytest.mark.parametrize(
    "args",
    [
        [],
        REAL_WORLD,
        ["--no-enable-prefix-caching"],
        ["--max_model_len=512"],
        ["--max-model-len=auto"],
        ["--max-model-len=16K"],
        ["--max-num-batched-tokens=25.6k"],
        ["--kv-cache-memory-bytes=None"],
        ["--cpu-offload-gb=4"],
        ["--cpu-offload-gb=1e1"],
        ["--moe-backend=Flashinfer-Cutlass"],
        ['--speculative-config={"method": "ngram", "num_speculative_tokens": 3}'],
        ['--kv-transfer-config={"kv_connector": "X", "kv_connector_extra_config": {"cpu_bytes_to_use": 80m}}'],
        ['--limit-mm-per-prompt={"image": 2}'],
        ["--limit-mm-per-prompt.image=2"],
        ["--compilation-config.mode=3", "--compilation_config.cudagraph_capture_sizes+=1,2"],
        ["--compilation-config.custom_ops+=all", "--compilation-config.custom_ops+=-rms_norm"],
        ['--hf-overrides={"rope_theta": 1}'],
        ["--additional-config.some.deep.key=1"],
        ["--middleware=a.b", "--middleware=c.d"],
        ["--lora-modules=name=/adapters/x"],
        ["--runner=generate"],
        ["--distributed-executor-backend=mp"],
        ["--attention-backend=FLASH_ATTN"],
        ["--chat-template={{ messages[0].content }} = x"],
        ["--max-lora-rank=8"],
        ["--gpu-memory-utilization=1"],
        ["--gpu-memory-utilization=1e-2"],
        ["--max-model-len=-1"],
        ["--max-logprobs=-1"],
        ["--max-num-queued-reqs=None"],
        ["--seed=4294967295"],
        ["--max-num-batched-tokens=0.1k"],
        ["--enable-log-requests", "--uvicorn-log-level=warning"],
    ],
    ids=str,
)
def test_arguments_that_vllm_takes_are_accepted(args: list[str]) -> None:
    assert check(args, accelerator="nvidia") is None


@pytest.mark.parametrize(
    ("arg", "reason", "said"),
    [
        (
            "--max-modellen=512",
            "UnknownEngineArgument",
            "--max-modellen is not an option of vLLM 0.32.0; did you mean --max-model-len?",
        ),
        ("--zzzqqq", "UnknownEngineArgument", "remove it, or see `vllm serve --help=all`"),
        ("--swap-space=4", "UnknownEngineArgument", "--swap-space is not an option"),
        ("--task=embed", "UnknownEngineArgument", "--task is not an option"),
        ("--max-model=512", "UnknownEngineArgument", "abbreviations are refused, write --max-model-len"),
        ("--tensor-parallel=2", "UnknownEngineArgument", "write --tensor-parallel-size"),
        ("--gpu_memory_util=0.5", "UnknownEngineArgument", "write --gpu-memory-utilization"),
        ("--mod=x", "UnknownEngineArgument", "write --model or --model-class-overrides or --model-impl"),
        ("--max-model-len 512", "MalformedEngineArgument", "has a blank in its flag; write --max-model-len=512"),
        ("--max-model-len\t512", "MalformedEngineArgument", "write --max-model-len=512"),
        ("-tp=2", "MalformedEngineArgument", '"-tp=2" is no --flag'),
        ("-O3", "MalformedEngineArgument", "write each flag in full"),
        ("512", "MalformedEngineArgument", '"512" is no --flag'),
        ("--", "MalformedEngineArgument", '"--" is no --flag'),
        ("--=x", "MalformedEngineArgument", '"--=x" is no --flag'),
        ("", "MalformedEngineArgument", '"" is no --flag'),
        (
            "--max-model-len",
            "InvalidEngineArgument",
            "--max-model-len needs a value; write --max-model-len=value in one element",
        ),
        ("--dtype=", "InvalidEngineArgument", "--dtype needs a value"),
        ("--compilation-config.mode", "InvalidEngineArgument", "--compilation-config.mode needs a value"),
        (
            "--enforce-eager=true",
            "InvalidEngineArgument",
            "--enforce-eager takes no value; write --enforce-eager, or --no-enforce-eager to turn it off",
        ),
        (
            "--no-enforce-eager=1",
            "InvalidEngineArgument",
            "--no-enforce-eager takes no value; write --no-enforce-eager",
        ),
        ("--aggregate-engine-logging=1", "InvalidEngineArgument", "takes no value; write --aggregate-engine-logging"),
        (
            "--dtype=bf16",
            "InvalidEngineArgument",
            "--dtype cannot be bf16; choose one of auto, bfloat16, float, float16, float32, half",
        ),
        ("--dtype=BFLOAT16", "InvalidEngineArgument", "cannot be BFLOAT16"),
        ("--moe-backend=fast", "InvalidEngineArgument", "--moe-backend cannot be fast"),
        ("--max-lora-rank=7", "InvalidEngineArgument", "choose one of 1, 8, 16, 32, 64"),
        ("--max-num-seqs=many", "InvalidEngineArgument", "--max-num-seqs takes a whole number, which many is not"),
        ("--max-num-seqs=1k", "InvalidEngineArgument", "takes a whole number, which 1k is not"),
        ("--max-num-seqs=None", "InvalidEngineArgument", "takes a whole number"),
        ("--max-model-len=1.5K", "InvalidEngineArgument", "takes a whole number, one like 16k, or auto"),
        ("--max-num-batched-tokens=auto", "InvalidEngineArgument", "takes a whole number, or one like 16k"),
        ("--gpu-memory-utilization=90%", "InvalidEngineArgument", "takes a number, which 90% is not"),
        (
            "--speculative-config=ngram",
            "InvalidEngineArgument",
            "takes JSON, which ngram is not; write it as --speculative-config={...}",
        ),
        ("--compilation-config={'mode': 3}", "InvalidEngineArgument", "--compilation-config takes JSON"),
        ("--compilation-config=3", "InvalidEngineArgument", "--compilation-config takes JSON, which 3 is not"),
        ('--limit-mm-per-prompt={"image": 1k}', "InvalidEngineArgument", "--limit-mm-per-prompt takes JSON"),
        ('--compilation-config={"level": "1k}', "InvalidEngineArgument", "--compilation-config takes JSON"),
        ("--max-num-seqs.x=1", "InvalidEngineArgument", "--max-num-seqs is not a JSON option, so it has no .x"),
        ("--enforce-eager.x=1", "InvalidEngineArgument", "--enforce-eager is not a JSON option"),
        ("--compilation-config.=1", "InvalidEngineArgument", "has an empty key"),
        ("--compilation-config.a..b=1", "InvalidEngineArgument", "has an empty key"),
        ("--gpu-memory-utilization=7", "InvalidEngineArgument", "must be above 0 and at most 1, which 7 is not"),
        ("--gpu_memory_utilization=0", "InvalidEngineArgument", "--gpu-memory-utilization must be above 0"),
        ("--device-memory-utilization=-.5", "InvalidEngineArgument", "--device-memory-utilization must be above 0"),
        ("--max-model-len=-5", "InvalidEngineArgument", "must be at least -1 and other than 0, which -5 is not"),
        ("--max-model-len=0", "InvalidEngineArgument", "other than 0, which 0 is not"),
        ("--max-num-seqs=0", "InvalidEngineArgument", "--max-num-seqs must be at least 1, which 0 is not"),
        ("--max-num-batched-tokens=0.0001k", "InvalidEngineArgument", "must be at least 1, which 0.0001k is not"),
        ("--block-size=-16", "InvalidEngineArgument", "--block-size must be above 0, which -16 is not"),
        ("--watermark=1.0", "InvalidEngineArgument", "must be at least 0 and below 1, which 1.0 is not"),
        ("--api-server-count=-1", "InvalidEngineArgument", "--api-server-count must be at least 1"),
        ("--runner=pooling", "ReservedEngineArgument", "only models that generate text are served"),
        ("--convert=embed", "ReservedEngineArgument", "readiness is a generated token"),
        ("--distributed-executor-backend=ray", "ReservedEngineArgument", "a replica is one pod"),
        ("--api-server-count=0", "ReservedEngineArgument", "port 8000"),
    ],
)
def test_an_argument_is_refused_with_its_mend(arg: str, reason: str, said: str) -> None:
    refusal = check(["--seed=1", "--max-logprobs=5", arg], accelerator="nvidia")
    assert refusal is not None
    assert refusal.reason == reason
    assert refusal.message.startswith("spec.engineArgs[2]: ")
    assert said in refusal.message


@pytest.mark.parametrize(
    ("arg", "said"),
    [
        ("--model=/x", "spec.model says what is served"),
        ("--host=::", "port 8000"),
        ("--port=9000", "port 8000"),
        ("--served-model-name=x", "the InferenceService's"),
        ("--served_model_name=x", "the InferenceService's"),
        ("--shutdown-timeout=5", "set spec.drainSeconds"),
        ("--tensor-parallel-size=2", "set spec.parallelism.tensor"),
        ("--tensor-parallel-size=0", "set spec.parallelism.tensor"),
        ("--pipeline-parallel-size=2", "spec.replicas"),
        ("--data-parallel-size=2", "spec.replicas"),
        ("--no-data-parallel-external-lb", "spec.replicas"),
        ("--headless", "a replica is one pod"),
        ("--nnodes=2", "a replica is one pod"),
        ("--ssl-keyfile=/k", "plain HTTP"),
        ("--api-key=x", "keep keys at the gateway"),
        ("--hf-token", "from a Secret"),
        ("--root-path=/v2", "port 8000"),
        ("--uds=/tmp/s", "port 8000"),
        ("--grpc", "port 8000"),
        ("--disable-log-stats", "readiness and scaling read the metrics"),
        ("--config=/etc/x.yaml", "cannot be checked here"),
        ("--help", "print its help and end"),
        ("--tokens-only", "completed a text prompt"),
        ("--skip-tokenizer-init", "completed a text prompt"),
        ("--revision=main", "has no revisions"),
    ],
)
def test_what_slipway_renders_or_relies_on_is_reserved(arg: str, said: str) -> None:
    refusal = check([arg], accelerator="nvidia")
    assert refusal is not None
    assert refusal.reason == "ReservedEngineArgument"
    assert refusal.message.startswith("spec.engineArgs[0]: --")
    assert said in refusal.message


@pytest.mark.parametrize(
    "args",
    [
        ["--dtype=half", "--dtype=half"],
        ["--max-model-len=512", "--max_model_len=1k"],
        ["--enable-prefix-caching", "--no-enable-prefix-caching"],
        ["--gpu-memory-utilization=0.9", "--device-memory-utilization=0.8"],
        ["--compilation-config={}", "--compilation-config.mode=3"],
        ["--compilation-config.mode=3", "--compilation-config={}"],
        ["--compilation-config.mode=3", "--compilation-config.mode=0"],
        ["--compilation-config.pass_config.x=1", "--compilation-config.pass_config={}"],
        ["--compilation-config.pass_config={}", "--compilation-config.pass_config.x=1"],
        ["--compilation-config.custom_ops=[]", "--compilation-config.custom_ops+=all"],
    ],
    ids=str,
)
def test_setting_the_same_thing_twice_is_refused_naming_both(args: list[str]) -> None:
    refusal = check(["--seed=1", *args], accelerator="nvidia")
    assert refusal is not None
    assert refusal.reason == "RepeatedEngineArgument"
    assert refusal.message.startswith("spec.engineArgs[2]: ")
    assert f"spec.engineArgs[1] ({args[0]})" in refusal.message


@pytest.mark.parametrize("flag", ["--enable-sleep-mode", "--enable-dbo", "--enable_dbo"])
def test_what_a_cpu_cannot_do_is_refused_there_only(flag: str) -> None:
    refusal = check([flag], accelerator="cpu")
    assert refusal is not None
    assert refusal.reason == "UnsupportedEngineArgument"
    assert "spec.accelerator" in refusal.message
    assert check([flag], accelerator="nvidia") is None


def test_turning_off_what_a_cpu_cannot_do_is_accepted_there() -> None:
    assert check(["--no-enable-sleep-mode"], accelerator="cpu") is None


def test_the_first_element_at_fault_is_the_one_named() -> None:
    refusal = check(["--seed=1", "--bogus-a", "--port=1"], accelerator="cpu")
    assert refusal is not None
    assert refusal.message.startswith("spec.engineArgs[1]: --bogus-a")


def test_reserved_flags_exist_in_the_engine() -> None:
    """A misspelt entry would reserve nothing."""
    flags = vllm().options
    assert [flag for flag in (*ENGINE.reserved.flags, *ENGINE.reserved.on_cpu) if flag not in flags] == []
    assert [prefix for prefix in ENGINE.reserved.prefixes if not any(flag.startswith(prefix) for flag in flags)] == []


def test_reserved_values_are_reachable() -> None:
    """The value check looks an option up by the name that messages use, and a refused choice would never get there."""
    for flag, value in ENGINE.reserved.values:
        option = vllm().options[flag]
        assert option.name == flag
        assert not option.choices or value in option.choices


def test_flags_that_slipway_renders_are_in_the_table() -> None:
    rendered = {
        "--host": True,
        "--port": True,
        "--served-model-name": True,
        "--shutdown-timeout": True,
        "--tensor-parallel-size": True,
    }
    assert {flag: vllm().options[flag].takes_value for flag in rendered} == rendered


def test_the_table_is_of_the_pinned_engine_and_sound() -> None:
    table = vllm()
    assert table.version == "0.32.0"
    assert len(table.options) == 430
    for flag, option in table.options.items():
        assert flag in option.flags
        assert option.name.startswith("--")
        assert option.value.removesuffix("?") in {"text", "int", "float", "size", "size|auto", "json", "config"}
        assert option.takes_value in (True, False, "optional")
        assert not (option.choices and option.takes_value is False)


@pytest.mark.parametrize("seed", ["-1", "4294967296"])
def test_a_seed_that_numpy_does_not_take_is_refused(seed: str) -> None:
    refusal = check([f"--seed={seed}"], accelerator="nvidia")
    assert refusal is not None
    assert (
        refusal.message == f"spec.engineArgs[0]: --seed must be at least 0 and at most 4294967295, which {seed} is not"
    )


def test_bounds_are_of_numbers_alone_and_of_options_that_exist() -> None:
    for option in vllm().options.values():
        assert not option.bounds or option.value.startswith(("int", "float", "size"))
        assert {name for name, _ in option.bounds} <= set(engineargs._BOUNDS)
    assert all(vllm().options[flag].name == flag for flag in ENGINE.reserved.bounds)


def test_no_abbreviation_passes() -> None:
    """argparse would complete each of these: the engine's parser has abbreviations on."""
    flags = [flag for flag in vllm().options if flag.startswith("--") and len(flag) > 4]
    shortened = {flag[:-1] for flag in flags} - set(vllm().options)
    refusals = [check([flag], accelerator="nvidia") for flag in shortened]
    assert {refusal.reason if refusal else "accepted" for refusal in refusals} == {"UnknownEngineArgument"}
    assert all(refusal and "abbreviations are refused, write --" in refusal.message for refusal in refusals)


SAMPLES = {"int": "1", "float": "0.5", "size": "16k", "size|auto": "auto", "json": "{}", "config": "{}", "text": "x"}


def sample(option: Option) -> str:
    """The option with a value that the engine takes."""
    if option.takes_value is False:
        return option.name
    free = [choice for choice in option.choices if (option.name, choice) not in ENGINE.reserved.values]
    return f"{option.name}={free[0] if free else SAMPLES[option.value.removesuffix('?')]}"


def test_every_option_of_the_engine_is_accepted_or_reserved() -> None:
    for option in set(vllm().options.values()):
        refusal = check([sample(option)], accelerator="nvidia")
        reserved = option.name in ENGINE.reserved.flags or option.name.startswith(tuple(ENGINE.reserved.prefixes))
        assert (refusal.reason if refusal else None) == ("ReservedEngineArgument" if reserved else None), option


def test_table_file_holds_one_option_a_line() -> None:
    lines = resources.files("slipway.plan.inference").joinpath("vllm_options.json").read_text().splitlines()
    options = [json.loads(line.rstrip(",")) for line in lines[1:-1]]
    assert options == sorted(options, key=lambda option: option["flags"])
    assert len({flag for option in options for flag in option["flags"]}) == 430


@pytest.mark.parametrize("wrong", [{"flags": "--x"}, {"choices": "a"}, {"takes_value": 1}, {"bounds": [1]}], ids=str)
def test_a_misshapen_entry_of_the_table_says_how_to_write_it_anew(wrong: dict[str, object]) -> None:
    with pytest.raises(TypeError, match=r"run scripts/engine-options\.py again"):
        enginetable._option({"flags": ["--x"], "takes_value": True, **wrong})


def test_reading_an_element_normalizes_up_to_the_first_dot_only() -> None:
    argument = read(3, "--compilation_config.pass_config.fuse_x=a=b_c", flexible=True)
    assert (argument.path, argument.flag, argument.key, argument.value) == (
        "spec.engineArgs[3]",
        "--compilation-config",
        "pass_config.fuse_x",
        "a=b_c",
    )
    assert read(0, "--enforce_eager", flexible=True).value is None
    assert read(0, "--dtype=", flexible=True).value == ""


def test_another_parser_takes_a_flag_as_it_is_written() -> None:
    argument = read(0, "--a_b.c=d", flexible=False)
    assert (argument.flag, argument.key, argument.value) == ("--a_b.c", "", "d")
