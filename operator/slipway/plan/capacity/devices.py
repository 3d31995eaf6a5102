"""Classes of GPUs: which there are, and which of them a name or a nodeSelector means.

Decided here: an Accelerator of the cluster goes before the built-in class of its name, and before any built-in one on
the same nodes; the built-in ones are there whether or not the cluster has objects for them. A nodeSelector means a
class when it holds all of its labels exactly: a shared or partitioned card (`NVIDIA-A100-SXM4-40GB-SHARED`,
`...-MIG-3g.20gb`) is another label, hence unknown, for its memory is not one job's. Of several classes the one with the
most labels is meant; where two are equal in that, nothing is guessed. The built-in figures, and where they are from,
are in accelerators.yaml.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import yaml
from pydantic import ValidationError

from ...api.accelerator import AcceleratorSpec

GIB = 1 << 30
REGENERATE = "slipway accelerators --output charts/slipway/files"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One GPU. Link rates are of one direction: half of what data sheets call NVLink's bandwidth.

    A rate of operations is None where the tensor cores have no such numbers. `link` joins the GPUs of a node, `host` is
    PCI Express. The price is of an hour of one GPU, None where none is known.
    """

    name: str  # the Accelerator's; what `slipway plan train --gpu` and `slipway plan serve --accelerator` take
    labels: Mapping[str, str]  # of the nodes that have it
    memory_bytes: int
    memory_bytes_per_second: float
    fp16_flops: float
    bf16_flops: float | None
    fp8_flops: float | None
    link_bytes_per_second: float
    host_bytes_per_second: float
    dollars_per_hour: float | None = None
    price_source: str | None = None

    def is_called(self, model: str) -> bool:
        """Whether the card is of this model, in lower-case letters. An Accelerator may have any name: the engines go by
        the card's own, which is in its nodes' labels."""
        return any(model in text.lower() for text in (self.name, *self.labels.values()))


@dataclass(frozen=True, slots=True)
class Catalog:
    """The classes that there are, by name. `declared`: those of the cluster's own objects; `unreadable`: what is wrong
    with those that cannot be counted with."""

    classes: Mapping[str, Device]
    declared: frozenset[str] = frozenset()
    unreadable: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> str:
        """For a person."""
        return ", ".join(sorted(self.classes))

    def selected(self, node_selector: Mapping[str, Any]) -> Device | None:
        """The class whose nodes a pod's nodeSelector asks for."""
        meant = [each for each in self.classes.values() if each.labels.items() <= _texts(node_selector).items()]
        ranked = sorted(meant, key=self._claim, reverse=True)
        if len(ranked) > 1 and self._claim(ranked[0]) == self._claim(ranked[1]):
            return None
        return ranked[0] if ranked else None

    def _claim(self, device: Device) -> tuple[bool, int]:
        return device.name in self.declared, len(device.labels)


def _texts(node_selector: Mapping[str, Any]) -> dict[str, str]:
    """Of a selector that nobody has checked yet."""
    return {key: value for key, value in node_selector.items() if isinstance(value, str)}


def catalog(specs: Mapping[str, object]) -> Catalog:
    """The built-in classes and the cluster's over them: the specs of its Accelerators, by name."""
    read = {name: _read(name, spec) for name, spec in specs.items()}
    known = {name: found for name, found in read.items() if isinstance(found, Device)}
    wrong = {name: found for name, found in read.items() if isinstance(found, str)}
    over = {name: device for name, device in BUILT_IN.classes.items() if name not in read}
    return Catalog({**over, **known}, frozenset(known), wrong)


def _read(name: str, spec: object) -> Device | str:
    """The class, or what is wrong with its spec."""
    try:
        return _device(name, AcceleratorSpec.model_validate(spec))
    except ValidationError as error:
        return "; ".join(f"{'.'.join(map(str, ('spec', *each['loc'])))}: {each['msg']}" for each in error.errors())


def _device(name: str, spec: AcceleratorSpec) -> Device:
    """From GiB, GB/s and TFLOP/s, as data sheets have them."""
    rates = spec.teraflops
    return Device(
        name=name,
        labels=spec.node_labels,
        memory_bytes=round(float(spec.memory_gib) * GIB),
        memory_bytes_per_second=spec.memory_gigabytes_per_second * 1e9,
        fp16_flops=rates.fp16 * 1e12,
        bf16_flops=None if rates.bf16 is None else rates.bf16 * 1e12,
        fp8_flops=None if rates.fp8 is None else rates.fp8 * 1e12,
        link_bytes_per_second=spec.link_gigabytes_per_second * 1e9,
        host_bytes_per_second=spec.host_gigabytes_per_second * 1e9,
        dollars_per_hour=None if spec.dollars_per_hour is None else float(spec.dollars_per_hour),
        price_source=spec.price_source,
    )


@cache
def built_in_text() -> str:
    """accelerators.yaml, as `kubectl apply` takes it."""
    return resources.files(__package__).joinpath("accelerators.yaml").read_text(encoding="utf-8")


def _built_in(bodies: Iterable[Mapping[str, Any]]) -> dict[str, Device]:
    named = {body["metadata"]["name"]: body["spec"] for body in bodies}
    return {name: _device(name, AcceleratorSpec.model_validate(spec)) for name, spec in named.items()}


BUILT_IN = Catalog(_built_in(yaml.safe_load_all(built_in_text())))
