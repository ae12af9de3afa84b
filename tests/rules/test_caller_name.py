"""What the phones show of a caller: the template, letters, and texts that would like to be a dialplan."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from perezvon.rules.caller_name import PLACES, caller_name

USUAL = "{person} / {company} / {line}"
IVANOV = {"person": "Иванов", "company": "ООО «Ромашка»", "line": "Москва-линия"}


@pytest.mark.parametrize(
    ("template", "places", "expected"),
    [
        (USUAL, IVANOV, "Иванов / ООО «Ромашка» / Москва-линия"),
        (USUAL, {**IVANOV, "company": ""}, "Иванов / Москва-линия"),
        (USUAL, {"line": "Москва"}, "Москва"),
        (USUAL, {}, ""),
        ("{line}: {person}", {"person": "Ян"}, "Ян"),
        ("VIP, {person}, {client}", {"client": "+7916"}, "VIP +7916"),
        ("{person} ({company})", IVANOV, "Иванов ООО «Ромашка»"),
        (USUAL, {"person": "x" * 99}, "x" * 59 + "."),
        (USUAL, {"person": "{company}"}, "company"),
        (
            USUAL,
            {**IVANOV, "company": "Общество с ограниченной ответственностью «Ромашка»"},
            "Иванов / Общество с ограниче. / Москва-линия",
        ),
    ],
)
def test_templates(template: str, places: dict[str, str], expected: str) -> None:
    assert caller_name(template, places, "as_written", 60) == expected


def test_latin_letters() -> None:
    assert caller_name(USUAL, IVANOV, "latin", 60) == "Ivanov / OOO 'Romashka' / Moskva-liniya"
    assert caller_name("{person}", {"person": "Щёголев Юрий №2 Қ"}, "latin", 60) == "Shchyogolev Yuriy No2 Q"


@given(some.fixed_dictionaries({place: some.text() for place in PLACES}), some.sampled_from(["as_written", "latin"]))
def test_nothing_means_anything_to_a_dialplan(places: dict[str, str], letters: str) -> None:
    name = caller_name("{person} / {company} / {line} / {client} / {responsible}", places, letters, 40)  # type: ignore[arg-type]
    assert len(name) <= 40
    assert not set(name) & set('"\\$<>{}[]()^;|&=?%`:,!\n\r\0\t\u202e\u200b')
    assert name.isprintable()
