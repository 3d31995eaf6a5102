"""`slipway status`: the table, and what is said when the cluster cannot be read."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.aio import client, config

from slipway.cli import listing
from slipway.kube.connect import NAME_ONE


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def item(name: str, *conditions: dict[str, str], kind: str = "TrainingJob") -> dict[str, Any]:
    status = {"status": {"conditions": list(conditions)}} if conditions else {}
    return {"kind": kind, "metadata": {"namespace": "team", "name": name}} | status


def test_a_line_for_each_resource_in_aligned_columns() -> None:
    text = listing.table(
        [
            item(
                "a", condition("Accepted", "True", "Accepted"), condition("Ready", "False", "Training", "step 4\nof 9")
            ),
            item("new-one", kind="InferenceService"),
        ]
    )
    head, first, second = text.splitlines()
    assert head.split() == ["NAMESPACE", "KIND", "NAME", "READY", "REASON", "CONDITIONS", "MESSAGE"]
    assert first.split(maxsplit=6) == [
        "team",
        "TrainingJob",
        "a",
        "False",
        "Training",
        "Accepted=Accepted",
        "step 4 of 9",
    ]
    assert second.split() == ["team", "InferenceService", "new-one", "Unknown", "NotSeenYet", "-"]
    assert head.index("READY") == first.index("False") == second.index("Unknown")


def test_a_long_message_is_cut() -> None:
    (line,) = listing.table([item("a", condition("Ready", "False", "Failed", "x" * 500))]).splitlines()[1:]
    assert line.endswith("x" * (listing.MESSAGE_MAX - 3) + "...")
    assert "x" * (listing.MESSAGE_MAX - 2) not in line


def test_escapes_of_a_quoted_tenant_do_not_reach_the_terminal() -> None:
    message = "unknown option --no\x00pe\x1b[31m=1\u202e"
    shown = listing.table([item("a", condition("Ready", "False", "InvalidEngineArgs", message))])
    assert all(c.isprintable() or c == "\n" for c in shown)
    assert "--no pe [31m=1" in shown


def test_nothing_is_said_in_words() -> None:
    assert listing.table([]) == "No TrainingJob and no InferenceService.\n"


class Api:
    """Stands for CustomObjectsApi: raises what it is given, then lists one item of each kind."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.asked: list[tuple[str, ...]] = []

    async def list_cluster_custom_object(self, group: str, version: str, plural: str) -> dict[str, Any]:
        return self._answer(group, version, plural)

    async def list_namespaced_custom_object(
        self, group: str, version: str, namespace: str, plural: str
    ) -> dict[str, Any]:
        return self._answer(group, version, namespace, plural)

    def _answer(self, *asked: str) -> dict[str, Any]:
        self.asked.append(asked)
        if self.errors:
            raise self.errors.pop(0)
        return {"metadata": {"resourceVersion": "1"}, "items": [item(asked[-1])]}


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> Api:
    async def load(config_file: str, client_configuration: client.Configuration) -> None:
        client_configuration.host = "http://127.0.0.1:1"

    api = Api()
    monkeypatch.setenv("KUBECONFIG", __file__)  # some file that is there: `load` reads nothing
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr(config, "load_kube_config", load)
    monkeypatch.setattr(client, "CustomObjectsApi", lambda _: api)
    monkeypatch.setattr(listing, "RETRY_SECONDS", 0.0)
    return api


async def test_both_kinds_are_read_everywhere_or_in_one_namespace(connected: Api) -> None:
    names = [each["metadata"]["name"] for each in await listing.read_all(None)]
    assert names == ["trainingjobs", "inferenceservices"]
    await listing.read_all("team")
    assert connected.asked == [
        ("slipway.dev", "v1alpha1", "trainingjobs"),
        ("slipway.dev", "v1alpha1", "inferenceservices"),
        ("slipway.dev", "v1alpha1", "team", "trainingjobs"),
        ("slipway.dev", "v1alpha1", "team", "inferenceservices"),
    ]


async def test_a_server_that_is_opening_its_storage_is_asked_again(connected: Api) -> None:
    connected.errors = [client.ApiException(status=429, reason="Too Many Requests")] * 2
    assert len(await listing.read_all(None)) == 2


@pytest.mark.parametrize(
    ("error", "complaint"),
    [
        (
            client.ApiException(status=404, reason="Not Found"),
            r"cannot list trainingjobs\.slipway\.dev: 404 Not Found: install the CRDs",
        ),
        (
            client.ApiException(status=403, reason="Forbidden"),
            r"cannot list trainingjobs\.slipway\.dev: 403 Forbidden$",
        ),
        (ConnectionRefusedError("refused"), "the API server does not answer: refused"),
    ],
)
async def test_what_cannot_be_read_is_explained(connected: Api, error: Exception, complaint: str) -> None:
    connected.errors = [error]
    with pytest.raises(listing.Unreadable, match=complaint):
        await listing.read_all(None)
    assert len(connected.asked) == 1


async def test_a_server_that_stays_busy_is_given_up(connected: Api) -> None:
    connected.errors = [client.ApiException(status=429, reason="Too Many Requests")] * listing.ATTEMPTS
    with pytest.raises(listing.Unreadable, match="429 Too Many Requests"):
        await listing.read_all(None)


async def test_in_a_pod_without_a_token_the_librarys_own_words_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with pytest.raises(listing.Unreadable, match=r"no cluster to ask: Service host/port is not set\.$"):
        await listing.read_all(None)


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (None, "no cluster is configured: there is no PATH: "),
        ("", "no cluster to ask: PATH is no kubeconfig: "),
        ("a: [", "no cluster to ask: PATH is no kubeconfig: "),
        (
            "apiVersion: v1",
            "no cluster to ask: Invalid kube-config file. Expected key current-context in PATH: ",
        ),
    ],
)
async def test_no_configuration_is_explained_with_the_mend(
    held: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "kubeconfig"
    if held is not None:
        path.write_text(held)
    monkeypatch.setenv("KUBECONFIG", str(path))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(listing.Unreadable) as refused:
        await listing.read_all(None)
    assert str(refused.value) == said.replace("PATH", str(path)) + NAME_ONE
    assert capsys.readouterr() == ("", "")


NOT_PEM = base64.b64encode(b"no PEM").decode()
HALF_BASE64 = "abc"


@pytest.mark.parametrize(
    ("cluster", "user", "said"),
    [
        ("{}", "{tokenFile: /nowhere/token}", "No such file or directory: '/nowhere/token'"),
        ("{}", f"{{client-certificate-data: {HALF_BASE64}, client-key-data: {HALF_BASE64}}}", "Incorrect padding"),
        ("{}", f"{{client-certificate-data: {NOT_PEM}, client-key-data: {NOT_PEM}}}", "[SSL] PEM lib"),
        (f"{{certificate-authority-data: {HALF_BASE64}}}", "{}", "Incorrect padding"),
        (f"{{certificate-authority-data: {NOT_PEM}}}", "{}", "no certificate or crl found"),
    ],
)
async def test_what_a_kubeconfig_names_and_nobody_can_use_is_explained(
    cluster: str, user: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kubeconfig"
    body = yaml.safe_load(KUBECONFIG)
    body["clusters"][0]["cluster"] = {"server": "https://127.0.0.1:1"} | yaml.safe_load(cluster)
    body["users"][0]["user"] = yaml.safe_load(user)
    path.write_text(yaml.safe_dump(body))
    monkeypatch.setenv("KUBECONFIG", str(path))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(listing.Unreadable) as refused:
        await listing.read_all(None)
    told = str(refused.value)
    assert told.startswith(f"no cluster to ask: a token, certificate or key of {path} cannot be used (")
    assert said in told
    assert told.endswith(NAME_ONE)


async def test_an_empty_variable_names_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(listing.Unreadable, match=r"there is no ~/\.kube/config: set KUBECONFIG"):
        await listing.read_all(None)


def http(body: bytes, head: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


STRANGERS = {
    "HTML": http(b"<html>", "200 OK\r\nContent-Type: text/html"),
    "a redirection to itself": http(b"", "302 Found\r\nLocation: /elsewhere"),
    "no HTTP": b"SSH-2.0-OpenSSH_9\r\n",
    "no JSON": http(b"{"),
    "no UTF-8": http(b"\xff"),
    "nested JSON": http(b"[" * 5000),
    "null": http(b"null"),
    "a list": http(b"[]"),
    "no items": http(b'{"kind": "Status", "metadata": {}}'),
    "null items": http(b'{"metadata": {"resourceVersion": "1"}, "items": null}'),
    "no version": http(b'{"items": []}'),
    "no objects": http(b'{"metadata": {"resourceVersion": "1"}, "items": [1]}'),
    "no names": http(b'{"metadata": {"resourceVersion": "1"}, "items": [{"kind": "TrainingJob", "metadata": null}]}'),
}
BROKEN_OFF = {"nothing": b"", "half": http(b"abc").replace(b": 3", b": 9")}


@pytest.mark.parametrize("answer", [*STRANGERS, *BROKEN_OFF])
async def test_whatever_answers_is_told_in_a_sentence(
    answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write((STRANGERS | BROKEN_OFF)[answer])
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(reply, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        (tmp_path / "kubeconfig").write_text(KUBECONFIG.replace("PORT", str(port)))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        with pytest.raises(listing.Unreadable) as refused:
            await listing.read_all(None)
    told = str(refused.value)
    assert "\n" not in told
    if answer in STRANGERS:
        assert told.startswith("the answer about trainingjobs.slipway.dev is none of a Kubernetes API server (")
        assert told.endswith(NAME_ONE)
    else:
        assert told.startswith("the API server does not answer: ")


KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: a
contexts: [{name: a, context: {cluster: a, user: a}}]
clusters: [{name: a, cluster: {server: "http://127.0.0.1:PORT"}}]
users: [{name: a, user: {}}]
"""
