"""Which model `slipway plan serve` is asked about, and what its file says of how it is served.

Decided here: a file is a model's config.json (or the directory with it, whose index of weights is then believed), or it
holds InferenceServices. The model of such a one is what `--config` names, or what a pretrain TrainingJob in the same
file makes. What the operator would refuse is refused first. What engineArgs say of memory is read; what they say that
is not planned for is told.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..api import inferenceservice, trainingjob
from ..api.common import API_VERSION
from ..api.inferenceservice import EngineName, InferenceServiceSpec
from ..api.trainingjob import ModelSpec, TrainingJob
from ..plan.capacity.classes import device_of
from ..plan.capacity.configreader import Unplannable
from ..plan.capacity.decoder import Decoder, decoder_of
from ..plan.capacity.decoderconfig import decoder_from
from ..plan.capacity.devices import Catalog, Device
from ..plan.capacity.model import shape_of
from ..plan.conditions import Finding
from ..plan.inference import acceptance
from ..plan.inference.engines import engine_of
from ..plan.inference.enginetable import Argument, read, table
from ..plan.observed import Obj, Owner
from .documents import InvalidFile, documents
from .preview import DEFAULT_NAMESPACE, DEFAULTS, accelerators, owner_of

BYTES_MAX = 10**18  # of a checkpoint
NUMBER_MAX = 10**9  # of an engine argument's tokens, as of any flag here
CONFIG, INDEX, WEIGHTS = "config.json", "model.safetensors.index.json", "model.safetensors"
UNPLANNED = frozenset(
    {"--cpu-offload-gb", "--speculative-config", "--enable-lora", "--data-parallel-size", "--quantization"}
    | {"--block-size", "--num-gpu-blocks-override", "--kv-cache-memory-bytes", "--decode-context-parallel-size"}
    | {"--speculative-algorithm", "--lora-paths", "--max-total-tokens", "--page-size", "--dcp-size"}
    | {"--enable-hierarchical-cache", "--enable-hicache", "--swa-full-tokens-ratio"}
)
# What memory depends on, and what each engine calls it.
LENGTH = {"vllm": "--max-model-len", "sglang": "--context-length"}
UTILIZATION = {"vllm": "--gpu-memory-utilization", "sglang": "--mem-fraction-static"}
BATCHED_TOKENS = {"vllm": "--max-num-batched-tokens", "sglang": "--chunked-prefill-size"}
CACHE_DTYPE = "--kv-cache-dtype"

Jobs = Mapping[tuple[str, str], Obj]  # TrainingJobs by namespace and name


@dataclass(frozen=True, slots=True)
class Served:
    """A model, and what its InferenceService says: None where it does not, or there is none."""

    name: str
    decoder: Decoder
    known: Catalog  # the classes of GPUs that can be named
    engine: EngineName | None = None
    device: Device | None = None
    tensor: int | None = None
    context_tokens: int | None = None
    utilization: float | None = None
    cache_dtype: str | None = None
    batched_tokens: int | None = None
    notes: tuple[str, ...] = ()


def served(text: str, file: Path | None, config: Path | None, beside: Sequence[Obj] = ()) -> list[Served]:
    """Of a file's text; `file` is where it is from, `config` what --config names, `beside` the objects of other files.
    Raises InvalidFile."""
    parsed = _json(text)
    if isinstance(parsed, Mapping) and "apiVersion" not in parsed:
        if config is not None:
            raise InvalidFile("--config: belongs to a file with InferenceServices, and this is a model's config.json")
        if services := _of_kind(beside, inferenceservice.KIND):
            name = services[0]["metadata"]["name"]
            raise InvalidFile(f"{inferenceservice.KIND} {name}: name its model with --config, not with -f")
        return [Served((found := _decoder(parsed, file)).name, found, accelerators(beside))]
    bodies = [*documents(text), *beside]
    services = _of_kind(bodies, inferenceservice.KIND)
    if not services:
        raise InvalidFile(f"is neither a model's {CONFIG} nor does it hold an {inferenceservice.KIND}")
    jobs = {_place(body): body for body in _of_kind(bodies, trainingjob.KIND)}
    known = accelerators(bodies)
    return [_of_service(body, jobs, config, known) for body in services]


def _of_kind(bodies: Sequence[Obj], kind: str) -> list[Obj]:
    return [body for body in bodies if (body["apiVersion"], body["kind"]) == (API_VERSION, kind)]


def _place(body: Obj) -> tuple[str, str]:
    return body["metadata"].get("namespace", DEFAULT_NAMESPACE), body["metadata"]["name"]


def _json(text: str) -> object:
    """What is no JSON is YAML, whose own reader complains of it."""
    try:
        return json.loads(text)
    except ValueError as error:  # not JSON, or a number of thousands of digits
        if text.lstrip().startswith("{"):
            raise InvalidFile(f"not JSON: {error}") from error
        return None


def _decoder(config: object, file: Path | None) -> Decoder:
    """Named after its directory, or after a file of another name, beside which no weights are looked for."""
    directory = file.resolve().parent if file and file.name == CONFIG else None
    name = directory.name if directory else file.stem if file else ""
    try:
        return decoder_from(config, name=name, counted_bytes=_counted_bytes(directory) if directory else None)
    except Unplannable as error:
        raise InvalidFile(str(error)) from error


def _counted_bytes(directory: Path) -> int | None:
    """Of the weights beside a config.json, by their index or their only file. Some indexes do not say."""
    index, weights = directory / INDEX, directory / WEIGHTS
    if index.is_file():
        return _total_size(index)
    return weights.stat().st_size if weights.is_file() else None


def _total_size(index: Path) -> int | None:
    mend = "fetch it again, or take it away to have the weights counted"
    try:
        found = json.loads(index.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidFile(f"{INDEX}: not JSON: {error}: {mend}") from error
    metadata = found.get("metadata") or {} if isinstance(found, Mapping) else None
    if not isinstance(metadata, Mapping):
        raise InvalidFile(f"{INDEX}: must be a JSON object, and its metadata one too: {mend}")
    total = metadata.get("total_size")
    if total is None:
        return None
    if isinstance(total, bool) or not isinstance(total, int | float) or not 1 <= total <= BYTES_MAX:
        raise InvalidFile(f"{INDEX}: metadata.total_size: must be a number of bytes, 1 to {BYTES_MAX}: {mend}")
    return int(total)


def _of_service(body: Obj, jobs: Jobs, config: Path | None, known: Catalog) -> Served:
    owner = owner_of(body)
    name = f"{owner.namespace}/{owner.name}"
    spec = _accepted(owner, name, known)
    written = _read(spec)
    arguments = _arguments(written, spec.engine, name)
    return Served(
        name=name,
        decoder=_at(config) if config else _model(spec, jobs, owner),
        engine=spec.engine,
        known=known,
        device=device_of(spec, known),
        tensor=spec.parallelism.tensor,
        context_tokens=arguments.get(LENGTH[spec.engine]),
        utilization=arguments.get(UTILIZATION[spec.engine]),
        cache_dtype=arguments.get(CACHE_DTYPE),
        batched_tokens=max(arguments.get(BATCHED_TOKENS[spec.engine], 0), 0) or None,  # SGLang's -1: not in chunks
        notes=tuple(_unplanned(written)),
    )


def _accepted(owner: Owner, name: str, known: Catalog) -> InferenceServiceSpec:
    """What the operator would look at first, and refuse: it would never come to be served."""
    spec = acceptance.parse(owner)
    if isinstance(spec, Finding):
        raise InvalidFile(f"InferenceService {name}: {spec.message}")
    if spec.accelerator == "cpu":
        raise InvalidFile(f"InferenceService {name}: spec.accelerator is cpu: only GPUs are planned for")
    if refused := acceptance.refusal(spec, DEFAULTS, known):
        raise InvalidFile(f"InferenceService {name}: {refused.message}")
    return spec


def _model(spec: InferenceServiceSpec, jobs: Jobs, owner: Owner) -> Decoder:
    """Of a service that --config says nothing of; its job is of its own namespace."""
    who = f"InferenceService {owner.namespace}/{owner.name}"
    if spec.model.source is None:
        raise InvalidFile(f"{who}: spec.model.uri: cannot be read from here: name its {CONFIG}, --config")
    job = jobs.get((owner.namespace, spec.model.source.training_job))
    field = f"{who}: spec.model.from.trainingJob: {spec.model.source.training_job}"
    if job is None:
        where = f"is not in this file, in namespace {owner.namespace}"
        raise InvalidFile(f"{field}: {where}: add it, or name the model's {CONFIG} with --config")
    made = TrainingJob.read({"spec": owner_of(job).spec}).spec
    if made.recipe != "pretrain":
        raise InvalidFile(
            f"{field}: recipe {made.recipe} does not say how large its model is: name its {CONFIG}, --config"
        )
    return decoder_of(shape_of(made.model or ModelSpec()))


def _at(path: Path) -> Decoder:
    file = path / CONFIG if path.is_dir() else path
    try:
        return _decoder(_json(file.read_text(encoding="utf-8")), file)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidFile(f"--config: {error}") from error


def _read(spec: InferenceServiceSpec) -> list[Argument]:
    flexible = engine_of(spec).flexible
    return [read(at, text, flexible=flexible) for at, text in enumerate(spec.engine_args)]


def _arguments(written: Sequence[Argument], engine: str, name: str) -> dict[str, Any]:
    """Of --flag=value elements, those that memory depends on, by the flag's name here whatever the file's is."""
    kinds = {LENGTH[engine]: int, BATCHED_TOKENS[engine]: int, UTILIZATION[engine]: float, CACHE_DTYPE: str}
    options = table(engine).options
    here = {flag: known for known in kinds for flag in options[known].flags}
    found: dict[str, Any] = {}
    for argument in written:
        if argument.flag not in here or argument.value is None:
            continue
        known = here[argument.flag]
        try:
            value = kinds[known](argument.value)
        except ValueError:
            what = "write it as a plain number to have it planned for"
            raise InvalidFile(f"InferenceService {name}: {argument.path}: {argument.text}: {what}") from None
        if kinds[known] is int and value > NUMBER_MAX:
            raise InvalidFile(f"InferenceService {name}: {argument.path}: {known} must be at most {NUMBER_MAX}")
        found[known] = value
    return found


def _unplanned(written: Sequence[Argument]) -> list[str]:
    return [
        f"{each.path}: {each.flag} changes memory, and is not planned for" for each in written if each.flag in UNPLANNED
    ]
