"""SGLang: its command line from a spec, for the published lmsysorg/sglang.

Requests under any name are answered by the one model (serving_base.py of 0.5.23 looks at what follows a colon alone),
so the service's second name needs no flag. SIGTERM makes it drain without a deadline of its own: the pod's grace
period is the deadline, exactly. `python3 -m sglang.launch_server` is what was run; `sglang serve` first looks whether
the model is one of images, and may ask a hub.
"""

from ...api.inferenceservice import InferenceServiceSpec
from ..names import ENGINE_PORT
from ..observed import Owner
from ..pod.expansion import literal
from .enginekind import Engine
from .modelpaths import model_argument
from .served import Served
from .sglangreserved import RESERVED


def arguments(spec: InferenceServiceSpec, owner: Owner, model: Served) -> list[str]:
    """What follows the command. The user's arguments come last; those that Slipway sets are refused among them."""
    tensor = spec.parallelism.tensor
    return [
        *("--model-path", model_argument(model)),
        *("--host", "0.0.0.0"),  # noqa: S104 - the pod's address is how it is reached
        *("--port", str(ENGINE_PORT)),
        *("--served-model-name", owner.name),
        "--enable-metrics",  # off by default; the heartbeat reads them
        *(("--device", "cpu") if spec.accelerator == "cpu" else ()),
        *(("--tensor-parallel-size", str(tensor)) if tensor > 1 else ()),
        *map(literal, spec.engine_args),
    ]


ENGINE = Engine(
    name="sglang",
    title="SGLang",
    help="python3 -m sglang.launch_server --help",
    command=("python3", "-m", "sglang.launch_server"),
    arguments=arguments,
    environment={},
    cpu_environment={"SGLANG_USE_CPU_ENGINE": "1"},
    flexible=False,
    stop_seconds=0,
    no_adapter=(
        "SGLang answers as an adapter only where a request's model is written <model>:<adapter>, which is not the "
        "service's name, and spec.model comes to an adapter: train with output.merge merged, or set vllm"
    ),
    reserved=RESERVED,
)
