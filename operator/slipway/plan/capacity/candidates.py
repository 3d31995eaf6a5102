"""What a model could be served on: every GPU, degree and precision that is worth a line, and whether it fits.

Decided here: tensor parallelism stays inside a node, and a replica has no more GPUs than there are. A checkpoint of 16
bits could be quantized to 8 bits, where the GPU multiplies those, or to 4: another checkpoint, which the user would
have to bring. Whether a candidate fits is the engine's own arithmetic (enginememory, kvcache): one request of the asked
length must. No more requests run at once than the engine's default lets.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from .decoder import Bits, Decoder
from .devices import Device
from .enginememory import Parts, default_batched_tokens, default_budget, parts
from .fit import gib
from .kvcache import Cache, Engine, held, token_bytes
from .roofline import Replica, Work, sent_bytes
from .serving import Demand, Speed, dollars_per_million, most_requests, speed
from .sharding import Sharding, impossible

QUANTIZED = {"fp8": 8.0, "int4": 4 + 20 / 128}  # bits of a weight; in groups of 128, as AWQ has them


@dataclass(frozen=True, slots=True)
class Fleet:
    """What there is: so many GPUs of each of `devices`, in nodes of `per_node`; one kind is chosen, not a mixture."""

    devices: Sequence[Device]
    gpus: int
    per_node: int


@dataclass(frozen=True, slots=True)
class Settings:
    """How the engine is started. `batched_tokens` None is its default for the GPU."""

    engine: Engine
    utilization: float
    cache_bits: int = 16
    batched_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    fleet: Fleet
    settings: Settings
    demand: Demand


@dataclass(frozen=True, slots=True)
class Candidate:
    """`precision` is the checkpoint's own where it is "as is". `parts` are of the fullest GPU, `token_bytes` and
    `sent_bytes` of a token on one GPU, `speed` of one replica: None where nothing runs, and `problem` says why."""

    device: Device
    sharding: Sharding
    precision: str
    parts: Parts | None
    kv_tokens: int
    token_bytes: int
    sent_bytes: float
    fitting_requests: int
    speed: Speed | None
    replicas: int
    dollars_per_million: float | None
    problem: str | None

    @property
    def gpus(self) -> int:
        return self.sharding.gpus * self.replicas

    @property
    def output_tokens_per_second(self) -> float:
        """Of all replicas."""
        return self.speed.output_tokens_per_second * self.replicas if self.speed else 0.0


def candidates(decoder: Decoder, fleet: Fleet, settings: Settings, demand: Demand) -> Iterator[Candidate]:
    """All of them, those that cannot be included. Fewest GPUs first, and of equals most tensor parallelism."""
    for device in fleet.devices:
        for precision, quantized in precisions(decoder, device):
            for sharding in shardings(fleet.gpus, len(decoder.layers)):
                empty = Candidate(device, sharding, precision, None, 0, 0, 0, 0, None, 0, None, None)
                yield _judged(empty, quantized, Asked(fleet, settings, demand))


def shardings(gpus: int, layers: int) -> list[Sharding]:
    """Tensor parallelism in powers of two, as heads divide; pipelines of any length, but each stage has a layer."""
    degrees = [1 << power for power in range(gpus.bit_length()) if 1 << power <= gpus]
    pairs = [Sharding(tensor, pipeline) for tensor in degrees for pipeline in range(1, min(gpus // tensor, layers) + 1)]
    return sorted(pairs, key=lambda each: (each.gpus, each.pipeline))


def precisions(decoder: Decoder, device: Device) -> Iterator[tuple[str, Decoder]]:
    """As it is, and what a checkpoint of 16 bits could be made into for this GPU."""
    yield "as is", decoder
    if decoder.bits != Bits():
        return
    for name, bits in QUANTIZED.items():
        if name != "fp8" or device.fp8_flops:
            quantized = replace(decoder.bits, attention=bits, dense=bits, experts=bits)
            yield name, replace(decoder, bits=quantized, counted_bytes=None)


def _judged(empty: Candidate, decoder: Decoder, asked: Asked) -> Candidate:
    sharding = empty.sharding
    if why := impossible(decoder, sharding):
        return replace(empty, problem=why)
    if sharding.tensor > (per_node := asked.fleet.per_node):
        return replace(empty, problem=f"tensor {sharding.tensor} is more than the {per_node} GPUs of a node")
    measured = _measured(empty, decoder, asked)
    if problem := _does_not_fit(measured, asked.demand):
        return replace(measured, problem=problem)
    return _running(measured, Replica(decoder, sharding, empty.device, asked.settings.cache_bits), asked)


def _measured(empty: Candidate, decoder: Decoder, asked: Asked) -> Candidate:
    """With its memory."""
    device, sharding, settings = empty.device, empty.sharding, asked.settings
    cache = Cache(settings.engine, settings.batched_tokens or default_batched_tokens(device), settings.cache_bits)
    budget = default_budget(device, cache, settings.utilization)
    found = parts(decoder, sharding, budget)
    room = held(decoder, sharding, [each.free for each in found], cache, request_tokens=asked.demand.tokens)
    return replace(
        empty,
        parts=min(found, key=lambda each: each.free),
        kv_tokens=room.tokens,
        token_bytes=token_bytes(decoder, sharding, settings.cache_bits),
        fitting_requests=min(int(room.requests), budget.sequences),
    )


def _does_not_fit(measured: Candidate, demand: Demand) -> str | None:
    assert measured.parts is not None
    usable, free = gib(measured.parts.usable), measured.parts.free
    if free <= 0:
        return f"weights take {gib(measured.parts.weights)} GiB of a GPU, and {usable} of it are the engine's"
    if measured.fitting_requests == 0:
        tokens = f"a request of {demand.tokens:,} tokens"
        return f"{gib(free)} GiB are left for keys and values, which is {measured.kv_tokens:,} tokens: not {tokens}"
    return None


def _running(measured: Candidate, replica: Replica, asked: Asked) -> Candidate:
    """With its speed, and as many replicas as the rate takes, or as there are GPUs for."""
    demand = asked.demand
    requests = most_requests(replica, demand, measured.fitting_requests)
    found = speed(replica, demand, max(1, requests))
    sent = sent_bytes(replica, Work(1, demand.tokens))
    most = asked.fleet.gpus // measured.sharding.gpus
    needed = most if demand.rate is None else -(-demand.rate // found.requests_per_second)
    running = replace(measured, speed=found, replicas=max(1, min(most, int(needed))), sent_bytes=sent)
    price = measured.device.dollars_per_hour
    cost = None if price is None else _cost(running, found, demand, price)
    problem = _too_slow(running, found, demand, needed=needed, most=most)
    return replace(running, dollars_per_million=cost, problem=problem)


def _cost(running: Candidate, found: Speed, demand: Demand, price: float) -> float:
    """With the asked rate where there is one: GPUs that wait are paid for too."""
    full = dollars_per_million(found, running.sharding.gpus, price)
    if demand.rate is None:
        return full
    used = min(1.0, demand.rate / (found.requests_per_second * running.replicas))
    return full / used


def _too_slow(running: Candidate, found: Speed, demand: Demand, *, needed: float, most: int) -> str | None:
    if demand.ttft_seconds is not None and found.ttft_seconds > demand.ttft_seconds:
        return f"the first token is expected after {found.ttft_seconds * 1000:.0f} ms, alone"
    if demand.itl_seconds is not None and found.itl_seconds > demand.itl_seconds:
        return f"{found.itl_seconds * 1000:.0f} ms are expected between tokens, alone"
    if needed > most:
        able = found.requests_per_second * most
        return f"{running.gpus} GPUs answer {able:.2g} requests a second"
    return None
