"""The CRD tests of tests/crd, whose tables say what the real API server accepts and refuses, run on the emulator.

The same functions with another server behind them: what the emulator makes of schemas, defaults and CEL rules is held
to the rows that the real server is held to.
"""

from typing import cast

import pytest

from tests.controlplane.apiserver import ApiServer
from tests.crd.crdmaker import Maker
from tests.crd.test_crd_bounds import stored, test_breach  # noqa: F401
from tests.crd.test_crd_table import (  # noqa: F401
    test_a_job_may_be_suspended_and_go_on,
    test_an_inference_service_may_change,
    test_case,
    test_labels_of_a_job_may_change,
    test_spec_cannot_change,
    test_spec_written_again_as_it_is_or_was_given_changes_nothing,
)

from .emulated import EmulatedServer


@pytest.fixture(scope="session")
def make() -> Maker:
    return Maker(cast(ApiServer, EmulatedServer()))
