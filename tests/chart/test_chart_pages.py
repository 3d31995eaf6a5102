"""What pages tell users to do with the charts, and what `helm install` tells them to do next."""

import re
from collections.abc import Iterator

from .conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "charts").glob("*/README.md"))]


def installs() -> Iterator[tuple[str, str]]:
    """Each command that installs or upgrades a chart of ours, and where it is."""
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        for command in re.findall(r"^helm (?:install|upgrade) .*charts/slipway.*$", text, re.MULTILINE):
            yield str(page.relative_to(ROOT)), command


def test_every_page_installs_into_the_same_namespace() -> None:
    """Helm refuses a release `slipway-crds` in a second one: what it would make belongs to the first."""
    found = list(installs())
    assert {page for page, _ in found} == {"README.md", "docs/install.md", "charts/slipway-crds/README.md"}
    assert [each for each in found if " -n slipway-system" not in each[1]] == []
