"""The operator's settings from its environment: what is required, what may be said, and how a mistake is told."""

from decimal import Decimal

import pytest

from slipway.settings import SettingsError, from_environment

from .build import ENVIRONMENT


def test_what_is_required_suffices() -> None:
    settings = from_environment(ENVIRONMENT, unique="u")
    assert settings.defaults.vllm_images == (("cpu", "vllm-cpu:1"), ("nvidia", "vllm:1"))
    assert settings.defaults.sglang_images == (("cpu", ""), ("nvidia", ""))
    assert settings.defaults.prometheus_url == ""
    assert settings.lease.identity == "operator-0_u"
    assert (settings.lease.duration_seconds, settings.lease.renew_deadline_seconds, settings.lease.retry_seconds) == (
        15,
        10,
        2,
    )
    assert (settings.health_port, settings.progress_port, settings.watch_namespaces) == (8080, 8090, ())
    assert not settings.tracing
    assert (settings.defaults.device_hour_prices, settings.defaults.currency) == ((), "USD")


def test_everything_can_be_said() -> None:
    settings = from_environment(
        ENVIRONMENT
        | {
            "SLIPWAY_WATCH_NAMESPACES": " b, a,,b ",
            "SLIPWAY_PROGRESS_URL": "http://leader:8090/v1/progress",
            "SLIPWAY_WRITES_PER_SECOND": "2.5",
            "SLIPWAY_LOG_FORMAT": "text",
            "SLIPWAY_DEVICE_HOUR_PRICES": " nvidia=2.49, cpu = 0.04,",
            "SLIPWAY_CURRENCY": "EUR",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
        },
        unique="u",
    )
    assert settings.watch_namespaces == ("a", "b")
    assert settings.defaults.device_hour_prices == (("nvidia", Decimal("2.49")), ("cpu", Decimal("0.04")))
    assert settings.defaults.currency == "EUR"
    assert settings.defaults.progress_url == "http://leader:8090/v1/progress"
    assert (settings.writes_per_second, settings.log_format, settings.tracing) == (2.5, "text", True)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"SLIPWAY_TRAINER_IMAGE": ""}, "SLIPWAY_TRAINER_IMAGE is not set"),
        ({"SLIPWAY_TRAINER_IMAGE": "  "}, "SLIPWAY_TRAINER_IMAGE is not set"),
        ({"SLIPWAY_VLLM_NVIDIA_IMAGE": ""}, "SLIPWAY_VLLM_NVIDIA_IMAGE"),
        ({"SLIPWAY_NAMESPACE": ""}, "SLIPWAY_NAMESPACE"),
        ({"SLIPWAY_LOG_LEVEL": "LOUD"}, "SLIPWAY_LOG_LEVEL is 'LOUD': use one of DEBUG, INFO, WARNING, ERROR"),
        ({"SLIPWAY_IMAGE_PULL_POLICY": "always"}, "SLIPWAY_IMAGE_PULL_POLICY"),
        ({"SLIPWAY_WRITES_PER_SECOND": "0"}, "SLIPWAY_WRITES_PER_SECOND is '0': use a number above 0"),
        ({"SLIPWAY_WRITES_PER_SECOND": "nan"}, "SLIPWAY_WRITES_PER_SECOND"),
        ({"SLIPWAY_WRITES_PER_SECOND": "inf"}, "SLIPWAY_WRITES_PER_SECOND"),
        ({"SLIPWAY_WRITE_BURST": "1.5"}, "SLIPWAY_WRITE_BURST"),
        ({"SLIPWAY_HEALTH_PORT": "http"}, "SLIPWAY_HEALTH_PORT"),
        *(
            (
                {"SLIPWAY_DEVICE_HOUR_PRICES": wrong},
                f"SLIPWAY_DEVICE_HOUR_PRICES is '{wrong}': write one decimal for each",
            )
            for wrong in ("2.49", "amd=1", "cpu=-1", "cpu=1e3", "cpu=nan", "cpu=1,cpu=2", "cpu=1;nvidia=2", "cpu=")
        ),
        ({"SLIPWAY_CURRENCY": "US dollars"}, "SLIPWAY_CURRENCY is 'US dollars': use a word of at most 8 characters"),
        ({"SLIPWAY_CURRENCY": "a\x1b[31m"}, "SLIPWAY_CURRENCY"),
        ({"SLIPWAY_LEASE_RENEW_DEADLINE_SECONDS": "15"}, "two operators could write at once"),
        ({"SLIPWAY_LEASE_RETRY_SECONDS": "10"}, "SLIPWAY_LEASE_RETRY_SECONDS"),
        ({"SLIPWAY_LEASE_DURATION_SECONDS": "15.5"}, "SLIPWAY_LEASE_DURATION_SECONDS must be whole"),
        (
            {
                "SLIPWAY_LEASE_DURATION_SECONDS": "1",
                "SLIPWAY_LEASE_RENEW_DEADLINE_SECONDS": "0.8",
                "SLIPWAY_LEASE_RETRY_SECONDS": "0.2",
            },
            "SLIPWAY_LEASE_DURATION_SECONDS must be whole and at least 2",
        ),
    ],
)
def test_a_mistake_names_its_variable(change: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named.replace("'", ".")):
        from_environment(ENVIRONMENT | change, unique="u")


def test_all_mistakes_come_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        from_environment({}, unique="u")
    for name in set(ENVIRONMENT) - {"POD_NAME"}:
        assert name in str(caught.value)
