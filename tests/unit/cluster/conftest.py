"""The test bed is a program, not an installed package: its directory goes on the path, as when Python runs it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "e2e" / "cluster"))
