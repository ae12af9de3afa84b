"""docs/security.md names every requirement of OWASP ASVS 4.0.3 level 1 once, and only tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"\| (\d+\.\d+\.\d+) \| ([a-z ]+) \| (.*) \| (.*) \|")
PROVEN = ("met", "in part")
ELSE = ("not applicable", "deployment")
LEVEL_1 = """
2.1: 1-12   2.2: 1-3    2.3: 1      2.5: 1-6    2.7: 1-4    2.8: 1
3.1: 1      3.2: 1-3    3.3: 1-2    3.4: 1-5    3.7: 1
4.1: 1-3,5  4.2: 1-2    4.3: 1-2
5.1: 1-5    5.2: 1-8    5.3: 1-10   5.5: 1-4
6.2: 1      7.1: 1-2    7.4: 1      8.2: 1-3    8.3: 1-4    9.1: 1-3
10.3: 1-3   11.1: 1-5   12.1: 1     12.3: 1-5   12.4: 1-2   12.5: 1-2   12.6: 1
13.1: 1,3   13.2: 1-3   13.3: 1     14.2: 1-3   14.3: 2-3   14.4: 1-7   14.5: 1-3
"""
"""Section: its requirements of level 1."""


def wanted() -> list[str]:
    found: list[str] = []
    for section, numbers in re.findall(r"(\d+\.\d+): +([\d,-]+)", LEVEL_1):
        for part in numbers.split(","):
            first, _, last = part.partition("-")
            found += [f"{section}.{number}" for number in range(int(first), int(last or first) + 1)]
    return found


def rows() -> list[tuple[str, ...]]:
    text = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    return [found.groups() for line in text.splitlines() if (found := ROW.fullmatch(line))]


def test_the_page_of_security_is_whole() -> None:
    assert len(wanted()) == 128
    assert [number for number, *_ in rows()] == wanted()
    for number, answer, _, proof in rows():
        assert answer in (*PROVEN, *ELSE), number
        assert answer not in PROVEN or "`test_" in proof, f"{number} is said to be met, and nothing proves it"


def test_every_test_that_is_named_exists() -> None:
    there: set[str] = set()
    for file in (ROOT / "tests").rglob("test_*.py"):
        there.update(re.findall(r"^(?:async )?def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE))
    named = {name for *_, proof in rows() for name in re.findall(r"`(test_\w+)`", proof)}
    assert len(named) > 60
    assert named <= there, sorted(named - there)
