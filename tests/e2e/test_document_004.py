"""Document 004 whole: the company's tables in a real MariaDB, its mp3 files, our dialplan on a real Asterisk, the service
between them, and what the portal has of each call afterwards."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from menu_lines import line
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from talks import Answers, Steps, Talk

from mariadb_fixtures import MariadbServer
from perezvon.recordings.convert import Mp3, convert_file
from perezvon.sandbox.pbx import Leg, PbxSandbox, sounds
from perezvon.sandbox.portal import PortalServer
from perezvon.sandbox.stand import Stand, stand

pytestmark = [pytest.mark.asterisk, pytest.mark.mariadb, pytest.mark.timeout(120)]

STRAIGHT, ONE, SEVERAL = "70000000000", "70000000001", "70000000002"
CAKES, FLOWERS, ALONE = "79160000011", "79160000012", "79160000001"
SPOKEN = {
    "scenario/welcome": 1100.0,
    "keyNum/1": 1300.0,
    "msgMp3/cakes": 1500.0,
    "keyNum/2": 1700.0,
    "msgMp3/Цветы": 1950.0,
}
"""Prompt -> its tone, Hz."""
TABLES = f"""
CREATE TABLE sAsterisk_ivr (id INT PRIMARY KEY, phone VARCHAR(20), scenario VARCHAR(50), scenarioMsg VARCHAR(100));
CREATE TABLE sAsterisk_ivr_button (id INT PRIMARY KEY, ivrID INT, keyNum INT, msgMp3 VARCHAR(100), transferTo VARCHAR(40))
  CHARACTER SET utf8mb4;
CREATE TABLE sAsterisk_prefix (pref VARCHAR(20), phone VARCHAR(20));
INSERT INTO sAsterisk_ivr VALUES (1, '{ONE}', 'one', ''), (2, '{SEVERAL}', 'shop', 'welcome.mp3');
INSERT INTO sAsterisk_ivr_button VALUES (1, 1, 1, 'cakes.mp3', '{ALONE}'), (2, 2, 1, 'cakes.mp3', '{CAKES}'),
  (3, 2, 2, 'Цветы', '{FLOWERS}');
"""
SECTIONS = """
[agi]
bind = "{agi}"
[ivr]
database = "{database}"
sounds = "{sounds}"
silence = 2
ring = 4
[conference]
database = "{database}"
[[line]]
number = "{line}"
"""


@dataclass
class Company:
    """What document 004 says that the company has."""

    database: str
    sounds: Path

    async def run(self, *statements: str) -> None:
        engine = create_async_engine(self.database)
        try:
            async with engine.begin() as conn:
                for statement in statements:
                    await conn.execute(text(statement))
        finally:
            await engine.dispose()


@pytest.fixture(scope="module")
async def company(mariadb_server: MariadbServer, tmp_path_factory: pytest.TempPathFactory) -> Company:
    name = "document_004"
    folder = mariadb_server.folder / "data" / name
    folder.mkdir()
    shutil.chown(folder, (mariadb_server.folder / "data").stat().st_uid)
    made = Company(mariadb_server.url(name), tmp_path_factory.mktemp("sounds"))
    await made.run(*(statement for statement in TABLES.split(";") if statement.strip()))
    for prompt, hertz in SPOKEN.items():
        target = made.sounds / f"{prompt}.mp3"
        target.parent.mkdir(exist_ok=True)
        plain = made.sounds / "tone.wav"
        sounds.write_tone(plain, hertz, 0.7)
        convert_file(plain, target, Mp3())
    return made


def ready(status: dict[str, Any]) -> bool:
    return status["dialplan"]["listens"] and status["dialplan"]["prompts"] == len(SPOKEN)


@pytest.fixture(scope="module")
async def office(
    pbx_session: PbxSandbox, portal: PortalServer, company: Company, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stand]:
    place = company.database.replace("mysql+asyncmy:", "mysql:")
    more = SECTIONS.format(agi=pbx_session.agi_bind, database=place, sounds=company.sounds, line=SEVERAL)
    ours = 'own_line = "perezvon"\ntime_zone = "Europe/Moscow"'
    async with stand(pbx_session, portal, tmp_path_factory.mktemp("perezvon"), portal_more=ours, more=more) as whole:
        await whole.service.until(ready, "answers the dialplan, and the prompts of the line that it knows are converted")
        yield whole
        await pbx_session.world.reset()


def heard(leg: Leg) -> dict[str, float]:
    """Seconds of each prompt that it heard."""
    return {prompt: leg.seconds_of(hertz) for prompt, hertz in SPOKEN.items()}


async def told(office: Stand, client: str) -> list[str]:
    """What the activity of the client's newest call says; every time is T, every duration D."""
    call = await office.call_of(client)

    def description() -> str | None:
        activity = office.portal.state.crm.get("ACTIVITY", call.activity_id)
        return activity.text("DESCRIPTION") or None if activity is not None else None

    text = await office.until(description, f"the activity of the call with {client} tells something")
    *lines, nothing, zone = text.split("\n")
    assert (nothing, zone) == ("", "Время: UTC+03:00")
    return [re.sub(r"\d+ с\b", "D", re.sub(r"\d\d:\d\d:\d\d", "T", line)) for line in lines]


def close(seconds: float) -> object:
    return pytest.approx(seconds, abs=0.3)


async def test_a_number_without_rows_goes_to_bitrix24_at_once(office: Stand) -> None:
    world = office.pbx.world
    client = await world.call(frm="79151004000", to=STRAIGHT)
    manager = await world.connector.talking()
    assert manager.channel is not None and manager.channel.caller == "79151004000"
    await client.talks(0.6)
    await client.hangup()
    await client.ended()
    assert client.seconds_of(sounds.TONES["connector"]) > 0.3
    assert sum(heard(client).values()) < 0.1
    call = await office.call_of("+79151004000")
    activity = office.portal.state.crm.get("ACTIVITY", call.activity_id)
    assert activity is not None
    assert activity.text("DESCRIPTION") == ""


async def test_one_button_is_rung_without_a_word(office: Stand) -> None:
    world = office.pbx.world
    client = await world.call(frm="79151004001", to=ONE)
    other = await world.number(ALONE).talking()
    assert other.channel is not None and other.channel.caller == "79151004001"
    await client.talks(1.5)
    await client.hangup()
    call = await office.call_of("+79151004001", recorded=True)
    assert (call.type, call.line, str(call.finish["status"])) == (2, ONE, "200")
    assert call.finish["duration"] == pytest.approx(1.5, abs=1.2)
    assert call.recording is not None and call.recording.decodes and call.recording.duration > 1
    assert sum(heard(client).values()) < 0.1
    assert [leg for leg in world.connector.legs if leg.channel is not None and leg.channel.caller == "79151004001"] == []
    assert await told(office, "+79151004001") == ["Голосовое меню", f"T звонок на +{ALONE}: отвечен"]


async def test_nobody_answers_the_button_and_bitrix24_does(office: Stand) -> None:
    world = office.pbx.world
    await world.number(ALONE).rings()
    client = await world.call(frm="79151004002", to=ONE)
    await world.number(ALONE).ringing()
    await world.switch.until(lambda: client.channel is not None and client.channel.state == "Ringing", "ringback is heard")
    manager = await world.connector.talking(within=8)
    await client.talks(0.5)
    await client.hangup()
    await client.ended()
    assert manager.channel is not None and manager.channel.caller == "79151004002"
    await world.number(ALONE).answers()
    assert await told(office, "+79151004002") == ["Голосовое меню", f"T звонок на +{ALONE}: нет ответа"]


async def test_the_menu_is_heard_in_its_order_and_a_key_rings_its_number(office: Stand) -> None:
    world = office.pbx.world
    client = await world.call(frm="79151004003", to=SEVERAL)
    await client.answered()
    await asyncio.sleep(len(SPOKEN) * 0.7 + 1.0)  # he listens to the end; in the middle of the two seconds of silence
    await client.press("2")
    other = await world.number(FLOWERS).talking()
    assert other.channel is not None and other.channel.caller == "79151004003"
    await client.talks(1.0)
    await other.hangup()
    call = await office.call_of("+79151004003", recorded=True)
    assert (call.type, call.line, str(call.finish["status"])) == (2, SEVERAL, "200")
    assert heard(client) == {prompt: close(0.7) for prompt in SPOKEN}
    starts = [sounds.moments_heard(client.heard[0], hertz)[0] for hertz in SPOKEN.values()]
    assert starts == sorted(starts)
    assert await told(office, "+79151004003") == [
        "Голосовое меню",
        f"T нажато 2, ведёт на +{FLOWERS} (прослушано: приветствие, 1, 2)",
        f"T звонок на +{FLOWERS}: отвечен",
    ]


async def test_a_key_interrupts_and_a_wrong_one_or_silence_leads_to_bitrix24(office: Stand) -> None:
    world = office.pbx.world
    quick, wrong, silent = [
        await world.call(frm=number, to=SEVERAL) for number in ("79151004004", "79151004005", "79151004006")
    ]
    for leg in (quick, wrong, silent):
        await leg.answered()
    await quick.press("1")
    await wrong.press("7")
    cakes = await world.number(CAKES).talking()
    assert cakes.channel is not None and cakes.channel.caller == "79151004004"

    def in_portal() -> set[str]:
        return {leg.channel.caller for leg in world.connector.legs if leg.channel is not None}

    await world.switch.until(lambda: {"79151004005", "79151004006"} <= in_portal(), "both are sent on", 12)
    for leg in (quick, wrong, silent):
        await leg.hangup()
        await leg.ended()
    assert heard(quick)["msgMp3/Цветы"] < 0.1
    assert heard(wrong)["msgMp3/Цветы"] < 0.1
    assert heard(silent) == {prompt: close(0.7) for prompt in SPOKEN}
    pressed, rang = (await told(office, "+79151004004"))[1:]
    assert re.fullmatch(rf"T нажато 1, ведёт на \+{CAKES} \(прослушано: приветствие(, 1)?\)", pressed)
    assert rang == f"T звонок на +{CAKES}: отвечен"
    (mistake,) = (await told(office, "+79151004005"))[1:]
    assert re.fullmatch(r"T нажато 7: такой клавиши нет \(прослушано: приветствие(, 1)?\)", mistake)
    assert (await told(office, "+79151004006"))[1:] == ["T ничего не нажато (прослушано: приветствие, 1, 2)"]


@pytest.fixture
async def steps(pbx: PbxSandbox) -> AsyncIterator[Steps]:
    async with Steps(pbx).following() as steps:
        yield steps


@pytest.mark.parametrize("incoming", [True, False], ids=["incoming", "outgoing"])
async def test_a_third_person_is_brought_in_by_the_companys_code(
    office: Stand, company: Company, steps: Steps, *, incoming: bool
) -> None:
    talk = Talk(office.pbx, steps, Answers(), incoming, 41 + incoming)
    await company.run(f"INSERT INTO sAsterisk_prefix VALUES ('{talk.code('third')}', '{talk.number_of('third')}')")
    await talk.begin()
    await talk.listen(client="manager", manager="client")
    await talk.consult()
    await talk.private()
    await talk.listen(client="music", manager="third", third="manager")
    await talk.merge()
    await talk.listen(client="manager third", manager="client third", third="client manager")
    await talk.legs["client"].hangup()
    await talk.legs["third"].hangup()
    await talk.over()
    assert talk.differences() == []
    number = f"+{talk.number_of('third')}"
    assert await told(office, f"+{talk.number_of('client')}") == [
        "Третьи лица",
        f"{number}: разговор наедине T-T (D); в общем разговоре T-T (D)",
    ]


async def test_of_a_call_left_to_the_portal_its_own_activity_is_told(office: Stand, company: Company, steps: Steps) -> None:
    """The pretend portal writes down no calls of its own SIP line: here the test does."""
    before = (office.service.data_dir / "settings.toml").read_text(encoding="utf-8")
    left = before.replace('own_line = "perezvon"', "").replace("contexts =", 'portal_peers = ["bitrix24"]\ncontexts =')
    await office.service.stop()
    await office.service.configure(left)
    await office.service.start()
    await office.ready()
    talk = Talk(office.pbx, steps, Answers(), incoming=True, number=43)
    await company.run(f"INSERT INTO sAsterisk_prefix VALUES ('{talk.code('third')}', '{talk.number_of('third')}')")
    state = office.portal.state
    activity = state.crm.add("ACTIVITY", {"TYPE_ID": "2", "PROVIDER_ID": "VOXIMPLANT_CALL", "DESCRIPTION": "a word"})
    await talk.begin()
    await talk.consult()
    await talk.private()
    await talk.legs["third"].hangup()
    await talk.back()
    await talk.legs["client"].hangup()
    await talk.over()
    row: dict[str, Any] = {"ID": "900", "CALL_ID": "own", "PHONE_NUMBER": talk.number_of("client")}
    row |= {"CALL_START_DATE": state.iso(), "CRM_ACTIVITY_ID": str(activity.id), "EXTERNAL_CALL_ID": None}
    state.book.statistics.append(row)

    def described() -> str | None:
        return activity.text("DESCRIPTION") if "\n" in activity.text("DESCRIPTION") else None

    text = await office.until(described, "the portal's own activity tells of the conference", 60)
    assert text.startswith(f"a word\n\nТретьи лица\n+{talk.number_of('third')}: разговор наедине ")
    assert [call for call in office.portal.calls() if call.phone == f"+{talk.number_of('client')}"] == []


OLDER = {
    "s": (
        "Set(PEREZVON_LINE={line})",
        "Set(PEREZVON_TO=)",
        "AGI(agi://{agi}/main/menu)",
        'GotoIf($["${{PEREZVON_TO}}" != ""]?to,1)',
        "Dial(PJSIP/900@bitrix24,20)",
        "Hangup()",
    ),
    "to": ("Dial(PJSIP/${{PEREZVON_TO}}@carrier,20)", "Hangup()"),
}
"""How a dialplan asked that was installed by an earlier version, and let the script play."""


@pytest.mark.parametrize("line_asked", [SEVERAL, ONE])
async def test_a_dialplan_of_an_earlier_version_loses_no_caller(office: Stand, line_asked: str) -> None:
    world = office.pbx.world
    agi = office.pbx.agi_bind
    steps = {name: [step.format(line=line_asked, agi=agi) for step in steps] for name, steps in OLDER.items()}
    async with line(office.pbx, "74950000901", "older-menu", steps) as number:
        client = await world.call(frm=f"7915100402{line_asked[-1]}", to=number)
        await (world.number(ALONE) if line_asked == ONE else world.connector).talking()
        await client.hangup()
        await client.ended()
    if line_asked == SEVERAL:
        status = await office.service.until(lambda status: bool(status["dialplan"]["outdated"]), "tells of it")
        assert status["dialplan"]["outdated"] == ["main"]
        (trouble,) = [trouble for trouble in status["troubles"] if trouble["name"] == "dialplan.outdated"]
        assert "perezvon asterisk install" in str(trouble)
        client = await world.call(frm="79151004030", to=SEVERAL)
        await client.answered()
        await client.hangup()
        await office.service.until(lambda status: not status["dialplan"]["outdated"], "it has been installed meanwhile")


async def test_with_the_service_killed_or_hung_callers_reach_bitrix24(office: Stand) -> None:
    world = office.pbx.world
    os.kill(office.service.pid, signal.SIGSTOP)
    hung = await world.call(frm="79151004007", to=SEVERAL)
    manager = await world.connector.talking(within=8)
    assert manager.channel is not None and manager.channel.caller == "79151004007"
    await hung.hangup()
    os.kill(office.service.pid, signal.SIGCONT)
    await office.ready()
    await office.service.kill()
    dead = await world.call(frm="79151004008", to=SEVERAL)
    await asyncio.wait_for(dead.talking(), 3)
    await dead.hangup()
