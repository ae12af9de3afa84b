"""docs/scenarios.md and docs/functions.md are made of what is tested."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["scenarios", "functions"])
def test_what_is_told_of_the_tests_is_current(name: str) -> None:
    script = ROOT / f"scripts/{name}.py"
    made = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True).stdout
    written = (ROOT / f"docs/{name}.md").read_text(encoding="utf-8")
    assert written == made, f".venv/bin/python scripts/{name}.py > docs/{name}.md"


def test_each_line_of_document_000_is_proven() -> None:
    assert "nothing yet" not in (ROOT / "docs/functions.md").read_text(encoding="utf-8")
