"""Pure parts: the choice of a replica, the table, records of Kubernetes objects, settings, the routes file."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from slipway_gateway import routesfile
from slipway_gateway.metrics import Metrics
from slipway_gateway.records import service_record, slice_addresses, slice_key
from slipway_gateway.routes import Service, ServiceKey, ServiceRecord, Table
from slipway_gateway.routing import Address, Snapshot, Wanted, choose
from slipway_gateway.settings import Listen, Settings, load

CHAT = ServiceKey("team", "chat")


@dataclass(frozen=True)
class Candidate:
    address: Address
    in_flight: int


def candidates(*loads: int) -> list[Candidate]:
    return [Candidate(Address("10.0.0.1", port), load) for port, load in enumerate(loads)]


@pytest.mark.parametrize(
    ("loads", "turn", "tried", "expected"),
    [
        ((3, 1, 2), 0, (), 1),
        ((1, 1, 1), 0, (), 0),
        ((1, 1, 1), 1, (), 1),
        ((1, 1, 1), 5, (), 2),
        ((0, 1, 1), 1, (), 0),
        ((0, 1, 2), 0, (0,), 1),
        ((0, 1, 2), 0, (0, 1), 2),
        ((0, 1, 2), 0, (0, 1, 2), None),
        ((), 0, (), None),
    ],
)
def test_choose(loads: tuple[int, ...], turn: int, tried: tuple[int, ...], expected: int | None) -> None:
    replicas = candidates(*loads)
    wanted = Wanted("chat", frozenset(replicas[index].address for index in tried))
    found = choose(wanted, Snapshot(replicas, turn))
    assert found == (None if expected is None else replicas[expected])


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.integers(0, 100))
def test_choice_is_least_loaded_and_depends_on_nothing_else(loads: list[int], turn: int) -> None:
    replicas = candidates(*loads)
    found = choose(Wanted("m"), Snapshot(replicas, turn))
    assert found is not None
    assert found.in_flight == min(loads)
    assert found is choose(Wanted("m"), Snapshot(replicas, turn))


def addresses(*hosts: str) -> frozenset[Address]:
    return frozenset(Address(host, 8000) for host in hosts)


def a_table() -> tuple[Table, list[str]]:
    """A table, and what it tells: `ready <service>` and `gone <service>`."""
    table, told = Table(), []
    table.on_ready = lambda service: told.append(f"ready {service.key}")
    table.on_gone = lambda service: told.append(f"gone {service.key}")
    return table, told


def hosts(table: Table, key: ServiceKey = CHAT) -> list[str]:
    return [replica.address.host for replica in table.services[key].ready]


@pytest.mark.parametrize("service_first", [True, False])
def test_order_of_service_and_slices_does_not_matter(service_first: bool) -> None:
    table, told = a_table()
    steps: list[Callable[[], None]] = [
        lambda: table.put_service(ServiceRecord(CHAT)),
        lambda: table.put_slice((CHAT, "a"), addresses("1", "2")),
    ]
    for step in steps if service_first else reversed(steps):
        step()
    table.put_slice((CHAT, "b"), addresses("2", "3"))
    assert hosts(table) == ["1", "2", "3"]
    assert set(told) == {"ready team/chat"}


def test_same_slice_again_tells_nothing() -> None:
    table, told = a_table()
    table.put_service(ServiceRecord(CHAT))
    for _ in range(3):
        table.put_slice((CHAT, "a"), addresses("1"))
    table.replace_slices({(CHAT, "a"): addresses("1")})
    assert told == ["ready team/chat"]


def test_replica_keeps_its_identity_while_slices_move() -> None:
    table, _ = a_table()
    table.put_service(ServiceRecord(CHAT))
    table.put_slice((CHAT, "a"), addresses("1", "2"))
    first = table.services[CHAT].ready[0]
    first.in_flight = 3
    table.replace_slices({(CHAT, "b"): addresses("1")})
    assert table.services[CHAT].ready == (first,)
    table.replace_slices({})
    table.put_slice((CHAT, "a"), addresses("1"))
    assert table.services[CHAT].ready[0].in_flight == 3


def test_replica_that_left_idle_is_forgotten() -> None:
    table, _ = a_table()
    table.put_service(ServiceRecord(CHAT))
    for number in range(50):
        table.put_slice((CHAT, "a"), addresses(str(number)))
    assert len(table.services[CHAT]._replicas) <= 2


def test_record_of_a_known_service_changes_in_place() -> None:
    table, told = a_table()
    table.put_service(ServiceRecord(CHAT))
    service = table.services[CHAT]
    table.replace_services([ServiceRecord(CHAT, state="Failed")])
    assert table.services[CHAT] is service
    assert service.record.state == "Failed"
    assert told == []


def test_dropped_service_is_told_once_and_may_come_back() -> None:
    table, told = a_table()
    table.put_service(ServiceRecord(CHAT))
    table.put_slice((CHAT, "a"), addresses("1"))
    old = table.services[CHAT]
    table.drop_service(CHAT)
    table.drop_service(CHAT)
    assert (old.gone, old.ready) == (True, ())
    table.put_service(ServiceRecord(CHAT))
    assert told == ["ready team/chat", "gone team/chat", "ready team/chat"]
    assert not table.services[CHAT].gone


def a_body(**fields: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "team", "name": "chat", "creationTimestamp": "2026-11-21T10:00:00Z"}, **fields}


@pytest.mark.parametrize(
    ("spec", "startable"),
    [
        ({"replicas": 0}, False),
        ({"replicas": 1}, True),
        ({}, True),
        ({"replicas": 0, "scaling": {"maxReplicas": 3}}, True),
    ],
)
def test_startable_is_what_someone_will_start(spec: dict[str, Any], startable: bool) -> None:
    assert service_record(a_body(spec=spec)).startable is startable


def test_record_of_a_service() -> None:
    conditions = [
        {"type": "Accepted", "status": "True", "reason": "Accepted"},
        {"type": "Ready", "status": "False", "reason": "ModelMissing", "message": "no such claim"},
    ]
    record = service_record(a_body(status={"conditions": conditions}))
    assert record == ServiceRecord(CHAT, created=1795255200, state="ModelMissing: no such claim")
    conditions[1]["status"] = "True"
    assert service_record(a_body(status={"conditions": conditions})).state == ""


def an_endpoint(host: str, **conditions: bool | None) -> dict[str, Any]:
    return {"addresses": [host], "conditions": conditions}


def a_slice(**changes: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "team", "name": "s", "labels": {"slipway.dev/inference-service": "chat"}},
        "addressType": "IPv4",
        "ports": [{"name": "metrics", "port": 1}, {"name": "http", "port": 8000}],
        "endpoints": [
            an_endpoint("ready", ready=True, serving=True, terminating=False),
            an_endpoint("unready", ready=False),
            an_endpoint("ending", ready=True, serving=True, terminating=True),
            an_endpoint("unsaid"),
            {"addresses": ["bare"]},
            {"addresses": []},
        ],
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, addresses("ready", "unsaid", "bare")),
        ({"ports": [{"name": "other", "port": 8000}]}, frozenset()),
        ({"ports": None}, frozenset()),
        ({"endpoints": None}, frozenset()),
        ({"addressType": "FQDN"}, frozenset()),
    ],
)
def test_only_ready_addresses_on_the_http_port(changes: dict[str, Any], expected: frozenset[Address]) -> None:
    assert slice_addresses(a_slice(**changes)) == expected


def test_slice_belongs_to_the_service_of_its_label() -> None:
    assert slice_key(a_slice()) == (CHAT, "s")
    assert slice_key(a_slice(metadata={"namespace": "team", "name": "s"})) is None


def test_settings_from_flags_variables_and_defaults() -> None:
    environment = {"SLIPWAY_GATEWAY_HOLD_SECONDS": "7.5", "SLIPWAY_GATEWAY_HOLD_MAX": "5", "HOLD_MAX": "9"}
    found = load(["--hold-max", "6", "--listen", "[::1]:80", "--access-log=off", "--routes", "r.yaml"], environment)
    assert (found.hold_seconds, found.hold_max, found.listen) == (7.5, 6, Listen("::1", 80))
    assert (found.access_log, found.routes, found.retries) == (False, Path("r.yaml"), Settings().retries)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--hold-max", "many"], "--hold-max (SLIPWAY_GATEWAY_HOLD_MAX)"),
        (["--listen", "8000"], "not host:port"),
        (["--listen", ":99999"], "not host:port"),
        (["--retries", "-1"], "must not be negative"),
        (["--sweep-seconds", "0"], "must be above 0"),
        (["--hold-seconds", "nan"], "--hold-seconds is nan: it must be a finite number"),
        (["--drain-seconds", "inf"], "--drain-seconds is inf: it must be a finite number"),
        (["--stall-seconds=-inf"], "--stall-seconds is -inf: it must be a finite number"),
        (["--access-log", "maybe"], "neither on nor off"),
        (["--unknown"], "unrecognized"),
    ],
)
def test_settings_that_cannot_be_read_end_the_program(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        load(arguments, {})
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


FILE = """
services:
  - name: chat
    namespace: team
    endpoints: ["127.0.0.1:8001", "[::1]:8002"]
  - name: empty
"""


def a_file(tmp_path: Path, text: str = FILE) -> tuple[Path, Table, routesfile.Reloading]:
    path = tmp_path / "routes.yaml"
    path.write_text(text)
    table = Table()
    return path, table, routesfile.Reloading(path, table, Metrics(table))


def rewrite(path: Path, text: str) -> None:
    """As a ConfigMap is swapped: another file under the same name."""
    other = path.with_suffix(".new")
    other.write_text(text)
    os.replace(other, path)


def test_routes_file_fills_the_table(tmp_path: Path) -> None:
    _, table, reloading = a_file(tmp_path)
    reloading.load()
    assert table.synced
    assert [name for name, _ in table.names()] == ["empty", "default/empty", "chat", "team/chat"]
    assert [str(replica.address) for replica in table.services[CHAT].ready] == ["127.0.0.1:8001", "[::1]:8002"]


def test_routes_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path, table, reloading = a_file(tmp_path)
    reloading.load()
    before = table.services[CHAT]
    reloading.poll()
    rewrite(path, FILE.replace("8001", "9001"))
    reloading.poll()
    assert table.services[CHAT] is before
    assert str(before.ready[0].address) == "127.0.0.1:9001"


TWICE = "services: [{name: a}, {name: b}, {namespace: default, name: a, endpoints: ['127.0.0.1:1']}]"
DEEP = "services: " + "[" * 3000 + "]" * 3000


@pytest.mark.parametrize(
    "text", ["services: [", "services: [{name: A_B}]", "{}", "services: []\nother: 1", TWICE, DEEP, None]
)
def test_bad_routes_file_leaves_the_routes(tmp_path: Path, text: str | None, caplog: pytest.LogCaptureFixture) -> None:
    path, table, reloading = a_file(tmp_path)
    reloading.load()
    if text is None:
        path.unlink()
    else:
        rewrite(path, text)
    with caplog.at_level(logging.ERROR):
        reloading.poll()
    assert str(path) in caplog.text
    assert CHAT in table.services
    rewrite(path, "services: []")
    reloading.poll()
    assert table.services == {}


@pytest.mark.parametrize("endpoint", ["host", "host:", ":1", "host:0", "host:99999", "host:x"])
def test_bad_address_is_refused_at_start(tmp_path: Path, endpoint: str) -> None:
    text = yaml.safe_dump({"services": [{"name": "chat", "endpoints": [endpoint]}]})
    with pytest.raises(ValueError, match="is not host:port"):
        a_file(tmp_path, text)[2].load()


@pytest.mark.parametrize(("text", "said"), [(TWICE, "services: default/a twice"), (DEEP, "nested too deeply")])
def test_what_is_wrong_with_a_routes_file_is_said_at_start(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        a_file(tmp_path, text)[2].load()


def test_a_name_may_be_in_two_namespaces(tmp_path: Path) -> None:
    _, table, reloading = a_file(tmp_path, "services: [{name: a}, {name: a, namespace: team}]")
    reloading.load()
    assert len(table.services) == 2


def test_gauge_exists_for_every_service_at_zero() -> None:
    table = Table()
    metrics = Metrics(table)
    table.put_service(ServiceRecord(CHAT))
    page = metrics.page().decode()
    for state in ("held", "in_flight"):
        assert (
            f'slipway_gateway_requests{{inference_namespace="team",inference_service="chat",state="{state}"}} 0.0'
            in page
        )
    assert isinstance(metrics.registry, CollectorRegistry)
    assert isinstance(table.services[CHAT], Service)
    table.drop_service(CHAT)
    assert 'service="chat"' not in metrics.page().decode()
