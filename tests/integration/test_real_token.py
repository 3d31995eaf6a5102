"""A service account's token is replaced while the operator runs, and the old one is refused: both ways to the API
server, kopf's watches and the operator's own requests, go on with the new one."""

from pathlib import Path

import pytest

from . import realbed
from .loopbed import Bed, eventually
from .realbed import JOB

pytestmark = [pytest.mark.level(2), pytest.mark.feature("security")]

# Where a pod finds its account is a constant of the library's; the test has it elsewhere.
PROGRAM = """
import sys
from kubernetes.aio.config import incluster_config
incluster_config.SERVICE_TOKEN_FILENAME, incluster_config.SERVICE_CERT_FILENAME = sys.argv[1:3]
sys.argv[1:] = ["run"]
from slipway.__main__ import main
sys.exit(main())
"""


def bound_token(bed: Bed, account: str, secret: str) -> str:
    """A token that is refused as soon as the Secret is gone (and the API server's cache of 10 s has forgotten it)."""
    uid = bed.create("secrets", {"metadata": {"name": secret}})["metadata"]["uid"]
    reference = {"kind": "Secret", "apiVersion": "v1", "name": secret, "uid": uid}
    return realbed.token(bed, account, boundObjectRef=reference)


def test_a_replaced_token_is_taken_up_by_watches_and_requests(real_bed: Bed, tmp_path: Path) -> None:
    api = real_bed.api
    realbed.account(real_bed, "operator")
    account = f"operator-{real_bed.namespace}"
    old, file = bound_token(real_bed, account, "old"), tmp_path / "token"
    file.write_text(old)
    host, _, port = api.url.removeprefix("https://").rpartition(":")
    with real_bed.replica(
        "one",
        program=("-c", PROGRAM, str(file), str(api.ca_file)),
        KUBERNETES_SERVICE_HOST=host,
        KUBERNETES_SERVICE_PORT=port,
    ) as one:
        eventually(one.leads, "leads with the first token")
        file.write_text(bound_token(real_bed, account, "new"))
        real_bed.delete("secrets", "old")
        path = real_bed.path("trainingjobs")
        eventually(lambda: api.request("GET", path, token=old)[0] == 401, "the first token is refused")
        eventually(lambda: code_401(one.fetch("/metrics")[1]), "and the operator has been told so, or has moved on", 90)
        body = {"apiVersion": "slipway.dev/v1alpha1", "kind": "TrainingJob", "metadata": {"name": "train"}, "spec": JOB}
        real_bed.create("trainingjobs", body)
        eventually(lambda: real_bed.find("pytorchjobs", "train-0"), f"seen, and made {one.said()}")
        real_bed.delete("pytorchjobs", "train-0")
        eventually(lambda: real_bed.find("pytorchjobs", "train-0"), "its children are watched, too")
        assert one.leads()
        assert one.terminate() == 0, one.said()


def code_401(metrics: str) -> bool:
    """Whether one of the operator's own requests has met the refusal."""
    return 'code="401"' in metrics
