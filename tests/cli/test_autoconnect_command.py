"""`perezvon autoconnect test` without a PBX and a portal to ask, and what `perezvon replay` tells of a choice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from perezvon.cli import app
from perezvon.cli.exits import Exit

pytestmark = pytest.mark.slow

SETTINGS = """
[[asterisk]]
name = "main"
ami = "tcp://nobody:x@127.0.0.1:9"
recordings = "/nowhere"
[[portal]]
name = "main"
webhook = "http://127.0.0.1:9/rest/1/secret/"
time_zone = "Europe/Moscow"
[[line]]
number = "+74951234567"
name = "Moscow"
first_employee = "101"
[[line]]
number = "+74957654321"
autoconnect = false
[autoconnect]
enabled = true
[working_time]
week = ["Mon-Fri 09:00-18:00"]
"""


def perezvon(*arguments: object, language: str = "C.UTF-8") -> Result:
    return CliRunner(env={"LC_ALL": language}).invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    file = tmp_path / "settings.toml"
    file.write_text(SETTINGS, encoding="utf-8")
    applied = perezvon("config", "apply", file, "--data-dir", tmp_path / "data")
    assert applied.exit_code == 0, applied.output
    return tmp_path / "data"


def tried(data_dir: Path, *more: object) -> Result:
    return perezvon("autoconnect", "test", "8 916 123-45-67", "--data-dir", data_dir, *more)


def test_in_working_hours_and_out_of_them(data_dir: Path) -> None:
    found = json.loads(tried(data_dir, "--line", "+74951234567", "--at", "2026-07-06T12:00", "--json").stdout)
    assert (found["understood"], found["to"], found["name"]) == ("+79161234567", "101", "Moscow")
    assert found["reasons"] == [
        "the portal did not answer in time: the client's responsible is not known",
        "101 is the first employee of the line Moscow",
        "101 is rung for 20 s",
    ]
    assert "127.0.0.1:9" in found["devices"], "the phones could not be asked"
    late = json.loads(tried(data_dir, "--line", "+74951234567", "--at", "2026-07-06T19:00+03:00", "--json").stdout)
    assert (late["to"], late["reasons"][2]) == ("", "101 is out of working hours")


def test_the_integrators_function_is_asked(data_dir: Path) -> None:
    (data_dir / "customisation").mkdir()
    (data_dir / "customisation" / "hooks.py").write_text(
        "def customize_autodistribution(data):\n"
        "    assert (data['call']['client'], data['call']['line']) == ('8 916 123-45-67', '+74951234567')\n"
        "    return data['found'] | {'extension': '105', 'name': 'VIP ' + data['found']['name']}\n"
    )
    found = json.loads(tried(data_dir, "--line", "+74951234567", "--at", "2026-07-06T12:00", "--json").stdout)
    assert (found["to"], found["name"]) == ("105", "VIP Moscow")
    assert found["reasons"][-2:] == ["changed by customisation", "105 is rung for 20 s"]


def test_in_russian(data_dir: Path) -> None:
    told = tried(data_dir, "--line", "+74951234567", "--at", "2026-07-06T12:00").stdout
    assert "Rung: 101" in told
    told = perezvon(
        "autoconnect", "test", "1", "--line", "+74957654321", "--data-dir", data_dir, language="ru_RU.UTF-8"
    ).stdout
    assert told.strip() == "Звонящие на эту линию остаются АТС: автосоединение для неё выключено."


@pytest.mark.parametrize("wrong", [("--at", "tomorrow"), ("--pbx", "other")])
def test_what_cannot_be_tried(data_dir: Path, wrong: tuple[str, str]) -> None:
    assert tried(data_dir, *wrong).exit_code == Exit.USAGE


def test_a_recording_tells_of_the_choice(tmp_path: Path) -> None:
    channel = {"Channel": "PJSIP/carrier-1", "Uniqueid": "1.1", "Linkedid": "1.1", "CallerIDNum": "79161234567"}
    why = json.dumps([["contact", {"title": "Мария", "who": "Петрова (102)"}], ["rung", {"who": "102", "seconds": "20"}]])
    events = [
        {"Event": "Newchannel", "Timestamp": "100", "Context": "from-pstn", "Exten": "74951234567", **channel},
        {"Event": "UserEvent", "UserEvent": "PerezvonConnect", "Timestamp": "101", "To": "102", "Why": why, **channel},
        {"Event": "Hangup", "Timestamp": "110", "Cause": "16", **channel},
    ]
    recorded, settings = tmp_path / "events.json", tmp_path / "settings.toml"
    recorded.write_text(json.dumps(events), encoding="utf-8")
    settings.write_text(SETTINGS, encoding="utf-8")
    told = perezvon("replay", recorded, "--settings", settings)
    assert told.exit_code == 0, told.output
    [call] = [json.loads(line) for line in told.stdout.splitlines()]
    assert [decision["reason"] for decision in call["decisions"]][:2] == [
        "the contact Мария belongs to Петрова (102)",
        "102 is rung for 20 s",
    ]
