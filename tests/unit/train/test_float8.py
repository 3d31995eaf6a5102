"""fp8: what its products are, which layers multiply in it, which device may, and that a run in it is exact and learns.

torch multiplies eight bits on CPUs, too, slowly: so all but the GPU's own kernels is tried here.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from slipway_train.config import Recipe
from slipway_train.course import follow
from slipway_train.errors import RecipeError
from slipway_train.gang import Gang
from slipway_train.progress import Reporter, no_sender
from slipway_train.strategies.float8 import Float8Linear, check_device, use_float8

from .support import parse, recipe_json

CUDA = torch.device("cuda", 0)
SHAPE: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def linear(*, bias: bool = False) -> torch.nn.Linear:
    torch.manual_seed(1)
    return torch.nn.Linear(64, 48, bias=bias)


def rows() -> torch.Tensor:
    return torch.randn(2, 32, 64, generator=torch.Generator().manual_seed(2))


def eighth(matrix: torch.Tensor, form: torch.dtype) -> torch.Tensor:
    """What eight bits keep of a matrix whose largest number is made theirs."""
    scale = matrix.abs().max() / torch.finfo(form).max
    return (matrix / scale).to(form).float() * scale


@pytest.mark.parametrize("bias", [False, True])
def test_a_product_is_that_of_the_rounded_matrices_forward_and_backward(bias: bool) -> None:
    plain, numbers = linear(bias=bias), torch.float8_e4m3fn
    given = rows().to(torch.bfloat16).float().requires_grad_()
    made = Float8Linear.of(plain)(given)
    weight, flat = eighth(plain.weight.detach(), numbers), eighth(given.detach().flatten(0, 1), numbers)
    expected = (flat @ weight.t()).unflatten(0, (2, 32)) + (plain.bias if bias else 0)
    assert made.dtype == torch.bfloat16
    torch.testing.assert_close(made.float(), expected, rtol=0.01, atol=0.02)

    towards = torch.randn(made.shape, generator=torch.Generator().manual_seed(3)).to(torch.bfloat16)
    made.backward(towards)
    gradient = eighth(towards.float().flatten(0, 1), torch.float8_e5m2)
    assert plain.weight.grad is not None
    assert given.grad is not None
    torch.testing.assert_close(plain.weight.grad, gradient.t() @ flat, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(given.grad.flatten(0, 1), gradient @ weight, rtol=0.01, atol=0.02)


def test_it_is_near_the_exact_product_whatever_the_numbers_size() -> None:
    for size in (1e-9, 1.0, 1e4):
        plain = linear()
        exact = plain(rows() * size)
        off = (Float8Linear.of(plain)(rows() * size).float() - exact).norm() / exact.norm()
        assert 0.01 < off < 0.06


def test_a_matrix_of_zeros_gives_zeros() -> None:
    made = Float8Linear.of(linear())(torch.zeros(16, 64, requires_grad=True))
    made.sum().backward()
    assert not made.any()


def test_measured_it_computes_as_usual() -> None:
    plain = linear()
    assert torch.equal(Float8Linear.of(plain).eval()(rows()), plain(rows()))


def test_layers_multiply_in_it_and_embedding_and_head_do_not() -> None:
    model = LlamaForCausalLM(LlamaConfig(**SHAPE))
    before = dict(model.named_parameters())
    use_float8(model)
    after = dict(model.named_parameters())
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before), "weights are the same ones"
    changed = {name for name, module in model.named_modules() if isinstance(module, Float8Linear)}
    assert len(changed) == 2 * 7
    assert all(name.startswith("model.layers.") for name in changed)


def test_a_width_that_no_gpu_multiplies_is_named() -> None:
    model = LlamaForCausalLM(LlamaConfig(**SHAPE | {"num_attention_heads": 8, "num_key_value_heads": 1}))
    with pytest.raises(RecipeError, match=r"^precision: fp8 .*the model's k_proj is 64 by 8: use bf16$"):
        use_float8(model)


def recipe(dataset: Path, precision: str = "fp8") -> Recipe:
    return parse(recipe_json(dataset, precision=precision))


@pytest.mark.parametrize(
    ("capability", "refused"), [((8, 0), True), ((8, 9), False), ((9, 0), False), ((12, 0), False)]
)
def test_an_older_gpu_is_refused_by_its_name(
    capability: tuple[int, int], refused: bool, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA A100-SXM4-80GB")
    check_device(recipe(dataset, "bf16"), CUDA)
    if not refused:
        check_device(recipe(dataset), CUDA)
        return
    with pytest.raises(RecipeError) as error:
        check_device(recipe(dataset), CUDA)
    assert str(error.value) == (
        "precision: fp8 needs a GPU of compute capability 8.9 or more (L4, L40S, H100 and later), and NVIDIA "
        "A100-SXM4-80GB has 8.0: use bf16, or ask for another GPU"
    )


def test_a_device_that_cannot_is_refused_before_anything_is_made(dataset: Path, gang: Gang, tmp_path: Path) -> None:
    with (
        Reporter(no_sender) as reporter,
        pytest.raises(RecipeError, match="fp8 needs a GPU that multiplies it, and this is a cpu: use bf16"),
    ):
        follow(recipe(dataset), gang, tmp_path / "job", reporter=reporter, stop_asked=lambda: False)
    assert not (tmp_path / "job").exists()


def test_a_whole_run_in_it_learns(dataset: Path, gang: Gang, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a CPU, which the trainer refuses: all that is not the GPU's."""
    monkeypatch.setattr("slipway_train.course.check_device", lambda *_: None)
    bits = {}
    model = {"vocabSize": 512, "contextLength": 32, "hiddenSize": 32, "layers": 1, "heads": 2, "kvHeads": 1}
    training = {"steps": 20, "batchSize": 4, "seed": 3, "optimizer": {"learningRate": "0.003", "warmupSteps": 2}}
    for precision in ("bf16", "fp8"):
        asked = parse(recipe_json(dataset, precision=precision, model=model, training=training))
        with Reporter(no_sender) as reporter:
            done = follow(asked, gang, tmp_path / precision, reporter=reporter, stop_asked=lambda: False)
        bits[precision] = float(done.evaluation["bitsPerByte"])
    assert bits["fp8"] == pytest.approx(bits["bf16"], rel=0.02)
    assert bits["fp8"] != bits["bf16"]
    assert LlamaForCausalLM.from_pretrained(tmp_path / "fp8" / "model", dtype="auto").dtype == torch.bfloat16
