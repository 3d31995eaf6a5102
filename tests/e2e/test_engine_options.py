"""Contract 6: the table that engine arguments are checked against is what the vLLM image's own parser has."""

import subprocess

import pytest

from .install import IMAGES, ROOT
from .kube import Kube


@pytest.mark.level(1)
@pytest.mark.feature("engine-arguments")
def test_the_option_table_is_the_images_own(kube: Kube) -> None:
    argv = ["docker", "run", "--rm", "-i", "--entrypoint", "python3", IMAGES["images.vllm.cpu"], "-"]
    script = (ROOT / "scripts/engine-options.py").read_text()
    done = subprocess.run(argv, input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (ROOT / "operator/slipway/plan/inference/vllm_options.json").read_text()
