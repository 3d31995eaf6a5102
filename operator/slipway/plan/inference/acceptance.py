"""Whether a spec can be carried out at all: what is refused, with the field and the mend in the message.

The list at the end is the order in which a user is told. Nothing refused here touches the children that run already.
"""

from collections.abc import Callable

from pydantic import ValidationError

from ...api.inferenceservice import InferenceServiceSpec
from .. import depth
from ..capacity.classes import class_refusal
from ..capacity.devices import BUILT_IN, Catalog
from ..conditions import Finding
from ..observed import Owner
from ..outcome import Defaults
from ..pod.policy import violations
from . import engine, engineargs
from .engines import engine_of
from .pods import RESERVED
from .served import Served
from .source import URI_FIELD, parse_uri

Check = Callable[[InferenceServiceSpec, Defaults], Finding | None]


def parse(owner: Owner) -> InferenceServiceSpec | Finding:
    """The spec, or every field that is wrong in it. (The API server refuses most of this before it is stored.)"""
    if excess := depth.excess(owner.spec):
        return excess
    try:
        return InferenceServiceSpec.model_validate(owner.spec)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, ('spec', *item['loc'])))}: {item['msg']}" for item in error.errors()]
        return Finding("InvalidSpec", "; ".join(wrong))


def refusal(spec: InferenceServiceSpec, defaults: Defaults, known: Catalog = BUILT_IN) -> Finding | None:
    """`known`: the classes of GPUs that there are."""
    found = next((finding for check in CHECKS if (finding := check(spec, defaults))), None)
    return found or class_refusal(spec, known)


def one_source(spec: InferenceServiceSpec, _: Defaults) -> Finding | None:
    if (spec.model.source is None) != (spec.model.uri is None):
        return None
    return Finding("InvalidSpec", "spec.model: exactly one of from and uri must be set")


def model_uri(spec: InferenceServiceSpec, _: Defaults) -> Finding | None:
    try:
        parse_uri(spec.model.uri or "pvc://none")
    except ValueError as error:
        return Finding("InvalidSpec", f"{URI_FIELD}: {error}")
    return None


def engine_image(spec: InferenceServiceSpec, defaults: Defaults) -> Finding | None:
    if engine.image(spec, defaults):
        return None
    return Finding(
        "ImageNotConfigured",
        f"spec.image: this installation has no {engine_of(spec).title} image for accelerator {spec.accelerator}: "
        "set spec.image, or configure one in the operator",
    )


def engine_arguments(spec: InferenceServiceSpec, _: Defaults) -> Finding | None:
    objection = engineargs.check(spec.engine_args, engine_of(spec), accelerator=spec.accelerator)
    return Finding(objection.reason, objection.message) if objection else None


def adapter_arguments(spec: InferenceServiceSpec, model: Served) -> Finding | None:
    """Of a spec that `refusal` has accepted, once its model is found."""
    objection = engineargs.check_with_adapter(spec.engine_args, engine_of(spec)) if model.adapter else None
    return Finding(objection.reason, objection.message) if objection else None


def scaling_metrics(spec: InferenceServiceSpec, defaults: Defaults) -> Finding | None:
    if spec.scaling is None or defaults.prometheus_url:
        return None
    return Finding(
        "PrometheusNotConfigured",
        "spec.scaling: replicas follow a Prometheus query, and this installation names no Prometheus: "
        "configure its address in the operator, or leave scaling out and set spec.replicas",
    )


def pod_template(spec: InferenceServiceSpec, _: Defaults) -> Finding | None:
    user = spec.pod_template.model_dump() if spec.pod_template else {}
    found = violations(user, RESERVED)
    return Finding("InvalidPodTemplate", "; ".join(f"{item.path}: {item.message}" for item in found)) if found else None


CHECKS: tuple[Check, ...] = (one_source, model_uri, engine_image, engine_arguments, scaling_metrics, pod_template)
