"""`[[numbers.to_crm]]`, `[[numbers.to_pbx]]`: what is right loads and comes back, what is wrong is told with its place."""

from __future__ import annotations

import tomllib

import pytest

from perezvon.rules import NumberRule, Towards
from perezvon.service.policies import number_rules
from perezvon.settings import InvalidSettings, Settings, toml
from perezvon.settings.changes import changes
from perezvon.settings.load import dumped, merged, parse, plainly, settings_from

RULES = r"""[[line]]
number = "+74951234567"
aliases = ["8 (495) 765-43-21", "msk"]

[[numbers.to_crm]]
name = "Moscow"
match = '\d{7}'
replace = '+7495\0'
line = "msk"

[[numbers.to_crm]]
match = '(\d{4})'
replace = '\1'

[[numbers.to_pbx]]
match = '\+7(\d{10})'
replace = '98\1'
"""


def of(text: str) -> Settings:
    return settings_from(parse(text, "my.toml"), text=text, source="my.toml")


def test_rules_keep_their_order_and_know_all_names_of_their_line() -> None:
    settings = of(RULES)
    moscow = frozenset({"+74951234567", "8 (495) 765-43-21", "+74957654321", "msk"})
    assert number_rules(settings, Towards.CRM) == (
        NumberRule(r"\d{7}", r"+7495\0", "Moscow", moscow),
        NumberRule(r"(\d{4})", r"\1"),
    )
    assert number_rules(settings, Towards.PBX) == (NumberRule(r"\+7(\d{10})", r"98\1"),)


def test_they_are_exported_as_they_can_be_applied() -> None:
    settings = of(RULES)
    exported = toml.written(dumped(settings, plainly))
    assert "[[numbers.to_pbx]]" in exported
    assert of(exported) == settings
    assert tomllib.loads(exported) == tomllib.loads(RULES)


def test_a_file_replaces_one_list_and_leaves_the_other() -> None:
    text = "[[numbers.to_pbx]]\nmatch='1'\nreplace='2'\n"
    new = merged(of(RULES), parse(text), text=text)
    assert new.numbers.to_crm == of(RULES).numbers.to_crm
    assert [rule.match for rule in new.numbers.to_pbx] == ["1"]


def test_what_changed_is_told_by_place() -> None:
    text = RULES.replace("'98", "'8")
    assert [str(change) for change in changes(of(RULES), of(text))] == [
        r"~ numbers.to_pbx[0].replace: '98\1' -> '8\1'",
    ]
    assert [str(change) for change in changes(of(""), of("[[numbers.to_pbx]]\nmatch='1'\nreplace='2'"))] == [
        '+ numbers.to_pbx[0].match = "1"',
        '+ numbers.to_pbx[0].replace = "2"',
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[[numbers.to_crm]]\nmatch='1'\nreplace='1'\n[[numbers.to_crm]]\nmatch='12('\nreplace='1'",
            "my.toml:5: numbers.to_crm[1].match: is no regular expression: missing ), unterminated subpattern, at character 3",
        ),
        (
            "[[numbers.to_pbx]]\nmatch='(1+)+'\nreplace='1'",
            "my.toml:2: numbers.to_pbx[0].match: could take too long on some numbers, at character 5",
        ),
        (
            "[[numbers.to_pbx]]\nmatch='(1)'\nreplace='9\\2'",
            "my.toml:3: numbers.to_pbx[0].replace: there is no group 2 (at character 2), match has 1",
        ),
        (
            "[[numbers.to_crm]]\nmatch='1'\nreplace='#1'",
            "my.toml:3: numbers.to_crm[0].replace: # at character 1 cannot be in such a number",
        ),
        (
            "[[numbers.to_crm]]\nmatch='1'\nreplace='1'\nline='x'",
            "my.toml:4: numbers.to_crm[0].line: there is no line x; known: —",
        ),
        ("[[numbers.to_crm]]\nmatch='1'", "my.toml:1: numbers.to_crm[0].replace: this setting is required"),
        ("[[numbers.to_crm]]\nmatch=''\nreplace='1'", "my.toml:2: numbers.to_crm[0].match: must not be empty"),
        ("[numbers.to_crm]\nmatch='1'\nreplace='1'", "my.toml:1: numbers.to_crm: there can be several of these: write [["),
        ("[numbers]\nto_crn=[]", "my.toml:2: numbers.to_crn: there is no such setting; did you mean to_crm?"),
        (
            "[[numbers.to_crm]]\nmach='1'",
            "my.toml:2: numbers.to_crm[0].mach: there is no such setting; did you mean match?",
        ),
        (
            f"[[numbers.to_crm]]\nmatch='{'1' * 201}'\nreplace='1'",
            "my.toml:2: numbers.to_crm[0].match: must have at most 200 characters",
        ),
        (
            "[[numbers.to_crm]]\nmatch='1'\nreplace='1'\n" * 51,
            "my.toml:1: numbers.to_crm: there may be at most 50 of these",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        of(text)
    assert any(line.startswith(told) for line in str(caught.value).splitlines()), str(caught.value)
