"""What the operator renders and the workloads read is written twice, for neither imports the other: hold it equal."""

import inspect
from typing import Any

import pytest

from slipway.api.common import GROUP, VERSION
from slipway.api.inferenceservice import PLURAL
from slipway.plan import labels, names
from slipway.plan.inference import scaledobject
from slipway_engine import __main__ as engine
from slipway_gateway import metrics, records
from slipway_gateway.routes import Table
from slipway_train import config

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


def test_training_variables() -> None:
    assert names.RECIPE_VARIABLE == config.RECIPE_VARIABLE
    reads = inspect.getsource(config)
    for variable in (names.OUTPUT_VARIABLE, names.PROGRESS_URL_VARIABLE, names.PROGRESS_TOKEN_VARIABLE):
        assert f'"{variable}"' in reads
