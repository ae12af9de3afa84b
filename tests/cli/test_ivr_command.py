"""`perezvon ivr` as people and scripts call it."""

from __future__ import annotations

import asyncio
import json
import math
import os
import struct
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import pytest
from company_tables import TABLES, run
from typer.testing import CliRunner, Result

from perezvon.cli import app
from perezvon.cli.exits import Exit
from perezvon.storage import Database
from perezvon.storage.schema import company_answer

SHEET = """phone;scenario;scenarioMsg;keyNum;msgMp3;transferTo
+74951234567;shop;hello;1;cakes.mp3;+79160000001
+74951234567;shop;hello;2;flowers.mp3;102
+78121234567;;;;;101
"""


def perezvon(*arguments: object, stdin: str | bytes = "", language: str = "C.UTF-8") -> Result:
    return CliRunner(env={"LC_ALL": language}).invoke(app, [str(argument) for argument in arguments], input=stdin)


def tone(path: Path, seconds: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        samples = (round(9000 * math.sin(n / 8)) for n in range(round(16000 * seconds)))
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))


class House:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.apply(f'[ivr]\nsounds = "{folder / "sounds"}"\n')

    def apply(self, settings: str) -> None:
        done = perezvon("config", "apply", "-", "--data-dir", self.data, stdin=settings)
        assert done.exit_code == Exit.OK, done.output

    def ivr(self, command: str, *arguments: object, stdin: str | bytes = "", language: str = "C.UTF-8") -> Result:
        return perezvon("ivr", command, *arguments, "--data-dir", self.data, stdin=stdin, language=language)

    def told(self, command: str, *arguments: object, stdin: str | bytes = "") -> Any:
        return json.loads(self.ivr(command, *arguments, "--json", stdin=stdin).stdout)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture
def pbx(tmp_path: Path, house: House) -> Path:
    """With the tables of document 004."""
    asyncio.run(run(f"sqlite+aiosqlite:///{tmp_path / 'pbx.db'}", *TABLES))
    house.apply(f'[ivr]\ndatabase = "sqlite:///{tmp_path / "pbx.db"}"\n')
    return tmp_path / "pbx.db"


def test_import_list_export(house: House, tmp_path: Path) -> None:
    done = house.ivr("import", "-", stdin=SHEET)
    assert (done.exit_code, done.stdout) == (Exit.OK, "Scenarios: 2, buttons: 3.\n"), done.output
    assert house.ivr("export").stdout == SHEET
    listed = house.ivr("list").stdout.splitlines()
    assert listed == [
        "+74951234567  kept in Perezvon  1 → +79160000001, 2 → 102",
        "+78121234567  kept in Perezvon  — → 101",
    ]
    written = house.ivr("export", "--output", tmp_path / "out.csv")
    assert written.exit_code == Exit.OK
    assert (tmp_path / "out.csv").read_bytes() == b"\xef\xbb\xbf" + SHEET.encode()
    assert house.told("import", tmp_path / "out.csv") == {"scenarios": 2, "buttons": 3, "codes": 0, "dry_run": False}


def test_an_import_replaces_what_it_names(house: House) -> None:
    house.ivr("import", "-", stdin=SHEET)
    one = "phone;keyNum;transferTo\n8 495 123-45-67;5;105\n"
    assert house.ivr("import", "-", "--dry-run", stdin=one).stdout.splitlines()[-1] == "Nothing was written (--dry-run)."
    assert len(house.told("export")[0]["buttons"]) == 2
    house.ivr("import", "-", stdin=one)
    assert [(menu["phone"], [b["keyNum"] for b in menu["buttons"]]) for menu in house.told("export")] == [
        ("+74951234567", ["5"]),
        ("+78121234567", [""]),
    ]
    house.ivr("import", "-", "--replace", stdin=one)
    assert [menu["phone"] for menu in house.told("export")] == ["+74951234567"]


def test_codes(house: House) -> None:
    assert house.ivr("import", "-", stdin="pref,phone\n1,+7 495 000-00-01\n2,102\n").stdout == "Codes: 2.\n"
    house.ivr("import", "-", stdin="pref,phone\n2,103\n")
    assert house.told("export", "--codes") == {"1": "+74950000001", "2": "103"}
    assert house.ivr("export", "--codes").stdout == "pref;phone\n1;+74950000001\n2;103\n"
    assert house.told("export") == []


def test_a_file_with_mistakes_changes_nothing(house: House, tmp_path: Path) -> None:
    house.ivr("import", "-", stdin=SHEET)
    file = tmp_path / "menus.csv"
    file.write_text(SHEET + "+74951234568;;;1;;\n+74951234569;;;x;;101\n", encoding="cp1251")
    done = house.ivr("import", file, "--replace", language="ru_RU.UTF-8")
    assert done.exit_code == Exit.USAGE
    assert done.stderr.splitlines() == [
        f"{file}:5: transferTo: нет номера",
        f"{file}:6: keyNum: клавиши x у телефона нет",
        "Ничего не записано.",
    ]
    told = house.told("import", file)
    assert (told["exit"], told["mistakes"][1]) == (
        "usage",
        {"line": 6, "column": "keyNum", "text": "x is no key that a phone has"},
    )
    assert len(house.told("export")) == 2
    assert house.ivr("import", tmp_path / "none.csv").exit_code == Exit.USAGE


@pytest.mark.slow
def test_what_a_caller_hears(house: House, pbx: Path) -> None:
    """Numbers, recordings with their lengths, silence; nothing is kept by a test."""
    for name, seconds in (
        ("scenario/welcome", 1.5),
        ("msgMp3/msg", 1.0),
        ("msgMp3/pref", 2.0),
        ("keyNum/1", 0.5),
        ("keyNum/2", 0.5),
    ):
        tone(house.folder / "sounds" / f"{name}.wav", seconds)
    done = house.ivr("test", "+7 000 000-00-02")
    assert done.exit_code == Exit.OK, done.output
    first, *rest = done.stdout.splitlines()
    assert first.startswith("+7 000 000-00-02: in the company's database, as 70000000002 (")
    assert rest == [
        "Intro: welcome.mp3 (1.5 s)",
        "  1 → 79160000011    keyNum/1 (0.5 s), msgMp3/msg.mp3 (1.0 s)",
        "  2 → 79160000012    keyNum/2 (0.5 s), msgMp3/pref.mp3 (2.0 s)",
        "A key rings its number for 20 s, then Bitrix24.",
        "Nothing pressed for 7 s: Bitrix24.",
        "A wrong key: Bitrix24.",
    ]

    async def kept() -> int:
        async with await Database.open(house.data) as database, database.read() as conn:
            return len((await conn.execute(company_answer.select())).all())

    assert asyncio.run(kept()) == 0


@pytest.mark.slow
def test_recordings_that_are_missing_or_broken(house: House, pbx: Path) -> None:
    tone(house.folder / "sounds" / "scenario" / "welcome.wav", 1.0)
    (house.folder / "sounds" / "msgMp3").mkdir()
    (house.folder / "sounds" / "msgMp3" / "pref.mp3").write_text("no sound at all")
    done = house.ivr("test", "70000000002")
    assert done.exit_code == Exit.PROBLEM
    assert "msgMp3/msg.mp3 (not played)" in done.stdout
    assert "! msgMp3/msg.mp3: there is no such recording" in done.stdout
    assert "! msgMp3/pref.mp3: cannot be played" in done.stdout
    assert "! keyNum/1: there is no such recording; our own digits are played" in done.stdout
    told = house.told("test", "70000000002")
    assert told["buttons"][0]["prompt"] == {"name": "msg.mp3", "seconds": None}
    assert told["buttons"][0]["key_prompt"]["seconds"] > 0
    assert len(told["troubles"]) == 4


def test_one_button_and_none(house: House, pbx: Path) -> None:
    one = house.ivr("test", "70000000001", language="ru_RU.UTF-8")
    assert one.exit_code == Exit.OK
    assert one.stdout.splitlines()[1] == "Звонящий слышит гудки: вызов на 79160000001 идёт 20 с, потом в Битрикс24."
    assert house.told("test", "70000000001")["rings_at_once"] == "79160000001"
    none = house.ivr("test", "70000000000")
    assert none.exit_code == Exit.OK
    assert none.stdout.splitlines()[-1] == "A caller goes straight to Bitrix24."
    told = house.told("test", "70000000000")
    assert (told["origin"], told["buttons"], told["database"]) == ("none", [], None)


def test_a_database_in_trouble(house: House) -> None:
    house.apply('[ivr]\ndatabase = "mysql://reader:hunter2@127.0.0.1:9/pbx"\n[[line]]\nnumber = "+74951234567"\n')
    done = house.ivr("test", "70000000002")
    assert done.exit_code == Exit.PROBLEM
    assert "A caller goes straight to Bitrix24." in done.stdout
    assert "! mysql://127.0.0.1:9/pbx: the database server cannot be reached: see that" in done.stdout
    listed = house.ivr("list", language="ru_RU.UTF-8")
    assert listed.exit_code == Exit.PROBLEM
    assert "сервер базы данных недоступен" in listed.stdout
    assert "cannot be reached" in house.told("list")[0]["database"]["seen"]
    assert "hunter2" not in done.output + house.ivr("test", "1", "--verbose").output


def test_another_wrong_key(house: House, pbx: Path) -> None:
    house.apply('[ivr]\nwrong_key = "repeat"\nwrong_tries = 2\nfallback = "100"\nsilence = 4.5\n')
    done = house.ivr("test", "70000000002").stdout
    assert "Nothing pressed for 4.5 s: 100." in done
    assert "A wrong key: the menu again; after 2 of them: 100." in done


@pytest.mark.slow
def test_all_that_is_wrong_is_in_the_answer_and_nothing_beside_it(house: House, pbx: Path) -> None:
    """Of a process of its own: also what libraries print, and the converting process."""
    broken = house.folder / "sounds" / "msgMp3" / "pref.mp3"
    broken.parent.mkdir(parents=True)
    broken.write_text("no sound at all")
    row = "UPDATE sAsterisk_ivr_button SET keyNum = 'x' WHERE id = 2"
    asyncio.run(run(f"sqlite+aiosqlite:///{pbx}", row))
    house.apply('[[line]]\nnumber = "70000000002"\n')
    trouble = "! row 2: x is no key that a phone has; the button is left out"
    for arguments in (["test", "70000000002"], ["list"]):
        assert trouble in alone(house, *arguments)
    assert "! msgMp3/pref.mp3: cannot be played" in alone(house, "test", "70000000002")
    house.apply('[ivr]\ndatabase = "mysql://reader:hunter2@127.0.0.1:9/pbx"\n')
    assert "cannot be reached" in alone(house, "list")


def alone(house: House, *arguments: str) -> str:
    command = [
        sys.executable,
        "-c",
        "from perezvon.cli import main; main()",
        "ivr",
        *arguments,
        "--data-dir",
        str(house.data),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"LC_ALL": "C.UTF-8"})
    assert (done.returncode, done.stderr) == (Exit.PROBLEM, "")
    return done.stdout


def test_nothing_is_there(house: House) -> None:
    assert house.ivr("list").stdout.strip() == "The settings name no [[line]], and no scenario is kept here."
    assert perezvon("ivr", "list", "--data-dir", house.folder / "none").exit_code == Exit.USAGE
