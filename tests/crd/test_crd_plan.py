"""The table of fields and types against the API server: tests/unit/api/test_schema.py holds `slipway plan` to it."""

import pytest

from .crdmaker import Maker
from .plantable import JUDGED, Judged

CREATED = 201


@pytest.mark.parametrize("judged", JUDGED, ids=lambda judged: str(judged.change))
def test_the_api_server_judges_as_the_table_says(make: Maker, judged: Judged) -> None:
    status, message = make.dry_run(judged.body())
    assert (status == CREATED) == (not judged.field)
    assert judged.field in message
