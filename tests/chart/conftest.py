"""helm, as the test bed builds it, and a way to render the chart with values."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.cli.documents import StrictLoader

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "slipway"
Rendered = list[dict[str, Any]]
Render = Callable[..., Rendered]


def helm_binary() -> str:
    """The pinned helm of the bed: a helm from somewhere else may render otherwise."""
    cache = Path(os.environ.get("SLIPWAY_CACHE", Path.home() / ".cache" / "slipway"))
    helm = cache / "bin" / "helm"
    if not helm.exists():
        pytest.fail("helm is not built: run python3 tests/e2e/cluster build helm", pytrace=False)
    return str(helm)


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([helm_binary(), *arguments], capture_output=True, text=True, check=False)


def template(
    values: dict[str, Any] | None = None, *, release: str = "slipway", namespace: str = "slipway-system"
) -> Rendered:
    """All objects that the chart renders with `values`, helm test hooks included. Raises on helm's error, and on a key
    that comes twice: helm lets it pass, kustomize and other readers of what it renders do not."""
    answer = helm(
        "template", release, str(CHART), "--namespace", namespace, "--kube-version", "1.34.0",
        *(f"--set-json={key}={json.dumps(value)}" for key, value in (values or {}).items()),
    )  # fmt: skip
    if answer.returncode:
        raise ValueError(answer.stderr)
    return [document for document in yaml.load_all(answer.stdout, Loader=StrictLoader) if document]


@pytest.fixture
def render() -> Render:
    return template
