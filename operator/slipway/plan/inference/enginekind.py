"""What Slipway must know of an engine to run it: one `Engine` each in vllm.py and sglang.py, all of them in engines.py.

The pod, the sidecar, drain and the check of `spec.engineArgs` are the same for all; here is where engines differ. What
an engine cannot do is said here too, so that it is refused with that sentence instead of dropped.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ...api.inferenceservice import InferenceServiceSpec
from ..observed import Owner
from .served import Served

Arguments = Callable[[InferenceServiceSpec, Owner, Served], list[str]]
Bounds = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """Flags that `spec.engineArgs` may not set, each with the reason and the mend, by any spelling of the flag.

    `values` are those of flags that are otherwise free, by the option's name; `with_adapter` is of services whose
    TrainingJob wrote an adapter alone; `on_cpu` what the engine refuses or ignores there. `bounds` are of numbers that
    the option table has none for, by the option's name.
    """

    flags: Mapping[str, str]
    prefixes: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[tuple[str, str], str] = field(default_factory=dict)
    with_adapter: Mapping[str, str] = field(default_factory=dict)
    on_cpu: Mapping[str, str] = field(default_factory=dict)
    bounds: Mapping[str, Bounds] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """`name` is spec.engine's value, and its option table is `<name>_options.json`.

    `arguments` are what follows `command`, the user's last. `flexible`: its parser reads `_` as `-` in a flag, and
    --flag.key=value as one key of a JSON option. `stop_seconds`: from the end of its own drain to SIGKILL; 0 of an
    engine that drains without an end of its own, which the pod's grace period then is. `no_adapter`: why it cannot
    answer as an adapter under the service's name, and the mend; "" where it can.
    """

    name: str
    title: str
    help: str
    command: tuple[str, ...]
    arguments: Arguments
    environment: Mapping[str, str]
    cpu_environment: Mapping[str, str]
    flexible: bool
    stop_seconds: int
    no_adapter: str
    reserved: Reserved
