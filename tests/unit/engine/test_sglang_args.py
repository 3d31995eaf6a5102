"""SGLang's flags: its option table, what is reserved in it, and that its parser's spelling is not vLLM's."""

import pytest

from slipway.api.common import Accelerator
from slipway.plan.inference import engineargs
from slipway.plan.inference.engineargs import Refusal
from slipway.plan.inference.enginetable import Option, table
from slipway.plan.inference.sglang import ENGINE

SAMPLES = {"int": "1", "float": "0.5", "si size": "16Ki", "json": "{}", "config": "{}", "text": "x"}
RENDERED = ("--model-path", "--host", "--port", "--served-model-name", "--tensor-parallel-size", "--device")


def check(*engine_args: str, accelerator: Accelerator = "nvidia") -> Refusal | None:
    return engineargs.check(engine_args, ENGINE, accelerator=accelerator)


def test_the_table_is_of_the_pinned_engine_and_sound() -> None:
    known = table("sglang")
    assert (known.version, len(known.options)) == ("0.5.23", 561)
    for flag, option in known.options.items():
        assert flag in option.flags
        assert option.name.startswith("--")
        assert option.value.removesuffix("?") in SAMPLES
        assert not option.dotted, "argparse knows no --flag.key=value"


@pytest.mark.parametrize("accelerator", ["cpu", "nvidia"])
def test_what_a_server_is_commonly_given_is_accepted(accelerator: Accelerator) -> None:
    common = [
        *("--context-length=8192", "--mem-fraction-static=0.9", "--dtype=bfloat16", "--kv-cache-dtype=fp8_e5m2"),
        *("--chunked-prefill-size=4096", "--disable-radix-cache", "--quantization=awq", "--trust-remote-code"),
        *("--tool-call-parser=qwen25", "--reasoning-parser=qwen3", "--attention-backend=torch_native"),
        *("--speculative-algorithm=EAGLE", "--speculative-draft-model-path=/d", "--lora-paths=a=/a", "--ep-size=2"),
    ]
    assert check(*common, accelerator=accelerator) is None


@pytest.mark.parametrize(
    ("element", "reason", "words"),
    [
        ("--max-model-len=1", "UnknownEngineArgument", "is not an option of SGLang 0.5.23"),
        ("--mem_fraction_static=0.5", "UnknownEngineArgument", "did you mean --mem-fraction-static?"),
        ("--mem-fraction=0.5", "UnknownEngineArgument", "abbreviations are refused, write --mem-fraction-static"),
        ("--zzzqqq", "UnknownEngineArgument", "`python3 -m sglang.launch_server --help`"),
        ("--extra-metric-labels.a=b", "UnknownEngineArgument", "is not an option of SGLang"),
        ("--model-type=diffusion", "UnknownEngineArgument", "is not an option of SGLang"),
        ("--tp-size=2", "ReservedEngineArgument", "--tp-size is not yours to set: set spec.parallelism.tensor"),
        ("--pp-size=2", "ReservedEngineArgument", "a replica is one pod"),
        ("--dp-size=2", "ReservedEngineArgument", "a replica is one pod"),
        ("--model=x", "ReservedEngineArgument", "spec.model says what is served"),
        ("--disaggregation-mode=prefill", "ReservedEngineArgument", "prompts and tokens both"),
        ("--load-format=remote_instance", "ReservedEngineArgument", "the directory that spec.model names"),
        ("--context-length=16K", "InvalidEngineArgument", "takes a whole number, or one like 16k or 16Ki"),
        ("--context-length=1.5Ki", "InvalidEngineArgument", "takes a whole number"),
        ("--mem-fraction-static=0", "InvalidEngineArgument", "must be above 0 and below 1"),
        ("--disable-radix-cache=true", "InvalidEngineArgument", "takes no value"),
        ("--kv-cache-dtype=int3", "InvalidEngineArgument", "choose one of"),
        ("--dtype", "InvalidEngineArgument", "needs a value"),
    ],
)
def test_what_is_refused_says_why(element: str, reason: str, words: str) -> None:
    refusal = check(element)
    assert refusal is not None
    assert refusal.reason == reason
    assert refusal.message.startswith("spec.engineArgs[0]: ")
    assert words in refusal.message


@pytest.mark.parametrize("size", ["16384", "16k", "1.5k", "16Ki", "-1"])
def test_sizes_are_written_as_its_own_conversion_reads_them(size: str) -> None:
    assert check(f"--context-length={size}") is None


def test_two_spellings_of_one_option_are_one() -> None:
    refusal = check("--ep-size=2", "--expert-parallel-size=4")
    assert refusal is not None
    assert refusal.reason == "RepeatedEngineArgument"


def test_reserved_flags_exist_in_the_engine() -> None:
    """A misspelt entry would reserve nothing; values and bounds are looked up by the name that messages use."""
    flags = table("sglang").options
    assert [flag for flag in ENGINE.reserved.flags if flag not in flags] == []
    assert [prefix for prefix in ENGINE.reserved.prefixes if not any(flag.startswith(prefix) for flag in flags)] == []
    for flag, value in ENGINE.reserved.values:
        assert flags[flag].name == flag
        assert value in flags[flag].choices
    assert all(flags[flag].name == flag for flag in ENGINE.reserved.bounds)


@pytest.mark.parametrize("flag", RENDERED)
def test_flags_that_slipway_renders_are_in_the_table_and_reserved(flag: str) -> None:
    assert table("sglang").options[flag].takes_value is True
    refusal = check(f"{flag}=1")
    assert refusal is not None
    assert refusal.reason == "ReservedEngineArgument"


def sample(option: Option) -> str:
    """The option with a value that the engine takes."""
    if option.takes_value is False:
        return option.name
    free = [choice for choice in option.choices if (option.name, choice) not in ENGINE.reserved.values]
    return f"{option.name}={free[0] if free else SAMPLES[option.value.removesuffix('?')]}"


def is_reserved(option: Option) -> bool:
    reserved = ENGINE.reserved
    return any(flag in reserved.flags or flag.startswith(tuple(reserved.prefixes)) for flag in option.flags)


def test_every_option_of_the_engine_is_accepted_or_reserved() -> None:
    for option in set(table("sglang").options.values()):
        refusal = check(sample(option))
        expected = "ReservedEngineArgument" if is_reserved(option) else None
        assert (refusal.reason if refusal else None) == expected, option
