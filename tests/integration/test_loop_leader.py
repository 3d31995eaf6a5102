"""Two operators: one leads, the other takes over, nothing is made twice; and each lives within its permissions."""

import json
import time
from pathlib import Path
from typing import cast

import pytest

from slipway.api.rbac import FULLNAME, Scope, permissions
from slipway.plan.observed import Obj

from .loopbed import LEASE_SECONDS, PYTORCH_JOBS, Bed, establish, eventually, http

pytestmark = [pytest.mark.level(3), pytest.mark.feature("control-loop")]


@pytest.fixture(autouse=True)
def _kinds(bed: Bed) -> None:
    establish(bed.api, PYTORCH_JOBS)


def holder(bed: Bed) -> str:
    lease = bed.find("leases", "slipway") or {}
    return str(lease.get("spec", {}).get("holderIdentity", "")).partition("_")[0]


def test_a_standby_takes_over_when_the_leader_is_killed(bed: Bed) -> None:
    with bed.replica("one") as one, bed.replica("two", POD_IP="10.1.2.4") as two:
        eventually(one.is_ready, "one is ready")
        eventually(two.is_ready, "two is ready: a standby is")
        eventually(lambda: holder(bed), "somebody leads")
        leader, standby = (one, two) if holder(bed) == "one" else (two, one)
        assert not standby.leads()
        bed.job("kept")
        eventually(lambda: bed.ready("trainingjobs", "kept")[0] == "Made", "made by the leader")
        gang = bed.get("pytorchjobs", "kept-0")
        leader.kill()
        killed = time.monotonic()
        bed.job("after")
        eventually(lambda: bed.ready("trainingjobs", "after")[0] == "Made", "made by the standby")
        assert time.monotonic() - killed < LEASE_SECONDS + 6.0
        assert standby.leads()
        assert bed.get("pytorchjobs", "kept-0") == gang, "nothing is made twice"
        address = "10.1.2.4" if standby is two else "10.1.2.3"
        eventually(
            lambda: address in str(bed.find("endpointslices", "slipway-leader")), "the address follows the leader"
        )


def test_a_leader_that_is_told_to_stop_hands_over_at_once(bed: Bed) -> None:
    with bed.replica("one") as one, bed.replica("two") as two:
        eventually(lambda: one.is_ready() and two.is_ready() and holder(bed), "both are ready, one leads")
        leader, standby = (one, two) if holder(bed) == "one" else (two, one)
        assert leader.terminate() == 0, leader.said()
        assert holder(bed) in ("", "two" if standby is two else "one"), "released on the way out"
        stopped = time.monotonic()
        eventually(standby.leads, "the standby leads")
        assert time.monotonic() - stopped < LEASE_SECONDS - 1.0, "sooner than the lease would have expired"


def test_losing_the_lease_stops_the_writes(bed: Bed) -> None:
    with bed.replica("one") as one:
        eventually(one.leads, "leads")
        now = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
        taken = {"spec": {"holderIdentity": "somebody-else", "renewTime": now, "leaseDurationSeconds": 3600}}
        bed.patch("leases", "slipway", taken)
        eventually(lambda: not one.leads(), "has noticed")
        bed.job("unmade")
        time.sleep(2.0)
        assert bed.find("services", "unmade") is None
        assert bed.ready("trainingjobs", "unmade") == ("", "")
        given_up = {"spec": {"holderIdentity": "", "leaseDurationSeconds": 1}}
        bed.patch("leases", "slipway", given_up)
        eventually(
            lambda: bed.ready("trainingjobs", "unmade")[0] == "Made", "leads again, and has looked at everything"
        )


def rules(scope: Scope) -> list[Obj]:
    """What the chart's own table grants, for a release of the name `slipway`."""
    granted = [each.as_rule() for each in permissions("operator", scope)]
    return [_named(rule) for rule in granted]


def _named(rule: Obj) -> Obj:
    names = [name.replace(FULLNAME, "slipway") for name in rule.get("resourceNames", [])]
    return {**rule, "resourceNames": names} if names else rule


def restricted(bed: Bed) -> Path:
    """A kubeconfig of a service account that has the chart's permissions and nothing else."""
    name = f"operator-{bed.namespace}"
    account = bed.create("serviceaccounts", {"metadata": {"name": name}})["metadata"]["name"]
    subject = {"kind": "ServiceAccount", "name": account, "namespace": bed.namespace}
    for kind, scope, root in (
        ("ClusterRole", "cluster", ""),
        ("Role", "namespace", f"/namespaces/{bed.namespace}"),
    ):
        base = f"/apis/rbac.authorization.k8s.io/v1{root}/{kind.lower()}"
        role = {"metadata": {"name": name}, "rules": rules(cast(Scope, scope))}
        binding = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
            "subjects": [subject],
        }
        for url, body in ((f"{base}s", role), (f"{base}bindings", binding)):
            status, answer = bed.api.request("POST", url, body)
            assert status == 201, answer
    token = bed.create(f"serviceaccounts/{account}/token", {"spec": {}})["status"]["token"]
    path = bed.directory / f"{name}.kubeconfig"
    path.write_text(bed.api.kubeconfig_path.read_text().replace(bed.api.token, token))
    return path


def test_the_operator_lives_within_its_permissions(bed: Bed) -> None:
    with bed.replica("one", kubeconfig=restricted(bed)) as one:
        eventually(one.leads, "leads")
        bed.job("modest")
        eventually(lambda: bed.ready("trainingjobs", "modest")[0] == "Made", "made")
        eventually(lambda: bed.find("endpointslices", "slipway-leader"), "the address is published")
        eventually(lambda: [e for e in bed.list("events") if e["reason"] == "Made"], "the event")
        bed.delete("services", "modest")
        eventually(lambda: bed.find("services", "modest"), "repaired")
        assert "forbidden" not in one.said().lower()
        assert one.terminate() == 0, one.said()


def test_a_pod_reports_progress_with_its_own_token(bed: Bed) -> None:
    bed.job("talks")
    bed.create("serviceaccounts", {"metadata": {"name": "default"}})
    labels = {
        "app.kubernetes.io/managed-by": "slipway",
        "slipway.dev/training-job": "talks",
        "slipway.dev/attempt": "0",
    }
    spec = {"containers": [{"name": "pytorch", "image": "image"}], "serviceAccountName": "default"}
    pod = bed.create("pods", {"metadata": {"name": "talks-0-master-0", "labels": labels}, "spec": spec})

    def token(audience: str, **bound: str) -> str:
        reference = {"kind": "Pod", "apiVersion": "v1", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
        spec = {"audiences": [audience]} | ({"boundObjectRef": reference} if bound.get("to") == "pod" else {})
        return str(bed.create("serviceaccounts/default/token", {"spec": spec})["status"]["token"])

    with bed.replica("one", SLIPWAY_PROGRESS_SECONDS="2") as one:
        eventually(one.leads, "leads")
        eventually(lambda: bed.ready("trainingjobs", "talks")[0] == "Made", "made")

        def report(token: str, step: int) -> int:
            url = f"http://127.0.0.1:{one.progress_port}/v1/progress"
            return http("POST", url, json.dumps({"step": step}).encode(), {"Authorization": f"Bearer {token}"})[0]

        good = token("slipway.dev/progress", to="pod")
        assert report("nonsense", 1) == 401
        assert report(token("another-audience", to="pod"), 1) == 401
        assert report(token("slipway.dev/progress"), 1) == 403
        assert report(good, 1) == 204

        def shown() -> object:
            return bed.get("trainingjobs", "talks")["status"].get("progress", {}).get("step")

        eventually(lambda: shown() == 1, "the first report shows at once", 2.0)
        version = bed.get("trainingjobs", "talks")["metadata"]["resourceVersion"]
        assert [report(good, step) for step in (2, 3, 4)] == [204] * 3
        time.sleep(0.7)
        assert bed.get("trainingjobs", "talks")["metadata"]["resourceVersion"] == version, (
            "not before the interval is over"
        )
        eventually(lambda: shown() == 4, "then the newest")


def test_a_standby_refers_progress_to_the_leader(bed: Bed) -> None:
    with bed.replica("one") as one:
        eventually(one.leads, "leads")
        with bed.replica("two") as two:
            eventually(two.is_ready, "ready")
            headers = {"Authorization": "Bearer anything"}
            assert http("POST", f"http://127.0.0.1:{two.progress_port}/v1/progress", b"{}", headers)[0] == 503


def test_only_the_named_namespaces_are_watched(bed: Bed) -> None:
    status, answer = bed.api.request("POST", "/api/v1/namespaces", {"metadata": {"name": f"{bed.namespace}-other"}})
    assert status == 201, answer
    other = Bed(bed.api, f"{bed.namespace}-other", bed.directory)
    with bed.replica("one", SLIPWAY_WATCH_NAMESPACES=bed.namespace) as one:
        other.job("unseen")
        bed.job("seen")
        eventually(lambda: bed.ready("trainingjobs", "seen")[0] == "Made", f"made {one.said()}")
        assert other.ready("trainingjobs", "unseen") == ("", "")
    other.delete("trainingjobs", "unseen")


def test_a_broken_part_ends_the_process(bed: Bed) -> None:
    with bed.replica("one") as one:
        eventually(one.is_ready, "ready")
        with bed.replica("two", SLIPWAY_HEALTH_PORT=str(one.health_port)) as two:
            assert two.process.wait(60) == 1, "its port is taken: it must not go on without it"
            assert "address already in use" in two.said()
