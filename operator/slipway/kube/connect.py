"""Where the API server is and who we are: kubernetes.aio's configuration, in a pod or from a kubeconfig.

Only the configuration is taken from that library; its model layer costs three times the CPU of a plain request
(docs/control-loop.md), so requests go through kube/client.py.
"""

import os
import ssl
from typing import Protocol, cast

from kubernetes.aio import config
from kubernetes.aio.client import Configuration


class Connection(Protocol):
    """What is used of kubernetes.aio's Configuration, which is not typed."""

    host: str
    ssl_ca_cert: str | None
    ca_cert_data: str | None
    cert_file: str | None
    key_file: str | None
    verify_ssl: bool

    async def get_api_key_with_prefix(self, identifier: str, alias: str | None = None) -> str | None: ...


async def load_configuration() -> Connection:
    """The service account's configuration in a pod, else the kubeconfig's ($KUBECONFIG, ~/.kube/config).

    Raises kubernetes.aio.config.ConfigException with the library's own explanation. The in-cluster token is read again
    every minute by the configuration's own hook.
    """
    configuration = Configuration()
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        config.load_incluster_config(client_configuration=configuration)
    else:
        # Named here: the library reads $KUBECONFIG once, when it is imported.
        await config.load_kube_config(config_file=kubeconfig(), client_configuration=configuration)
    return cast(Connection, configuration)


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
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        config.load_incluster_config(client_configuration=configuration)


async def authorization(configuration: Connection) -> str:
    """The Authorization header's value, refreshed when it is due; "" when a client certificate speaks for us."""
    return await configuration.get_api_key_with_prefix("BearerToken", alias="authorization") or ""
