"""Tell Prometheus which pods to scrape, as a file: Debian's Prometheus is built without its own Kubernetes discovery.

A pod asks for it by the usual annotations prometheus.io/scrape, /port and /path.
"""

from __future__ import annotations

import json
import os
import ssl
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
# resourceVersion=0: the API server answers from its cache, which is all that a list every other second should cost.
PODS = "https://kubernetes.default.svc/api/v1/pods?fieldSelector=status.phase%3DRunning&resourceVersion=0"
TARGETS = Path("/targets/pods.json")
EVERY_SECONDS = 2


def target(pod: dict[str, Any]) -> dict[str, Any] | None:
    """Return the pod as an entry of Prometheus' file_sd, or None if it does not ask to be scraped or cannot be."""
    metadata, address = pod["metadata"], pod.get("status", {}).get("podIP")
    annotations, labels = metadata.get("annotations", {}), metadata.get("labels", {})
    if annotations.get("prometheus.io/scrape") != "true" or not address:
        return None
    return {
        "targets": [f"{address}:{annotations.get('prometheus.io/port', '80')}"],
        "labels": {
            "__metrics_path__": annotations.get("prometheus.io/path", "/metrics"),
            "namespace": metadata["namespace"],
            "pod": metadata["name"],
            "app": labels.get("app", labels.get("app.kubernetes.io/name", "")),
        },
    }


def list_pods() -> list[dict[str, Any]]:
    """Return the running pods of all namespaces. The token is read each time: the kubelet renews it."""
    request = urllib.request.Request(PODS, headers={"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}"})
    context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
        items: list[dict[str, Any]] = json.load(answer)["items"]
    return items


def main() -> None:
    """Write the file, whole, whenever it changes. A failed list keeps the last one: it is better than none."""
    written = None
    while True:
        try:
            text = json.dumps([found for found in map(target, list_pods()) if found], sort_keys=True)
        except OSError as error:
            sys.stderr.write(f"cannot list pods: {error}\n")
        else:
            if text != written:
                half = TARGETS.with_suffix(".half")
                half.write_text(text)
                os.replace(half, TARGETS)
                written = text
        time.sleep(EVERY_SECONDS)


if __name__ == "__main__":
    main()
