"""Is a directory a Hugging Face model that an engine can load? Decided before the engine starts.

An engine that finds no model tries the hub, fails minutes later, and says so in a traceback. This says what is missing,
where, and what to do, in one sentence that Kubernetes shows as the container's termination message.

The ordered list `CHECKS` is the documentation. Only headers of weights are read, so that a large model costs no time.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .jsonfile import parsed
from .weights import weights_problem

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")

# Any one of these sets of files is a tokenizer.
TOKENIZERS = (
    ("tokenizer.json",),
    ("tokenizer.model",),
    ("vocab.json", "merges.txt"),
    ("vocab.txt",),
    ("spiece.model",),
    ("sentencepiece.bpe.model",),
    ("tekken.json",),
)


def problem(model: Path) -> str | None:
    """One sentence that says why `model` cannot be served and what to do, or None."""
    return _first(CHECKS, model)


def adapter_problem(adapter: Path) -> str | None:
    """Likewise for an adapter, a directory as peft writes it."""
    return _first(ADAPTER_CHECKS, adapter)


def _first(checks: Sequence[Callable[[Path], str | None]], model: Path) -> str | None:
    try:
        return next((found for check in checks if (found := check(model))), None)
    except PermissionError as error:
        return (
            f"{error.filename} may not be read by this container's user; let the job that writes the model and the "
            "engine run as the same user or group (fsGroup), or change the file's mode"
        )
    except OSError as error:
        return f"{error.filename or model} cannot be read ({error.strerror}); check the volume that holds the model"


def directory_present(model: Path) -> str | None:
    if model.is_dir():
        return None
    if model.exists():
        return f"{model} is a file and not a model's directory; name the directory that holds config.json in spec.model"
    return f"{model} does not exist; check that the claim has the directory that spec.model names"


def directory_filled(model: Path) -> str | None:
    if any(model.iterdir()):
        return None
    return (
        f"{model} is empty: the claim has no model at the path that spec.model names; wait for the job that writes it, "
        "or correct the path"
    )


def configuration_present(model: Path) -> str | None:
    path = model / "config.json"
    if path.is_file():
        return None
    inside = sorted(child.parent.name for child in model.glob("*/config.json"))
    hint = f"{inside[0]}/ inside it has one, append it to the path" if inside else "export it with save_pretrained"
    return f"{path} is missing, so {model} is not a Hugging Face model directory; {hint}"


def configuration_valid(model: Path) -> str | None:
    path = model / "config.json"
    try:
        architectures = _object(path).get("architectures")
    except ValueError as error:
        return f"{path} is not a JSON object ({error}); export the model again"
    if isinstance(architectures, list) and architectures and all(isinstance(name, str) for name in architectures):
        return None
    return (
        f"{path} names no architectures, so no engine knows what to build; export the model with save_pretrained, "
        'or add, for example, "architectures": ["LlamaForCausalLM"]'
    )


def tokenizer_present(model: Path) -> str | None:
    if any(all((model / name).is_file() for name in names) for names in TOKENIZERS):
        return None
    known = ", ".join(" with ".join(names) for names in TOKENIZERS)
    return f"{model} has no tokenizer (one of {known}); save the tokenizer into the model's directory"


def tokenizer_valid(model: Path) -> str | None:
    path = model / "tokenizer.json"
    try:
        if path.is_file():
            _object(path)
    except ValueError as error:
        return f"{path} is not a JSON object ({error}); save the tokenizer again"
    return None


def adapter_complete(adapter: Path) -> str | None:
    if not adapter.is_dir():
        return f"{adapter} does not exist; check that the claim still has what the TrainingJob wrote"
    missing = next((name for name in ADAPTER_FILES if not (adapter / name).is_file()), None)
    return missing and f"{adapter / missing} is missing, so {adapter} is no adapter; train it anew"


def adapter_low_rank(adapter: Path) -> str | None:
    path = adapter / "adapter_config.json"
    try:
        kind = _object(path).get("peft_type")
    except ValueError as error:
        return f"{path} is not a JSON object ({error}); train the adapter anew"
    return None if kind == "LORA" else f"{path} says peft_type {kind}, and LORA is what the engine serves"


def _object(path: Path) -> dict[str, Any]:
    """Raises ValueError, with the place, when the file holds no JSON object."""
    found = parsed(path.read_bytes())
    if not isinstance(found, dict):
        raise ValueError(f"it holds a {type(found).__name__}")
    return found


CHECKS: tuple[Callable[[Path], str | None], ...] = (
    directory_present,
    directory_filled,
    configuration_present,
    configuration_valid,
    tokenizer_present,
    tokenizer_valid,
    weights_problem,
)
ADAPTER_CHECKS: tuple[Callable[[Path], str | None], ...] = (adapter_complete, adapter_low_rank)
