"""A real etcd and a real kube-apiserver on loopback, and nothing else: no kubelet, no controllers, no scheduler.

What is decided here: tests of the API and of the control loop talk to the real API server, because what it does with
CEL, server-side apply, defaulting and RBAC is exactly what an imitation gets wrong. It starts in seconds, writes only
into one directory, listens only on 127.0.0.1, and dies with the process that started it.

For those who count what it is asked, it can keep an audit log, in which each program is known by a user of its own.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

READY_WITHIN_SECONDS = 120.0  # about 6 s on an idle machine; builds may take both cores
STOP_WITHIN_SECONDS = 10.0
POLL_SECONDS = 0.1
ADMIN_TOKEN = "admin-token-of-a-throw-away-api-server"
BUILD_COMMAND = "python3 tests/e2e/cluster build"
# Who did what, one line a request, when it is answered.
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


class BinaryMissing(RuntimeError):
    """A program of the control plane has not been built on this machine."""


class StartFailed(RuntimeError):
    """The control plane did not become ready; the message ends with what it last logged."""


def binary(name: str) -> Path:
    """Path of a program in the cache of the test bed. Raises BinaryMissing, which says how to build it."""
    cache = Path(os.environ.get("SLIPWAY_CACHE", "~/.cache/slipway")).expanduser()
    path = cache / "bin" / name
    if not path.is_file():
        raise BinaryMissing(f"{path} does not exist: build it with `{BUILD_COMMAND} {name}`")
    return path


@dataclass(frozen=True, slots=True)
class ApiServer:
    """Where a running API server is and how its administrator (group system:masters) enters.

    `pids` are those of `etcd` and `kube-apiserver`. `audit_log` has one JSON object a line, where it was asked for.
    """

    url: str
    token: str
    ca_file: Path
    kubeconfig_path: Path
    pids: Mapping[str, int] = field(default_factory=dict)
    audit_log: Path | None = None

    def request(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        content_type: str = "application/json",
        token: str | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """One request, as the administrator unless `token` says otherwise: (HTTP status, answer), also of errors."""
        text = "" if body is None else json.dumps(body)
        return self.send(method, path, text, content_type=content_type, token=token)

    def send(
        self,
        method: str,
        path: str,
        text: str,
        *,
        content_type: str = "application/json",
        token: str | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """`request` with a body as text, for what json.dumps would not write."""
        headers = {"Authorization": f"Bearer {token or self.token}", "Content-Type": content_type}
        data = text.encode() if text else None
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, context=self._tls(), timeout=30) as response:
                return response.status, _json_or_text(response.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _json_or_text(error.read())

    def kubeconfig_of(self, user: str) -> Path:
        """A kubeconfig of one of the `users` that the server was started with."""
        path = self.kubeconfig_path.with_name(f"kubeconfig-{user}")
        path.write_text(_kubeconfig(self).replace(self.token, _token_of(user)))
        return path

    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca_file))

    def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """kubectl with these arguments; the caller looks at returncode, stdout and stderr."""
        command = [str(binary("kubectl")), "--kubeconfig", str(self.kubeconfig_path), *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Standard output of kubectl. Raises AssertionError with its standard error when it fails."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout


# No controller makes the accounts that pods would need.
WITHOUT_ACCOUNTS = ("--disable-admission-plugins=ServiceAccount",)


@contextlib.contextmanager
def api_server(
    directory: Path, *, flags: Sequence[str] = WITHOUT_ACCOUNTS, users: Sequence[str] = (), audited: bool = False
) -> Iterator[ApiServer]:
    """A running API server with all its files in `directory`; stopped on leaving. Raises BinaryMissing, StartFailed.

    `flags` are further ones of kube-apiserver. `users` may do everything, each with a kubeconfig of its own.
    """
    directory.mkdir(parents=True, exist_ok=True)
    etcd_port, peer_port, port = _free_ports(3)
    server = _describe(directory, port, users)
    more = [*flags, *(_audit_flags(directory) if audited else ())]
    with contextlib.ExitStack() as stack:
        processes = {
            name: stack.enter_context(running(command, directory / f"{name}.log"))
            for name, command in (
                ("etcd", _etcd_command(directory, etcd_port, peer_port)),
                ("kube-apiserver", [*_apiserver_command(directory, etcd_port, port), *more]),
            )
        }
        _wait_until_ready(server, list(processes.values()), directory)
        pids = {name: process.pid for name, process in processes.items()}
        yield replace(server, pids=pids, audit_log=_audit_log(directory) if audited else None)


def _audit_log(directory: Path) -> Path:
    return directory / "audit.jsonl"


def _audit_flags(directory: Path) -> list[str]:
    policy = directory / "audit-policy.json"
    policy.write_text(json.dumps(AUDIT_POLICY))
    return [f"--audit-policy-file={policy}", f"--audit-log-path={_audit_log(directory)}", "--audit-log-maxsize=1000"]


def _token_of(user: str) -> str:
    return f"{ADMIN_TOKEN}-for-{user}"


def _describe(directory: Path, port: int, users: Sequence[str] = ()) -> ApiServer:
    server = ApiServer(
        url=f"https://127.0.0.1:{port}",
        token=ADMIN_TOKEN,
        ca_file=directory / "certificates" / "apiserver.crt",
        kubeconfig_path=directory / "kubeconfig",
    )
    tokens = {"admin": ADMIN_TOKEN} | {user: _token_of(user) for user in users}
    lines = [f"{token},{user},{user},system:masters\n" for user, token in tokens.items()]
    (directory / "tokens.csv").write_text("".join(lines))
    key = directory / "service-account.key"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    server.kubeconfig_path.write_text(_kubeconfig(server))
    return server


def _kubeconfig(server: ApiServer) -> str:
    return f"""apiVersion: v1
kind: Config
current-context: test
clusters: [{{name: test, cluster: {{server: "{server.url}", certificate-authority: "{server.ca_file}"}}}}]
users: [{{name: admin, user: {{token: "{server.token}"}}}}]
contexts: [{{name: test, context: {{cluster: test, user: admin}}}}]
"""


def _etcd_command(directory: Path, port: int, peer_port: int) -> list[str]:
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    return [
        str(binary("etcd")),
        f"--data-dir={directory / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",  # the data need not outlive the process
        "--log-level=warn",
    ]


def _apiserver_command(directory: Path, etcd_port: int, port: int) -> list[str]:
    key = directory / "service-account.key"
    return [
        str(binary("kube-apiserver")),
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={directory / 'certificates'}",  # it makes its own certificate there
        f"--token-auth-file={directory / 'tokens.csv'}",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.0.0.0/16",  # a benchmark makes thousands of Services
        "--authorization-mode=RBAC",
        "--endpoint-reconciler-type=none",  # it would refuse to publish a loopback address
    ]


@contextlib.contextmanager
def running(
    command: Sequence[str], log: Path, *, environment: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """The process of `command`, which is told to stop when the block or this interpreter ends, however it ends."""
    tied = ["setpriv", "--pdeathsig", "TERM", *command] if shutil.which("setpriv") else command
    with log.open("wb") as output:
        process = subprocess.Popen(
            tied, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(server: ApiServer, processes: list["subprocess.Popen[bytes]"], directory: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while not _answers(server):
        if any(process.poll() is not None for process in processes):
            raise StartFailed(f"a program ended before it was ready; {_last_words(directory)}")
        if time.monotonic() > deadline:
            raise StartFailed(f"not ready after {READY_WITHIN_SECONDS:.0f} s; {_last_words(directory)}")
        time.sleep(POLL_SECONDS)


def _answers(server: ApiServer) -> bool:
    """Whether it is ready, and the namespace `default`, which a hook makes later, is there."""
    if not server.ca_file.exists():
        return False
    try:
        return all(server.request("GET", path)[0] == 200 for path in ("/readyz", "/api/v1/namespaces/default"))
    except OSError:
        return False


def _json_or_text(content: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(content))
    except (ValueError, RecursionError):
        return {"message": content.decode(errors="replace")}


def _last_words(directory: Path) -> str:
    return "\n".join(
        f"{log.name} ends with:\n{log.read_text(errors='replace')[-1500:]}" for log in sorted(directory.glob("*.log"))
    )


def _free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago: the programs cannot be handed a socket, so another may still take one."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
