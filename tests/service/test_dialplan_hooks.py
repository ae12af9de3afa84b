"""Hooks while somebody waits: the menu of a line, and whom a code means."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from perezvon.conference import CodeLookup
from perezvon.customisation import Customiser, Limits
from perezvon.customisation.samples import CALL
from perezvon.ivr.scenario import Button, Scenario
from perezvon.service.dialplan_hooks import (
    arriving,
    customised_code,
    customised_distribution,
    customised_menu,
    distribution_notes,
)
from perezvon.settings.model import Settings
from perezvon.storage import Database, menus

SCENARIO = Scenario("+7495", "hello", (Button("1", "sales", "101"), Button("2", "service", "102")))
WHO = {"callerid": "+79161234567", "uniqueid": "1.1"}

Hooked = Callable[[str], Awaitable[Customiser]]


@pytest.fixture
async def hooked(tmp_path: Path) -> AsyncIterator[Hooked]:
    opened: list[Customiser] = []

    async def make(source: str) -> Customiser:
        (tmp_path / "hooks.py").write_text(source, encoding="utf-8")
        customiser = Customiser(tmp_path, Limits(urgent=2.0))
        opened.append(customiser)
        await customiser.open()
        return customiser

    yield make
    for customiser in opened:
        await customiser.close()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return data['scenario']", SCENARIO),
        ("return None", None),
        ("1/0", SCENARIO),
        ("return {'buttons': []}", SCENARIO),
        ("return {'buttons': [{'key': '1', 'to': '101; rm'}]}", SCENARIO),
        ("return {'buttons': [{'to': '1.0E+5'}]}", SCENARIO),
        ("return {'buttons': [{'key': '1', 'to': '1'}, {'key': '1', 'to': '2'}]}", SCENARIO),
        (
            "return {'buttons': [{'to': data['caller']}]}",
            Scenario("+7495", "", (Button("", "", "+79161234567"),), asked=False),
        ),
        (
            "return {'intro': 'bye', 'buttons': [{'key': '1', 'to': '101'}, {'key': '*2', 'to': '102', 'prompt': 'p'}]}",
            Scenario("+7495", "bye", (Button("1", "", "101"), Button("*2", "p", "102"))),
        ),
    ],
)
async def test_menu(hooked: Hooked, body: str, expected: Scenario | None) -> None:
    customiser = await hooked(f"def customize_menu(data):\n {body}\n")
    assert await customised_menu(customiser, "+7495", WHO, SCENARIO) == expected


async def test_a_line_without_a_menu_may_get_one(hooked: Hooked) -> None:
    customiser = await hooked("def customize_menu(data): return data['scenario'] or {'buttons': [{'to': '101'}]}")
    made = await customised_menu(customiser, "+7495", WHO, None)
    assert made is not None
    assert made.alone == Button("", "", "101")


@pytest.mark.parametrize(
    ("body", "code", "expected"),
    [
        ("return data['number']", "1", "74952223344"),
        ("return '74950000000'", "1", "74950000000"),
        ("return '+7 495'", "1", "74952223344"),
        ("return None", "1", ""),
        ("return {'7': '74957777777'}.get(data['code'], data['number'])", "7", "74957777777"),
        ("while True: pass", "1", "74952223344"),
        ("return '74950000000'", "no code", ""),
    ],
)
async def test_code(hooked: Hooked, tmp_path: Path, body: str, code: str, expected: str) -> None:
    customiser = await hooked(f"def customize_third_party(data):\n {body}\n")
    customiser.change(Limits(urgent=0.5))
    async with await Database.open(tmp_path) as database:
        await database.write(lambda conn: menus.replace_codes(conn, {"1": "+74952223344"}, 1.0, all_others=True))
        lookup = CodeLookup(database, Settings(), hook=partial(customised_code, customiser))
        try:
            assert (await lookup.find(code)).number == expected
        finally:
            await lookup.close()


@pytest.mark.parametrize(
    ("body", "extension"),
    [
        ("return data['found']", "101"),
        ("return data['found'] | {'extension': '102'} if data['call']['trunk'] == 'carrier' else None", "102"),
        ("return None", None),
        ("return {'extension': '101,1)Dial(x'}", "101"),
        ("return {'name': 'only'}", "101"),
        ("while True: pass", "101"),
    ],
)
async def test_distribution(hooked: Hooked, body: str, extension: str | None) -> None:
    """The interface for whoever connects callers with the employee responsible."""
    customiser = await hooked(f"def customize_autodistribution(data):\n {body}\n")
    customiser.change(Limits(urgent=0.5))
    environment = {**WHO, "channel": "PJSIP/carrier-0001", "dnid": "74951234567"}
    found = {"extension": "101", "name": "Ivanov", "entity": {"type": "lead", "id": 5}}
    made = await customised_distribution(customiser, "main", environment, found)
    assert (made["extension"] if made else None) == extension


def test_an_arriving_call_is_told_of_as_any_other() -> None:
    assert set(arriving("main", WHO)) == set(CALL)


async def test_a_failure_while_the_caller_waited_is_told_on_the_page_of_his_call(hooked: Hooked) -> None:
    customiser = await hooked("def customize_autodistribution(data):\n    print('looked')\n    return 1 / 0\n")
    found = {"extension": "101", "name": "", "entity": None}
    assert await customised_distribution(customiser, "main", WHO, found) == found
    [note] = distribution_notes(customiser, "main-1.1")
    assert "ZeroDivisionError" in str(note)
    [said] = customiser.said("main-1.1")
    assert (said.point, said.fate.value, said.printed.strip()) == ("customize_autodistribution", "failed", "looked")
    assert not distribution_notes(customiser, "main-2.2")
