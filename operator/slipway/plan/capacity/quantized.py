"""How many bits a weight has, by the `quantization_config` of a config.json.

Decided here: which formats are known, and what each leaves in 16 bits: embeddings, norms and routers in all of them. A
format that is not known is refused, for its weights could be of any size. Scales are counted where there is one for a
group of weights; one for a whole channel or block of 128 x 128 is less than a thousandth.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeGuard

from .configreader import ConfigReader, Unplannable
from .decoder import Bits

SCALE_BITS = 16
KNOWN = "fp8, fbgemm_fp8, compressed-tensors, modelopt, awq, gptq, mxfp4, bitsandbytes"
PLAIN = Bits()
MXFP4_MULTIPLES = (256, 128)  # hidden and intermediate size, as Marlin has them (vLLM's fused_moe/oracle/mxfp4.py)


def bits_of(config: ConfigReader) -> Bits:
    """Raises Unplannable."""
    found = config.raw("quantization_config")
    if not isinstance(found, Mapping):
        return PLAIN
    method = str(found.get("quant_method", "")).lower()
    return _spared(_by_method(method, found), found)


def _by_method(method: str, found: Mapping[str, Any]) -> Bits:
    if method in ("fp8", "fbgemm_fp8"):
        return _all(8)
    if method in ("awq", "gptq", "awq_marlin", "gptq_marlin"):
        return _all(_grouped(_bits(found.get("bits") or found.get("w_bit")), found.get("group_size")))
    if method == "mxfp4":  # of the experts alone: blocks of 32 with a scale of 8 bits (OCP MX v1.0, section 5.1)
        return Bits(experts=4 + 8 / 32, expert_multiples=MXFP4_MULTIPLES)
    if method == "bitsandbytes":  # NF4 in blocks of 64 with a scale of 32 bits (Dettmers et al. 2023, section 3)
        return _all(4 + 32 / 64 if found.get("load_in_4bit") else 8)
    if method == "compressed-tensors":
        return _of_groups(found)
    if method == "modelopt":  # NVFP4: blocks of 16 with a scale of 8 bits
        return _all(4 + 8 / 16 if "NVFP4" in str(found.get("quant_algo", "")).upper() else 8)
    name = "config.json: quantization_config.quant_method"
    raise Unplannable(f"{name}: {method or 'missing'}: how large its weights are is not known; known are {KNOWN}")


def _of_groups(found: Mapping[str, Any]) -> Bits:
    groups = found.get("config_groups")
    every = groups.values() if isinstance(groups, Mapping) else ()
    weights = [group.get("weights") for group in every if isinstance(group, Mapping)]
    sizes = [_grouped(_bits(each.get("num_bits")), each.get("group_size")) for each in weights if _holds(each)]
    if not sizes:
        raise Unplannable("config.json: quantization_config.config_groups: has no group with weights.num_bits")
    return _all(max(sizes))


def _holds(weights: object) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(weights, Mapping) and bool(weights)


def _spared(bits: Bits, found: Mapping[str, Any]) -> Bits:
    """Parts that are named as left alone, as a whole: `self_attn` in a pattern, `shared_experts` not."""
    names = found.get("modules_to_not_convert") or found.get("ignored_layers") or found.get("ignore") or []
    patterns = [str(name) for name in names] if isinstance(names, list) else []
    attention = any(name.endswith("self_attn") or ".self_attn." in name or "self_attn.*" in name for name in patterns)
    return replace(bits, attention=16) if attention else bits


def _all(bits: float) -> Bits:
    return Bits(attention=bits, dense=bits, experts=bits)


def _grouped(bits: int, group: object) -> float:
    """With a scale for each group of weights, and a zero point of a weight's size."""
    return bits + (SCALE_BITS + bits) / group if isinstance(group, int) and group > 0 else bits


def _bits(value: object) -> int:
    if isinstance(value, int) and 1 <= value <= 16:
        return value
    raise Unplannable(f"config.json: quantization_config: bits of a weight must be a whole number, 1 to 16: {value!r}")
