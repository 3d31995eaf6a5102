"""What each engine can do under Slipway, told by the code that decides it: flags by the check of `spec.engineArgs`,
fields by the command line that they change. Nothing is said here of how well an engine does it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...api.inferenceservice import InferenceServiceSpec
from ..names import ENGINE_PORT
from ..observed import Owner
from ..volumes import ClaimPath
from .engineargs import check, check_with_adapter
from .enginekind import Engine
from .engines import ENGINES
from .enginetable import read, table
from .served import Adapter, Served

OWNER = Owner("namespace", "name", "", 1, "", False, {}, {})
CLAIM = ClaimPath("claim", "path")
MODEL = Served(CLAIM, ())
WITH_ADAPTER = Served(CLAIM, (), adapter=Adapter(CLAIM, (), 8))


@dataclass(frozen=True, slots=True)
class Feature:
    """Either of fields of the spec (`fields` over the least one, or a `model` that is an adapter), or an element of
    engineArgs for each engine."""

    name: str
    fields: Mapping[str, object] = field(default_factory=dict)
    model: Served = MODEL
    elements: Mapping[str, str] = field(default_factory=dict)


def _flags(name: str, vllm: str, sglang: str) -> Feature:
    return Feature(name, elements={"vllm": vllm, "sglang": sglang})


FEATURES = (
    Feature("tensor parallel (`parallelism.tensor`)", fields={"parallelism": {"tensor": 2}}),
    Feature("an adapter of a TrainingJob, unmerged", model=WITH_ADAPTER),
    Feature("drain (`drainSeconds`)", fields={"drainSeconds": 7}),
    _flags("longest context", "--max-model-len=4096", "--context-length=4096"),
    _flags("share of the GPU's memory", "--gpu-memory-utilization=0.9", "--mem-fraction-static=0.9"),
    _flags("number format", "--dtype=bfloat16", "--dtype=bfloat16"),
    _flags("quantized weights", "--quantization=awq_marlin", "--quantization=awq_marlin"),
    _flags("number format of the KV cache", "--kv-cache-dtype=fp8_e4m3", "--kv-cache-dtype=fp8_e4m3"),
    _flags("chunked prefill", "--enable-chunked-prefill", "--chunked-prefill-size=2048"),
    _flags("prefix caching, off", "--no-enable-prefix-caching", "--disable-radix-cache"),
    _flags("speculative decoding", '--speculative-config={"method": "ngram"}', "--speculative-algorithm=NGRAM"),
    _flags("more adapters, asked for past the gateway", "--lora-modules=a=/a", "--lora-paths=a=/a"),
    _flags("tool calls", "--tool-call-parser=hermes", "--tool-call-parser=hermes"),
    _flags("reasoning", "--reasoning-parser=qwen3", "--reasoning-parser=qwen3"),
    _flags("tracing", "--otlp-traces-endpoint=http://c:4317", "--enable-trace"),
    _flags("expert parallel", "--enable-expert-parallel", "--expert-parallel-size=2"),
    _flags("pipeline parallel", "--pipeline-parallel-size=2", "--pipeline-parallel-size=2"),
    _flags("data parallel in one replica", "--data-parallel-size=2", "--data-parallel-size=2"),
    _flags("several nodes", "--nnodes=2", "--nnodes=2"),
    _flags("embedding models", "--runner=pooling", "--is-embedding"),
)


def matrix() -> list[tuple[str, ...]]:
    """One row a feature after the head: its name, then each engine's cell."""
    head = ("feature", *(f"{engine.title} {table(engine.name).version}" for engine in ENGINES.values()))
    start = ("command", *(f"`{' '.join(engine.command)}`, port {ENGINE_PORT}" for engine in ENGINES.values()))
    return [head, start, *((each.name, *(_cell(each, engine) for engine in ENGINES.values())) for each in FEATURES)]


def markdown() -> str:
    head, *rows = matrix()
    lines = (head, tuple("---" for _ in head), *rows)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(feature: Feature, engine: Engine) -> str:
    if feature.elements:
        return _of_element(feature.elements[engine.name], engine)
    if feature.model.adapter and (refusal := check_with_adapter((), engine)):
        return f"refused: `{refusal.reason}`"
    flags = _added(feature, engine)
    return ", ".join(f"`{flag}`" for flag in flags) or "by the pod's grace period"


def _of_element(element: str, engine: Engine) -> str:
    if refusal := check((element,), engine, accelerator="nvidia"):
        return f"refused: `{refusal.reason}`"
    return f"`{read(0, element, flexible=engine.flexible).flag}`"


def _added(feature: Feature, engine: Engine) -> list[str]:
    """Flags that the command has with the feature, and not without it or not with that value."""
    least = {"model": {"uri": "pvc://claim/path"}, "accelerator": "nvidia"}
    without, found = (
        engine.arguments(InferenceServiceSpec.model_validate(each), OWNER, model)
        for each, model in ((least, MODEL), ({**least, **feature.fields}, feature.model))
    )
    before = _valued(without)
    return [flag for flag, values in _valued(found).items() if before.get(flag) != values and flag in _known(engine)]


def _valued(arguments: list[str]) -> dict[str, tuple[str, ...]]:
    """Each flag with what follows it."""
    found: dict[str, tuple[str, ...]] = {}
    flag = ""
    for each in arguments:
        flag = each if each.startswith("--") else flag
        found[flag] = () if each == flag else (*found.get(flag, ()), each)
    return found


def _known(engine: Engine) -> frozenset[str]:
    return frozenset(table(engine.name).options)
