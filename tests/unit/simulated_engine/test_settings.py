"""The command lines that Slipway renders, as the simulated engine reads them, and the models that it refuses."""

from pathlib import Path

import pytest
from bed.catalog import FILE_IMAGES

from tests.e2e.gpu.engine import settings
from tests.e2e.gpu.engine.behaviour import Behaviour, merged
from tests.e2e.gpu.engine.settings import Dialect, Refused, Settings
from tests.e2e.resources import simulated_service
from tests.unit.plan.inference import test_adapter, test_sglang
from tests.unit.plan.inference.world import from_job, said, settle, spec

from .served import command_line, model_directory


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the pod's mounts are."""
    model_directory(tmp_path / "model/llama")
    adapter = tmp_path / "adapter/uid-7/adapter"
    adapter.mkdir(parents=True)
    (adapter / "adapter_config.json").write_text("{}")
    return tmp_path


def understood(pod: dict[str, list[dict[str, list[str]]]], root: Path) -> Settings:
    main = pod["containers"][0]
    words = [word.replace("/slipway/", f"{root}/") for word in (*main["command"], *main["args"])]
    if words[:2] == ["vllm", "serve"]:
        return settings.read("vllm", words[2:])
    assert words[:3] == ["python3", "-m", "sglang.launch_server"]
    return settings.read("sglang", words[3:])


def test_what_slipway_renders_for_vllm(root: Path) -> None:
    asked = ["--max_num_seqs=3", "--max-model-len=128", "--num-gpu-blocks-override=10", "--dtype=bfloat16"]
    found = understood(test_sglang.pod_of(settle(spec(engineArgs=asked, drainSeconds=7))), root)
    assert found == Settings(
        dialect="vllm",
        model=root / "model/llama",
        names=("chat", "team/chat"),
        host="0.0.0.0",
        port=8000,
        slots=3,
        context_tokens=128,
        kv_tokens=160,
        drain_seconds=7,
        metrics=True,
    )


def test_what_slipway_renders_for_an_adapter(root: Path) -> None:
    found = understood(test_adapter.pod_of(from_job()), root)
    assert found.names == ("chat-base",)
    assert found.adapters == dict.fromkeys(("chat", "team/chat"), root / "adapter/uid-7/adapter")
    assert (found.context_tokens, found.kv_tokens) == (256, 4 * 256)


def test_what_slipway_renders_for_sglang(root: Path) -> None:
    asked = ["--max-running-requests=3", "--max-total-tokens=300"]
    found = understood(test_sglang.pod_of(settle(spec(engine="sglang", image="x:1", engineArgs=asked))), root)
    assert (found.names, found.port, found.slots, found.kv_tokens) == (("chat",), 8000, 3, 300)
    assert found.metrics
    assert found.drain_seconds is None


def test_sglang_has_metrics_only_where_it_is_asked_for_them(root: Path) -> None:
    assert not settings.read("sglang", ["--model-path", str(root / "model/llama")]).metrics


@pytest.mark.parametrize("dialect", ["vllm", "sglang"])
def test_a_model_that_is_not_there_is_refused(dialect: Dialect, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no is no directory"):
        settings.read(dialect, command_line(dialect, tmp_path / "no"))
    with pytest.raises(Refused, match=r"config\.json cannot be read \(No such file or directory\)"):
        settings.read(dialect, command_line(dialect, tmp_path))
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(Refused, match=r"config\.json is no JSON object"):
        settings.read(dialect, command_line(dialect, tmp_path))


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--max-model-len=257", "more than config.json's max_position_embeddings, 256"),
        ("--num-gpu-blocks-override=15", "a KV cache of 240 tokens is too small for one request of 256"),
        ("--lora-modules=a=/nowhere", "/nowhere/adapter_config.json cannot be read"),
    ],
)
def test_what_the_model_cannot_do_is_refused(flag: str, said: str, root: Path) -> None:
    with pytest.raises(Refused, match=said):
        settings.read("vllm", [str(root / "model/llama"), flag])


@pytest.mark.parametrize("flag", ["--max-num-seqs=0", "--port=x", "--shutdown-timeout=-1", "--lora-modules=a"])
def test_a_wrong_command_line_ends_with_2(flag: str, root: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        settings.read("vllm", [str(root / "model/llama"), flag])
    assert ended.value.code == 2


@pytest.mark.parametrize(("engine", "flag"), [("vllm", "--max-num-seqs=1"), ("sglang", "--max-running-requests=1")])
def test_the_service_of_the_cluster_tests_is_accepted_and_understood(engine: str, flag: str, root: Path) -> None:
    model = {"uri": "pvc://models/llama"}
    body = simulated_service("chat", model, behaves={"seed": 7}, engine=engine, engineArgs=[flag])["spec"]
    outcome = settle(body)
    assert said(outcome, "Accepted")[0] == "True"
    pod = test_sglang.pod_of(outcome)
    assert understood(pod, root).slots == 1
    (main,) = pod["containers"]
    environment = {entry["name"]: entry["value"] for entry in main["env"]}
    assert merged(Behaviour(), environment["SIMULATED_ENGINE"]) == Behaviour(seed=7)
    assert main["image"] == FILE_IMAGES["simulated-engine"].tag
