"""Where the API server is and who we are: kubernetes.aio's configuration, in a pod or from a kubeconfig.

Only the configuration is taken from that library; its model layer costs three times the CPU of a plain request
(docs/control-loop.md), so requests go through kube/client.py.
"""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, cast

import yaml
from kubernetes.aio import config
from kubernetes.aio.client import Configuration

NAME_ONE = "set KUBECONFIG to the path of a kubeconfig whose current context is the cluster"


class Unconfigured(RuntimeError):
    """Nothing says how to reach a cluster, or what does cannot be used; the message says why, and what to do."""


class Connection(Protocol):
    """What is used of kubernetes.aio's Configuration, which is not typed."""

    host: str
    ssl_ca_cert: str | None
    ca_cert_data: str | None
    cert_file: str | None
    key_file: str | None
    verify_ssl: bool

    async def get_api_key_with_prefix(self, identifier: str, alias: str | None = None) -> str | None: ...


@contextmanager
def explained() -> Iterator[None]:
    """Around what loads a configuration and makes a client of it. Raises Unconfigured."""
    if not _in_a_pod() and not _has_kubeconfig():
        raise Unconfigured(f"no cluster is configured: there is no {kubeconfig()}: {NAME_ONE}")
    try:
        yield
    except config.ConfigException as error:
        raise Unconfigured(f"no cluster to ask: {error}{'' if _in_a_pod() else f': {NAME_ONE}'}") from error
    except (TypeError, AttributeError, yaml.YAMLError) as error:  # the library's own, on what is no kubeconfig
        raise Unconfigured(f"no cluster to ask: {kubeconfig()} is no kubeconfig: {NAME_ONE}") from error
    except (OSError, ValueError) as error:  # of a file that it names, of base64 or of TLS
        whose = "the pod's account" if _in_a_pod() else kubeconfig()
        why = f"a token, certificate or key of {whose} cannot be used ({error})"
        raise Unconfigured(f"no cluster to ask: {why}: {NAME_ONE}") from error


async def load_configuration() -> Connection:
    """The service account's configuration in a pod, else the kubeconfig's ($KUBECONFIG, ~/.kube/config).

    Raises whatever the library does: `explained` makes sentences of it. The in-cluster token is read again every minute
    by the configuration's own hook.
    """
    configuration = Configuration()
    if _in_a_pod():
        config.load_incluster_config(client_configuration=configuration)
    else:
        # Named here: the library reads $KUBECONFIG once, when it is imported.
        await config.load_kube_config(config_file=kubeconfig(), client_configuration=configuration)
    return cast(Connection, configuration)


def _in_a_pod() -> bool:
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST"))


def _has_kubeconfig() -> bool:
    """Asked first: the library prints which file it did not find, and then complains of a key."""
    return any(Path(each).expanduser().exists() for each in kubeconfig().split(os.pathsep))


def kubeconfig() -> str:
    """Where kubectl would look: one path or several, as in $PATH. An empty variable counts as none."""
    return os.environ.get("KUBECONFIG") or "~/.kube/config"


def ssl_context(configuration: Connection) -> ssl.SSLContext:
    """TLS as the configuration asks for: its CA, its client certificate, and no verification only if it says so."""
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert, cadata=configuration.ca_cert_data)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def reload(configuration: Connection) -> None:
    """Read the service account's token again now, after one that was refused: it may have been replaced within the
    minute for which the hook keeps it. Outside a pod nothing changes: the kubeconfig's own hook knows when.
    """
    if _in_a_pod():
        config.load_incluster_config(client_configuration=configuration)


async def authorization(configuration: Connection) -> str:
    """The Authorization header's value, refreshed when it is due; "" when a client certificate speaks for us."""
    return await configuration.get_api_key_with_prefix("BearerToken", alias="authorization") or ""
