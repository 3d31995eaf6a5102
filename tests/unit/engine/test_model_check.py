"""A model's directory: whole ones pass, and each way of being broken has one sentence with the place and the mend."""

import json
import os
import stat
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from slipway_engine.__main__ import main
from slipway_engine.modelcheck import TOKENIZERS, adapter_problem, problem

OTHER_USER = 65532


def safetensors(tensors: dict[str, int]) -> bytes:
    """A safetensors file of byte tensors of these sizes."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, size_bytes in tensors.items():
        header[name] = {"dtype": "U8", "shape": [size_bytes], "data_offsets": [offset, offset + size_bytes]}
        offset += size_bytes
    raw = json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + bytes(offset)


def index(weight_map: dict[str, str]) -> str:
    return json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map})


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A whole model with one file of weights."""
    (tmp_path / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(safetensors({"a": 10, "b": 6}))
    return tmp_path


@pytest.fixture
def sharded(model: Path) -> Path:
    """A whole model in three shards."""
    (model / "model.safetensors").unlink()
    names = {f"t{k}": f"model-0000{k}-of-00003.safetensors" for k in (1, 2, 3)}
    for tensor, name in names.items():
        (model / name).write_bytes(safetensors({tensor: 8}))
    (model / "model.safetensors.index.json").write_text(index(names))
    return model


def test_a_whole_model_passes(model: Path) -> None:
    assert problem(model) is None


def test_a_whole_sharded_model_passes(sharded: Path) -> None:
    assert problem(sharded) is None


def test_pickled_weights_pass_sharded_or_not(model: Path) -> None:
    (model / "model.safetensors").unlink()
    (model / "pytorch_model.bin").write_bytes(b"PK")
    assert problem(model) is None
    (model / "pytorch_model.bin.index.json").write_text(index({"t": "pytorch_model-00001-of-00001.bin"}))
    assert "lacks 1 of 1 shards in pytorch_model.bin.index.json" in str(problem(model))
    (model / "pytorch_model-00001-of-00001.bin").write_bytes(b"PK")
    assert problem(model) is None


@pytest.mark.parametrize("names", TOKENIZERS, ids="+".join)
def test_each_kind_of_tokenizer_passes(model: Path, names: tuple[str, ...]) -> None:
    (model / "tokenizer.json").unlink()
    for name in names:
        assert "has no tokenizer" in str(problem(model))
        (model / name).write_text("{}")
    assert problem(model) is None


def replace(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda model: (model / name).write_bytes(content)


def remove(name: str) -> Callable[[Path], object]:
    return lambda model: (model / name).unlink()


def header(raw: bytes) -> bytes:
    return struct.pack("<Q", len(raw)) + raw


NESTED = b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}"
UNREADABLE = ("header cannot be read", "copy it again")
WHOLE = safetensors({"a": 10, "b": 6})
BROKEN = {
    "no config": (remove("config.json"), "config.json is missing", "export it with save_pretrained"),
    "config not JSON": (replace("config.json", b"{"), "config.json is not a JSON object", "export the model again"),
    "config not text": (replace("config.json", b"\xff"), "config.json is not a JSON object", "export the model again"),
    "config a list": (replace("config.json", b"[]"), "(it holds a list)", "export the model again"),
    "config nested": (
        replace("config.json", NESTED),
        "config.json is not a JSON object (its values are nested too deeply)",
        "export the model again",
    ),
    "tokenizer nested": (replace("tokenizer.json", NESTED), "tokenizer.json is not a JSON object", "again"),
    "no architectures": (
        replace("config.json", b"{}"),
        "names no architectures",
        '"architectures": ["LlamaForCausalLM"]',
    ),
    "empty architectures": (
        replace("config.json", b'{"architectures": []}'),
        "names no architectures",
        "save_pretrained",
    ),
    "odd architectures": (
        replace("config.json", b'{"architectures": [1]}'),
        "names no architectures",
        "save_pretrained",
    ),
    "no tokenizer": (remove("tokenizer.json"), "has no tokenizer (one of tokenizer.json,", "save the tokenizer into"),
    "tokenizer cut off": (
        replace("tokenizer.json", b'{"a'),
        "tokenizer.json is not a JSON object",
        "save the tokenizer again",
    ),
    "no weights": (
        remove("model.safetensors"),
        "has no weights (*.safetensors or pytorch_model*.bin)",
        "export the model again",
    ),
    "empty weights": (replace("model.safetensors", b""), "model.safetensors is empty", "copy it again"),
    "tiny weights": (replace("model.safetensors", b"abc"), "damaged or cut off", "copy it again"),
    "weights cut off": (
        replace("model.safetensors", WHOLE[:-1]),
        f"has {len(WHOLE) - 1} bytes where its header says {len(WHOLE)}",
        "copy it again",
    ),
    "weights too long": (replace("model.safetensors", WHOLE + b"x"), f"header says {len(WHOLE)}", "copy it again"),
    "header cut off": (replace("model.safetensors", WHOLE[:20]), "damaged or cut off", "copy it again"),
    "header not JSON": (
        replace("model.safetensors", struct.pack("<Q", 3) + b"{{{"),
        *UNREADABLE,
    ),
    "header a list": (
        replace("model.safetensors", struct.pack("<Q", 2) + b"[]"),
        *UNREADABLE,
    ),
    "header without offsets": (
        replace("model.safetensors", struct.pack("<Q", 8) + b'{"a":{}}'),
        *UNREADABLE,
    ),
    "header nested": (replace("model.safetensors", header(NESTED)), *UNREADABLE),
    "header without an end": (
        replace("model.safetensors", header(b'{"a": {"data_offsets": [0, Infinity]}}')),
        *UNREADABLE,
    ),
    "LFS pointer": (
        replace("model.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
        "is a Git LFS pointer",
        "git lfs pull",
    ),
}


@pytest.mark.parametrize(("spoil", "fault", "mend"), BROKEN.values(), ids=BROKEN)
def test_a_broken_model_is_named_with_its_mend(
    model: Path, spoil: Callable[[Path], object], fault: str, mend: str
) -> None:
    spoil(model)
    found = str(problem(model))
    assert found.startswith(str(model))
    assert fault in found
    assert mend in found
    assert "\n" not in found


SECOND = "model-00002-of-00003.safetensors"
BROKEN_SHARDS = {
    "one missing": (remove(SECOND), f"lacks 1 of 3 shards in model.safetensors.index.json ({SECOND})"),
    "one short": (replace(SECOND, safetensors({"t2": 8})[:-1]), f"{SECOND} has"),
    "one empty": (replace(SECOND, b""), f"{SECOND} is empty"),
    "a tensor missing": (
        replace(SECOND, safetensors({"x": 8})),
        f"{SECOND} lacks t2, which model.safetensors.index.json puts",
    ),
    "index not JSON": (replace("model.safetensors.index.json", b"{"), "has no weight_map"),
    "index a list": (replace("model.safetensors.index.json", b"[]"), "has no weight_map"),
    "index of numbers": (replace("model.safetensors.index.json", b'{"weight_map": {"a": 1}}'), "has no weight_map"),
    "index nested": (replace("model.safetensors.index.json", NESTED), "has no weight_map"),
    "index empty": (replace("model.safetensors.index.json", b'{"weight_map": {}}'), "names no files"),
    "index leads out": (
        replace("model.safetensors.index.json", b'{"weight_map": {"a": "../x.safetensors"}}'),
        "files outside its directory",
    ),
}


@pytest.mark.parametrize(("spoil", "fault"), BROKEN_SHARDS.values(), ids=BROKEN_SHARDS)
def test_a_broken_sharded_model_is_named(sharded: Path, spoil: Callable[[Path], object], fault: str) -> None:
    spoil(sharded)
    found = str(problem(sharded))
    assert fault in found
    assert "again" in found


def test_a_name_that_is_no_text_is_told_all_the_same(sharded: Path, tmp_path: Path) -> None:
    (sharded / "model.safetensors.index.json").write_text('{"weight_map": {"a": "\\ud800"}}')
    log = tmp_path / "log"
    assert main(["check", "--model", str(sharded), "--termination-log", str(log)]) == 1
    assert "lacks 1 of 1 shards in model.safetensors.index.json (\\ud800)" in log.read_text()


def test_of_many_missing_shards_three_are_named(sharded: Path) -> None:
    names = {f"t{k}": f"model-{k:05}-of-00009.safetensors" for k in range(1, 10)}
    (sharded / "model.safetensors.index.json").write_text(index(names))
    assert "lacks 9 of 9 shards" in str(problem(sharded))
    assert "model-00003-of-00009.safetensors, ...)" in str(problem(sharded))


def test_an_empty_directory_is_a_path_without_a_model(tmp_path: Path) -> None:
    """Kubernetes makes a missing subPath an empty directory."""
    assert problem(tmp_path) == (
        f"{tmp_path} is empty: the claim has no model at the path that spec.model names; wait for the job that writes "
        "it, or correct the path"
    )


def test_no_directory_and_a_file_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "is a file and not a model's directory" in str(problem(tmp_path / "file"))
    assert "does not exist; check that the claim has the directory" in str(problem(tmp_path / "absent"))


def test_a_model_one_level_deeper_is_pointed_at(tmp_path: Path) -> None:
    (tmp_path / "llama").mkdir()
    (tmp_path / "llama" / "config.json").touch()
    assert "llama/ inside it has one, append it to the path" in str(problem(tmp_path))


@pytest.fixture
def unprivileged_model() -> Iterator[Path]:
    """A whole model whose weights the process, run as another user if it is root, may not read."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        (path / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
        (path / "tokenizer.json").write_text("{}")
        (path / "model.safetensors").write_bytes(WHOLE)
        user = os.geteuid()
        os.seteuid(OTHER_USER if user == 0 else user)
        yield path
        os.seteuid(user)
        path.chmod(0o700)


def as_owner(change: Callable[[], None]) -> None:
    """Do what only the owner of the files may."""
    user = os.geteuid()
    os.seteuid(os.getuid())
    change()
    os.seteuid(user)


def test_weights_that_may_not_be_read_are_a_matter_of_users(unprivileged_model: Path) -> None:
    assert problem(unprivileged_model) is None
    weights = unprivileged_model / "model.safetensors"
    as_owner(lambda: weights.chmod(0))
    found = str(problem(unprivileged_model))
    assert found.startswith(f"{weights} may not be read by this container's user")
    assert "fsGroup" in found


def test_a_directory_that_may_not_be_entered_is_a_matter_of_users_too(unprivileged_model: Path) -> None:
    as_owner(lambda: unprivileged_model.chmod(stat.S_IWUSR))
    assert str(problem(unprivileged_model)).startswith(f"{unprivileged_model} may not be read")


def test_a_failing_volume_is_named(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(self: Path) -> bool:
        raise OSError(116, "Stale file handle", str(self))

    monkeypatch.setattr(Path, "is_dir", stale)
    assert problem(model) == f"{model} cannot be read (Stale file handle); check the volume that holds the model"


def test_the_command_is_silent_about_a_whole_model(model: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    log = tmp_path_factory.mktemp("log") / "termination-log"
    assert main(["check", "--model", str(model), "--termination-log", str(log)]) == 0
    assert not log.exists()


def test_the_command_writes_its_sentence_where_kubernetes_reads_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, model = tmp_path / "termination-log", tmp_path / "model"
    assert main(["check", "--model", str(model), "--termination-log", str(log)]) == 1
    assert log.read_text() == problem(model)
    assert capsys.readouterr().err == f"{problem(model)}\n"


def test_the_sentence_fits_what_kubernetes_keeps(tmp_path: Path) -> None:
    log = tmp_path / "log"
    absent = Path("/", *["y" * 200] * 30)
    assert main(["check", "--model", str(absent), "--termination-log", str(log)]) == 1
    assert len(log.read_bytes()) == 4096


def test_a_termination_log_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    assert main(["check", "--model", str(tmp_path), "--termination-log", str(tmp_path / "no" / "log")]) == 1


# An adapter


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """As peft writes one."""
    found = tmp_path / "adapter"
    found.mkdir()
    (found / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 8}')
    (found / "adapter_model.safetensors").write_bytes(safetensors({"a": 4}))
    return found


def test_a_whole_adapter_passes(model: Path, adapter: Path) -> None:
    assert adapter_problem(adapter) is None
    assert main(["check", "--model", str(model), "--adapter", str(adapter)]) == 0


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_an_adapter_without_one_of_its_files(adapter: Path, name: str) -> None:
    (adapter / name).unlink()
    assert adapter_problem(adapter) == f"{adapter / name} is missing, so {adapter} is no adapter; train it anew"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is not a JSON object"),
        ("[]", "is not a JSON object (it holds a list)"),
        ('{"peft_type": "IA3"}', "says peft_type IA3, and LORA is what the engine serves"),
    ],
)
def test_an_adapter_that_the_engine_would_not_take(adapter: Path, content: str, says: str) -> None:
    (adapter / "adapter_config.json").write_text(content)
    assert says in (adapter_problem(adapter) or "")


def test_an_adapter_that_is_gone_fails_the_check(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, gone = tmp_path / "log", tmp_path / "gone"
    command = ["check", "--model", str(model), "--adapter", str(gone), "--termination-log", str(log)]
    assert main(command) == 1
    assert log.read_text() == f"{gone} does not exist; check that the claim still has what the TrainingJob wrote"
    assert "does not exist" in capsys.readouterr().err
