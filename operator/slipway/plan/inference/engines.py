"""The engines that there are, by spec.engine's value. A third one is a file beside vllm.py and a line here."""

from collections.abc import Mapping

from ...api.inferenceservice import InferenceServiceSpec
from . import sglang, vllm
from .enginekind import Engine

ENGINES: Mapping[str, Engine] = {engine.name: engine for engine in (vllm.ENGINE, sglang.ENGINE)}


def engine_of(spec: InferenceServiceSpec) -> Engine:
    return ENGINES[spec.engine]
