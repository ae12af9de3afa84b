"""`perezvon numbers test` as people and scripts call it, and the examples of docs/numbers.md."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from perezvon.cli import app
from perezvon.cli.exits import Exit

DOCS = Path(__file__).resolve().parents[2] / "docs"

RULES = r"""
[[line]]
number = "+74951234567"
aliases = ["msk"]
[[numbers.to_crm]]
name = "Moscow"
match = '\d{7}'
replace = '+7495\0'
line = "msk"
[[numbers.to_crm]]
match = '\+7(\d{10})'
replace = '8\1'
[[numbers.to_crm]]
match = '\+.*|gate'
replace = '\0\0'
[[numbers.to_pbx]]
match = '\d{7}'
replace = '9\0'
"""


def perezvon(*arguments: object, language: str = "C.UTF-8") -> Result:
    return CliRunner(env={"LC_ALL": language}).invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    file = tmp_path / "my.toml"
    file.write_text(RULES, encoding="utf-8")
    return file


def told(number: str, rules: Path, *more: str) -> dict[str, Any]:
    return json.loads(perezvon("numbers", "test", number, "--settings", rules, "--json", *more).stdout)


def test_each_rule_is_shown_with_what_came_of_it(rules: Path) -> None:
    shown = perezvon("numbers", "test", "8 (916) 123-45-67", "--settings", rules)
    assert shown.exit_code == Exit.OK, shown.output
    assert shown.stdout.splitlines() == [
        "Understood as: +79161234567",
        "Towards the CRM",
        r"  1. Moscow: \d{7} -> +7495\0  (is for another line)",
        r"  2. \+7(\d{10}) -> 8\1  (matches)",
        r"  3. \+.*|gate -> \0\0  (not tried any more)",
        r"  number rule \+7(\d{10}): the portal is told 89161234567 instead of +79161234567",
        "  Result: 89161234567",
        "Towards the PBX",
        r"  1. \d{7} -> 9\0  (does not match)",
        "  Result: 79161234567",
    ]


def test_in_russian(rules: Path) -> None:
    shown = perezvon("numbers", "test", "8 (916) 123-45-67", "--settings", rules, language="ru_RU.UTF-8").stdout
    assert "Понят как: +79161234567\nВ сторону CRM\n" in shown
    assert "порталу сообщается 89161234567 вместо +79161234567\n  Итог: 89161234567\n" in shown


@pytest.mark.parametrize("line", ["msk", "+74951234567", "8 495 123-45-67"])
def test_rules_of_a_line_know_it_by_every_name(rules: Path, line: str) -> None:
    shown = told("7654321", rules, "--line", line)
    assert (shown["to_crm"]["result"], shown["to_crm"]["rule"]) == ("+74957654321", 0)
    assert (shown["to_pbx"]["result"], shown["to_pbx"]["rule"]) == ("97654321", 0)
    assert [rule["verdict"] for rule in shown["to_crm"]["rules"]] == ["matches"] + ["not tried any more"] * 2
    assert "no line" not in perezvon("numbers", "test", "7654321", "--line", line, "--settings", rules).stdout


def test_an_unknown_line_is_told(rules: Path) -> None:
    shown = perezvon("numbers", "test", "7654321", "--line", "spb", "--settings", rules)
    assert shown.stdout.startswith("The settings name no line spb.\n")


def test_a_refused_result_is_a_problem(rules: Path) -> None:
    shown = perezvon("numbers", "test", "+4930901820", "--settings", rules, "--json")
    assert shown.exit_code == Exit.PROBLEM
    crm = json.loads(shown.stdout)["to_crm"]
    assert (crm["result"], crm["rule"]) == ("+4930901820", 2)
    assert crm["rules"][2]["verdict"] == "matches, but its result is refused"
    assert crm["reasons"] == [
        r"number rule \+.*|gate makes +4930901820+4930901820 of +4930901820, which the portal takes for no number: not applied"
    ]


def test_what_is_no_number(rules: Path) -> None:
    shown = told("ivan", rules)
    assert (shown["to_crm"]["result"], shown["to_pbx"]["result"]) == ("000000", "")
    assert shown["to_crm"]["reasons"] == ["ivan is no phone number: the portal is told 000000"]
    assert shown["to_pbx"]["reasons"] == ["ivan is no number that can be dialled"]
    hidden = told("anonymous", rules)
    assert (hidden["understood"], hidden["to_crm"]["result"]) == ("", "000000")


def test_the_saved_rules_are_tried_when_no_file_is_named(rules: Path, tmp_path: Path) -> None:
    saved = perezvon("config", "apply", rules, "--data-dir", tmp_path / "data")
    assert saved.exit_code == Exit.OK, saved.output
    shown = perezvon("numbers", "test", "79161234567", "--data-dir", tmp_path / "data", "--json")
    assert json.loads(shown.stdout)["to_crm"]["result"] == "89161234567"


@pytest.mark.parametrize("page", ["numbers.md", "numbers.ru.md"])
def test_the_examples_of_the_documentation_do_what_it_says(page: str, tmp_path: Path) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    (example,) = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    file = tmp_path / "my.toml"
    file.write_text(example, encoding="utf-8")
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in text.splitlines() if row.startswith("|")][2:]
    assert len(rows) >= 6
    for number, line, to_crm, to_pbx in rows:
        shown = told(number, file, "--line", line)
        assert [shown["to_crm"]["result"], shown["to_pbx"]["result"]] == [to_crm, to_pbx], number
