"""vLLM: its command line from a spec, the same on Slipway's CPU image and on the published vllm/vllm-openai.

What a CPU needs beyond it is environment, and no compilation: the CPU image has no compiler, and without one the engine
ends at its start. Flags such as --dtype are the user's to give in engineArgs.
"""

from ...api.inferenceservice import InferenceServiceSpec
from ..names import ENGINE_PORT, qualified_model
from ..observed import Owner
from ..pod.expansion import literal
from .enginekind import Engine
from .modelpaths import adapter_argument, model_argument
from .served import Adapter, Served
from .vllmreserved import RESERVED

LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # what --max-lora-rank may be (vllm/config/lora.py of 0.32.0)


def arguments(spec: InferenceServiceSpec, owner: Owner, model: Served) -> list[str]:
    """What follows `vllm serve`. The user's arguments come last; those that Slipway sets are refused among them."""
    tensor = spec.parallelism.tensor
    return [
        model_argument(model),
        *("--host", "0.0.0.0"),  # noqa: S104 - the pod's address is how it is reached
        *("--port", str(ENGINE_PORT)),
        *_names(owner, model.adapter),
        *("--shutdown-timeout", str(spec.drain_seconds)),
        *(("--tensor-parallel-size", str(tensor)) if tensor > 1 else ()),
        *(("--enforce-eager",) if spec.accelerator == "cpu" else ()),
        *map(literal, spec.engine_args),
    ]


def _names(owner: Owner, adapter: Adapter | None) -> tuple[str, ...]:
    """What answers to the service's names: the model, or the adapter on it. The engine has no second name for an
    adapter, so it is loaded under each, and both may be in one batch. The tokenizer is the adapter's: its chat template
    is what it was trained by, which the model's own need not be."""
    both = (owner.name, qualified_model(owner.namespace, owner.name))
    if adapter is None:
        return ("--served-model-name", *both)
    rank = next(rank for rank in LORA_RANKS if rank >= adapter.rank)
    modules = (f"{name}={adapter_argument(adapter)}" for name in both)
    lora = (
        "--tokenizer",
        adapter_argument(adapter),
        "--enable-lora",
        "--max-loras",
        str(len(both)),
        "--max-lora-rank",
        str(rank),
    )
    return ("--served-model-name", f"{owner.name}-base", *lora, "--lora-modules", *modules)


ENGINE = Engine(
    name="vllm",
    title="vLLM",
    help="vllm serve --help=all",
    command=("vllm", "serve"),
    arguments=arguments,
    environment={"VLLM_NO_USAGE_STATS": "1"},
    # GiB of KV cache, since there is no GPU memory to take a share of; threads are left unpinned, because a pod that
    # shares its node's cores would pin them to cores that others use.
    cpu_environment={"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"},
    flexible=True,
    stop_seconds=15,
    no_adapter="",
    reserved=RESERVED,
)
