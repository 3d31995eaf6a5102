"""What is written down of where the images and the bed's code lie is so."""

import re

from bed.places import CLUSTER_DIR, IMAGES, REPOSITORY


def test_the_code_that_an_image_names_is_there() -> None:
    named = {
        (path.name, module)
        for path in IMAGES.rglob("Dockerfile")
        for module in re.findall(r"\bbed/\w+\.py\b", path.read_text())
    }
    assert named
    assert {pair for pair in named if not (CLUSTER_DIR / pair[1]).is_file()} == set()


def test_the_readme_names_every_directory_of_an_image() -> None:
    entry = re.search(r"^images/ .*(\n +.*)*", (REPOSITORY / "README.md").read_text(), re.MULTILINE)
    assert entry
    directories = {path.name for path in IMAGES.iterdir() if path.is_dir()}
    assert directories - set(re.findall(r"[\w-]+", entry[0])) == set()
