"""What is written down of where the images and the bed's code lie is so."""

import re

from bed.places import CLUSTER_DIR, IMAGES


def test_the_code_that_an_image_names_is_there() -> None:
    named = {
        (path.name, module)
        for path in IMAGES.rglob("Dockerfile")
        for module in re.findall(r"\bbed/\w+\.py\b", path.read_text())
    }
    assert named
    assert {pair for pair in named if not (CLUSTER_DIR / pair[1]).is_file()} == set()
