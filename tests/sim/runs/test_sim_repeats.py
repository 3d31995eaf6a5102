"""The same script is the same run, in whatever process: else no failure could be repeated."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ..script import Script
from ..seeds import script
from ..world import run

ROOT = Path(__file__).resolve().parents[3]
PRINT = "import sys; from tests.sim.world import run; from tests.sim.seeds import script; print(run(script(3)).trace)"


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_run_repeats_request_by_request(seed: int) -> None:
    assert run(script(seed)).log == run(script(seed)).log


def test_another_seed_is_another_run() -> None:
    traces = {run(Script("gang restarts", seed=seed, timing="hostile")).trace for seed in range(3)}
    assert len(traces) == 3


def test_a_run_does_not_depend_on_the_order_of_sets() -> None:
    assert _trace(hash_seed="1") == _trace(hash_seed="2")


def _trace(*, hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": f"{ROOT}:{ROOT / 'operator'}"}
    done = subprocess.run([sys.executable, "-c", PRINT], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
