"""docs/scenarios.md is made of the scenarios that are tested."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_table_of_scenarios_is_current() -> None:
    made = subprocess.run(
        [sys.executable, ROOT / "scripts/scenarios.py"], capture_output=True, text=True, check=True
    ).stdout
    written = (ROOT / "docs/scenarios.md").read_text(encoding="utf-8")
    assert written == made, ".venv/bin/python scripts/scenarios.py > docs/scenarios.md"
