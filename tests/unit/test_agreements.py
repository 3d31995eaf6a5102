"""What the operator renders and the workloads read is written twice, for neither imports the other: hold it equal."""

import inspect

from slipway.plan import names
from slipway_train import config


def test_training_variables() -> None:
    assert names.RECIPE_VARIABLE == config.RECIPE_VARIABLE
    reads = inspect.getsource(config)
    for variable in (names.OUTPUT_VARIABLE, names.PROGRESS_URL_VARIABLE, names.PROGRESS_TOKEN_VARIABLE):
        assert f'"{variable}"' in reads
