"""NOTES.txt: what is told after an install is what can be done next, under the names that this release has.

helm shows it after an install alone, for which it wants a cluster, so it is rendered here as a part of a template.
"""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import CHART, ROOT, Rendered, helm, template

CRDS = ROOT / "charts" / "slipway-crds" / "templates"
RELEASE, NAMESPACE = "rel", "team"
Notes = Callable[..., str]


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    """What a user reads who installs release `rel` into namespace `team` with these values."""
    chart = tmp_path / "slipway"
    shutil.copytree(CHART, chart)
    text = (chart / "templates" / "NOTES.txt").read_text()
    (chart / "templates" / "_notes.tpl").write_text(f'{{{{ define "notes" }}}}{text}{{{{ end }}}}')
    (chart / "templates" / "notes.yaml").write_text('text: {{ include "notes" . | toJson }}')

    def told(**values: object) -> str:
        given = [f"--set-json={key.replace('__', '.')}={json.dumps(value)}" for key, value in values.items()]
        shown = ["--namespace", NAMESPACE, "--show-only", "templates/notes.yaml"]
        answer = helm("template", RELEASE, str(chart), *shown, *given)
        assert answer.returncode == 0, answer.stderr
        return str(yaml.safe_load(answer.stdout)["text"])

    return told


def applied(text: str) -> Rendered:
    """The objects of the files that the notes tell to apply."""
    files = re.findall(r"kubectl apply -f (\S+)", text)
    return [body for file in files for body in yaml.safe_load_all((ROOT / file).read_text())]


def names(kind: str) -> set[str]:
    """What kubectl takes for a kind: its short names and categories."""
    [found] = [spec for spec in definitions() if spec["names"]["kind"] == kind]
    return {*found["names"]["shortNames"], *found["names"]["categories"]}


def definitions() -> list[dict[str, Any]]:
    return [yaml.safe_load(path.read_text())["spec"] for path in sorted(CRDS.glob("*.yaml"))]


def test_the_files_that_are_to_be_applied_are_there_and_what_is_looked_at_next_is_in_them(notes: Notes) -> None:
    text = notes()
    kinds = {body["kind"] for body in applied(text)}
    assert kinds == {"TrainingJob", "InferenceService"}
    looked_at = set(re.findall(r"kubectl get (\S+)", text))
    assert looked_at == {"tj", "sis", "slipway"}
    assert all(looked_at & names(kind) for kind in kinds)
    assert looked_at <= set.union(*(names(kind) for kind in kinds))


def test_the_model_that_is_asked_is_the_one_that_was_applied(notes: Notes) -> None:
    text = notes()
    [body] = re.findall(r"-d '(\{.*\})'", text)
    [service] = [each["metadata"]["name"] for each in applied(text) if each["kind"] == "InferenceService"]
    assert json.loads(body)["model"] == f"default/{service}"


def test_the_gateway_is_reached_under_this_releases_names(notes: Notes) -> None:
    [found] = re.findall(r"kubectl -n (\S+) port-forward svc/(\S+) 8000:(\d+)", notes(gateway__service__port=8080))
    namespace, name, port = found
    rendered = template({"gateway.service.port": 8080}, release=RELEASE, namespace=NAMESPACE)
    services = {each["metadata"]["name"]: each["spec"] for each in rendered if each["kind"] == "Service"}
    assert (namespace, services[name]["ports"][0]["port"]) == (NAMESPACE, int(port))


def test_the_charts_own_test_is_told(notes: Notes) -> None:
    assert f"helm test -n {NAMESPACE} {RELEASE}\n" in notes()


def test_without_a_gateway_nobody_is_sent_to_it(notes: Notes) -> None:
    assert not re.search("gateway|curl|port-forward", notes(gateway__enabled=False))


def test_what_does_not_work_yet_is_told_until_it_does(notes: Notes) -> None:
    assert "prometheus.url is not set: an InferenceService with spec.scaling is refused" in notes()
    assert "prometheus" not in notes(prometheus__url="http://prometheus.monitoring.svc:9090")
