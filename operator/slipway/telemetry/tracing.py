"""OpenTelemetry spans: one per visit, with children for plan, apply and status. Exported only where an endpoint is set.

The SDK reads its own variables (OTEL_EXPORTER_OTLP_*, OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER); without a provider the
API's spans are free of cost and effect.
"""

from collections.abc import Callable

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

NAME = "slipway"


def tracer() -> trace.Tracer:
    return trace.get_tracer(NAME)


def provider(instance: str, exporter: SpanExporter) -> TracerProvider:
    """What the environment says of the service (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES) comes before ours."""
    ours = {SERVICE_NAME: NAME, "service.instance.id": instance}
    made = TracerProvider(resource=Resource.create({**ours, **OTELResourceDetector().detect().attributes}))
    made.add_span_processor(BatchSpanProcessor(exporter))
    return made


def configure(instance: str) -> Callable[[], None]:
    """Start exporting by OTLP over HTTP. Returns what flushes and stops it."""
    made = provider(instance, OTLPSpanExporter())
    trace.set_tracer_provider(made)
    return made.shutdown
