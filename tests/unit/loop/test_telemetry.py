"""Log lines and spans: what they carry, in both styles."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from slipway.telemetry import logging as structured
from slipway.telemetry import tracing


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.getLogger("kopf").level
    yield root
    root.handlers[:], level, kopf_level = before
    root.setLevel(level)
    logging.getLogger("kopf").setLevel(kopf_level)


def test_a_line_of_json_carries_what_the_visit_is_about(root_logger: logging.Logger) -> None:
    stream, provider = io.StringIO(), TracerProvider()
    structured.configure("INFO", "json", stream)
    with (
        structured.about(key="TrainingJob/ns/job", uid="u"),
        provider.get_tracer("t").start_as_current_span("s") as span,
    ):
        logging.getLogger("slipway.x").info("said %s", "so", extra={"failures": 2})
        trace_id = f"{span.get_span_context().trace_id:032x}"
    line = json.loads(stream.getvalue())
    assert line.pop("time").endswith("Z")
    assert line.pop("span_id")
    assert line == {
        "level": "info",
        "logger": "slipway.x",
        "message": "said so",
        "key": "TrainingJob/ns/job",
        "uid": "u",
        "failures": 2,
        "trace_id": trace_id,
    }


def test_an_error_keeps_its_traceback_in_both_styles(root_logger: logging.Logger) -> None:
    for style in ("json", "text"):
        stream = io.StringIO()
        structured.configure("INFO", style, stream)
        try:
            raise KeyError("lost")
        except KeyError:
            logging.getLogger("slipway").exception("broken")
        assert "KeyError: 'lost'" in stream.getvalue()
        assert "broken" in stream.getvalue()


def test_text_is_for_people_and_kopf_is_quiet(root_logger: logging.Logger) -> None:
    stream = io.StringIO()
    structured.configure("INFO", "text", stream)
    with structured.about(key="k"):
        logging.getLogger("slipway").info("hello")
    logging.getLogger("kopf.x").info("chatter")
    assert stream.getvalue().endswith("INFO    hello  [key=k]\n")


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, "slipway"),
        ({"OTEL_SERVICE_NAME": "slipway-operator"}, "slipway-operator"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=ours,team=x"}, "ours"),
    ],
)
def test_spans_are_exported_under_our_name(
    environment: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or what the environment gives: the chart names the operator."""
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    exporter = InMemorySpanExporter()
    provider = tracing.provider("operator-0", exporter)
    with provider.get_tracer("t").start_as_current_span("visit"):
        pass
    provider.shutdown()
    (span,) = exporter.get_finished_spans()
    assert span.resource.attributes["service.name"] == name
    assert span.resource.attributes["service.instance.id"] == "operator-0"
