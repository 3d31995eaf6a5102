"""What the operator renders and the workloads read is written twice, for neither imports the other: hold it equal."""

import dataclasses
import inspect
from typing import Any

import pytest

from slipway.api.common import GROUP, VERSION
from slipway.api.inferenceservice import PLURAL
from slipway.plan import labels, names
from slipway.plan.inference import scaledobject, wedges
from slipway.plan.observed import Reported
from slipway.reconcile.progress_server import Report as Taken
from slipway_engine import __main__ as engine
from slipway_engine import watch
from slipway_gateway import metrics, records
from slipway_gateway.routes import Table
from slipway_train import config
from slipway_train.progress import Report as Sent

from .plan.inference.world import world


def rendered(kind: str) -> dict[str, Any]:
    """What the plan makes of an ordinary service."""
    [found] = [each for each in world().settle().apply if each["kind"] == kind]
    return found


def test_the_autoscaler_asks_for_what_the_gateway_counts() -> None:
    namespace, service = metrics.SERVICE_LABELS
    assert scaledobject.query("team", "chat") == f'sum({scaledobject.GAUGE}{{{namespace}="team",{service}="chat"}})'
    assert scaledobject.GAUGE in {family.name for family in metrics.Metrics(Table()).registry.collect()}


def test_the_gateway_reads_the_labels_that_the_operator_writes() -> None:
    assert records.SELECTOR == labels.SELECTOR
    assert records.SERVICE_LABEL == labels.INFERENCE_SERVICE
    assert (records.GROUP, records.VERSION, records.PLURAL) == (GROUP, VERSION, PLURAL)


def test_the_gateway_knows_the_services_port_by_name() -> None:
    assert [port["name"] for port in rendered("Service")["spec"]["ports"]] == [records.PORT_NAME]


@pytest.mark.parametrize("container", [0, 1], ids=["check", "watch"])
def test_the_sidecar_understands_its_command_line(container: int) -> None:
    command = rendered("Deployment")["spec"]["template"]["spec"]["initContainers"][container]["command"]
    assert command[0] == "slipway-engine"
    engine.parser().parse_args(command[1:])


def test_the_operator_knows_a_wedge_by_the_sidecars_exit_code() -> None:
    assert wedges.WEDGED_EXIT == engine.WEDGED_EXIT


def test_the_probes_ask_what_the_sidecar_answers() -> None:
    pod = rendered("Deployment")["spec"]["template"]["spec"]
    probes = [each[key] for each in (*pod["initContainers"], *pod["containers"]) for key in each if "Probe" in key]
    assert len(probes) == 3
    source = inspect.getsource(watch.application)
    for probe in probes:
        assert f'"{probe["httpGet"]["path"]}"' in source


def test_training_variables() -> None:
    assert names.RECIPE_VARIABLE == config.RECIPE_VARIABLE
    reads = inspect.getsource(config)
    for variable in (names.OUTPUT_VARIABLE, names.PROGRESS_URL_VARIABLE, names.PROGRESS_TOKEN_VARIABLE):
        assert f'"{variable}"' in reads


def test_progress_reports() -> None:
    """What rank 0 sends is what the operator takes, and what the plan gets."""
    sent = Sent(
        *(40, 200, 4.1234, 5120, 20),
        step_seconds_p50=0.25,
        step_seconds_p99=1e3,
        mfu_percent=41.2,
        productive_seconds=1e9,
        checkpoint_seconds=0.0,
        bad_rows=0,
        slow_rank=15_999,
        slow_node="node-1.example",
    )
    taken = Taken.model_validate_json(sent.to_json()).model_dump()
    assert None not in taken.values()
    assert set(taken) == {field.name for field in dataclasses.fields(sent)}
    assert Reported(pod_uid="uid", received=0.0, **taken).slow_node == "node-1.example"
