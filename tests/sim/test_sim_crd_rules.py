"""The CRD tests of tests/crd, whose tables say what the real API server accepts and refuses, run on the emulator.

The same functions with another server behind them: what the emulator makes of schemas, defaults and CEL rules is held
to the rows that the real server is held to.
"""

from typing import cast

import pytest

from slipway.api.crd import KINDS, object_schema
from slipway.api.reference import RULES_KEY, walk
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

from .apiserver import cel
from .emulated import EmulatedServer


@pytest.fixture(scope="session")
def make() -> Maker:
    return Maker(cast(ApiServer, EmulatedServer()))


def test_every_default_as_it_is_written_keeps_its_rules() -> None:
    """The API server takes no CRD whose default breaks a rule, and asks before the fields below have their defaults."""
    found = [
        (row.path, rule["rule"], row.schema["default"])
        for kind in KINDS
        for row in walk(object_schema(kind))
        if "default" in row.schema
        for rule in row.schema.get(RULES_KEY, [])
    ]
    assert len(found) >= 3
    assert [path for path, rule, default in found if not cel.compiled(rule).holds(default)] == []
