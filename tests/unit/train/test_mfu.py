import pytest

from slipway_train.mfu import PEAKS, flops_per_token, mfu_percent, peak_flops


def test_palms_own_figure() -> None:
    """PaLM 540B: 238.3 thousand tokens per second on 6,144 TPU v4 of 275 TFLOP/s are 46.2 % (PaLM, appendix B)."""
    palm = flops_per_token(parameters=540_350_000_000, layers=118, heads=48, head_size=256, sequence_length=2048)
    assert palm == 6 * 540_350_000_000 + 12 * 118 * 48 * 256 * 2048
    used = mfu_percent(tokens_per_second=238_300, flops_per_token=palm, devices=6144, peak_flops=275e12)
    assert used == pytest.approx(46.2, abs=0.05)


def test_megatrons_figure_in_palms_table() -> None:
    """Megatron-Turing NLG 530B, as PaLM's appendix B counts it: 65.43 thousand tokens per second on 2,240 A100: 29.7 to
    30.2 %, without and with attention."""
    dense = flops_per_token(parameters=530_000_000_000, layers=0, heads=0, head_size=0, sequence_length=0)
    used = mfu_percent(tokens_per_second=65_430, flops_per_token=dense, devices=2240, peak_flops=312e12)
    assert used == pytest.approx(29.7, abs=0.1)


def test_frozen_parameters_get_no_gradient() -> None:
    shape = {"layers": 2, "heads": 4, "head_size": 8, "sequence_length": 16}
    trained = flops_per_token(parameters=1000, **shape)
    assert trained == 6 * 1000 + 12 * 2 * 4 * 8 * 16
    assert flops_per_token(parameters=100, frozen_parameters=900, **shape) == trained - 2 * 900


@pytest.mark.parametrize(
    ("device", "precision", "tera"),
    [
        ("NVIDIA H200", "bf16", 989.4),
        ("NVIDIA H200", "fp32", 66.9),
        ("NVIDIA GH200 480GB", "bf16", 989.4),
        ("NVIDIA H200 NVL", "bf16", 835.5),
        ("NVIDIA H100 80GB HBM3", "bf16", 989.4),
        ("NVIDIA H100 PCIe", "bf16", 756.0),
        ("NVIDIA H100 NVL", "bf16", 835.5),
        ("NVIDIA A100-SXM4-80GB", "bf16", 312.0),
        ("NVIDIA A100 80GB PCIe", "fp32", 19.5),
        ("NVIDIA B200", "bf16", 2250.0),
        ("NVIDIA L40S", "bf16", 362.0),
        ("NVIDIA L40", "bf16", 181.0),
        ("NVIDIA L4", "bf16", 121.0),
        ("NVIDIA H100 80GB HBM3", "fp8", 1978.9),
        ("NVIDIA B200", "fp8", 4500.0),
        # none
        ("NVIDIA B200", "fp32", None),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "bf16", None),
        ("NVIDIA A10", "bf16", None),
        ("NVIDIA RTX A1000", "bf16", None),
        ("NVIDIA A100-SXM4-80GB", "fp8", None),
        ("NVIDIA H100 80GB HBM3", "fp16", None),
        ("AMD Instinct MI300X", "bf16", None),
        ("cpu", "fp32", None),
        ("", "bf16", None),
    ],
)
def test_the_peak_of_a_device(device: str, precision: str, tera: float | None) -> None:
    assert peak_flops(device, precision) == (None if tera is None else tera * 1e12)


def test_no_name_hides_another() -> None:
    """The first that is found in a name counts, so each must be found by its own."""
    for name, _, bf16, _ in PEAKS:
        assert peak_flops(f"NVIDIA {name}", "bf16") == bf16 * 1e12
