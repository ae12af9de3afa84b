"""The doctor: what it makes of a PBX, of a portal (the sandbox's) and of this machine, and that every fix is named."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cel_tables import KEPT, SQLITE, make, rows_of
from typer.testing import CliRunner

from perezvon.asterisk import Probe
from perezvon.bitrix24 import Portal, Webhook
from perezvon.cli import app
from perezvon.cli.exits import Exit
from perezvon.doctor import Check, State, machine, pbx, worst
from perezvon.doctor.cel import examine_cel
from perezvon.doctor.examination import Patient, examine
from perezvon.doctor.wiring import examine_way
from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal.config import PortalConfig
from perezvon.sandbox.portal.server import PortalServer
from perezvon.settings.load import parse, settings_from
from perezvon.settings.model import Settings
from perezvon.settings.pbx import AsteriskSettings
from perezvon.settings.portal import PortalSettings
from perezvon.storage import counters
from perezvon.storage.database import SQLITE_FILE, Database

GOOD = Probe(
    "tcp://perezvon@h:5038",
    reachable=True,
    logged_in=True,
    booted=True,
    asterisk="22.10.1",
    missing_actions={},
    missing_read=(),
    contexts={"from-internal": True},
    clock_offset=0.1,
    round_trip=0.01,
    timestamps=True,
)


def told(found: Probe) -> dict[str, Check]:
    checks = pbx.told(found, "asterisk main", "perezvon", "from-internal")
    assert all(check.fix for check in checks if check.state is not State.OK)
    return {check.name: check for check in checks}


def test_a_pbx_that_is_well() -> None:
    assert worst(told(GOOD).values()) is State.OK


@pytest.mark.parametrize(
    ("found", "name", "state", "words"),
    [
        (replace(GOOD, reachable=False, logged_in=False, problem="refused"), "ami.reachable", "problem", "bindaddr"),
        (replace(GOOD, logged_in=False, problem="wrong secret"), "ami.login", "problem", "[perezvon] in manager.conf"),
        (replace(GOOD, booted=False, problem="not booted"), "ami.boot", "problem", "add system to read ="),
        (replace(GOOD, missing_actions={"Originate": "originate"}), "ami.write", "problem", "write = of [perezvon]"),
        (replace(GOOD, missing_read=("dialplan", "dtmf")), "ami.read", "problem", "dialplan, dtmf"),
        (replace(GOOD, timestamps=False), "ami.timestamps", "warning", "timestampevents = yes"),
        (replace(GOOD, contexts={"from-internal": False}), "dialplan.context", "problem", "originate_context"),
        (replace(GOOD, contexts={"from-internal": True, "x": False}), "dialplan.context", "warning", "contexts"),
        (replace(GOOD, contexts={"from-internal": None}), "dialplan.context", "warning", "dialplan show from-internal"),
        (replace(GOOD, clock_offset=-7.2), "pbx.clock", "warning", "NTP"),
    ],
)
def test_a_pbx_that_is_not(found: Probe, name: str, state: str, words: str) -> None:
    check = told(found)[name]
    assert check.state.value == state
    assert words in str(check.fix)


def recordings(folder: Path) -> Check:
    settings = AsteriskSettings.model_validate({"name": "main", "ami": "tcp://u:p@h", "recordings": str(folder)})
    (check,) = pbx.examine_folder(settings, "asterisk main")
    return check


def test_the_newest_recording_is_found_in_dated_folders(tmp_path: Path) -> None:
    assert (recordings(tmp_path / "none").state, recordings(tmp_path).state) == (State.PROBLEM, State.WARNING)
    for day, name, size in ((1, "old.wav", 4000), (2, "new.wav", 4000), (3, "has just begun.wav", 44)):
        folder = tmp_path / "2026" / f"{day:02}"
        folder.mkdir(parents=True)
        (folder / name).write_bytes(bytes(size))
        for path in (folder / name, folder):
            os.utime(path, (day * 1000, day * 1000))
    check = recordings(tmp_path)
    assert check.state is State.OK
    assert str(check.seen).endswith("02/new.wav can be read")


def test_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret.key").touch(0o644)
    (check,) = machine.examine_key(tmp_path)
    assert (check.state, str(check.fix)) == (State.PROBLEM, f"chmod 600 {tmp_path / 'secret.key'}")
    settings = settings_from(parse("[web]\npassword='env:PEREZVON_NONE'\n"))
    (check,) = machine.examine_secrets(settings)
    assert (check.subject, check.state) == ("settings web.password", State.PROBLEM)
    monkeypatch.setenv("PEREZVON_NONE", "x")
    assert list(machine.examine_secrets(settings)) == []
    assert [check.state for check in machine.examine_encoder(settings)] == [State.OK]


async def cel(place: str | Path, now: float | None = None) -> Check:
    found = AsteriskSettings.model_validate({"name": "main", "ami": "tcp://u:p@h", "cel": str(place)})
    check = await examine_cel(found, "asterisk main", now=now)
    assert check.fix or check.state is State.OK
    return check


async def test_the_log_of_a_pbx(tmp_path: Path) -> None:
    rows = rows_of("incoming_answered")
    end = float(rows[-1]["eventtime"])
    file, database = tmp_path / "Master.csv", f"sqlite:///{tmp_path / 'master.db'}"
    assert ((await cel("")).name, (await cel("")).state) == ("cel.file", State.WARNING)
    for place, name in ((file, "cel.file"), (database, "cel.database")):
        assert ((await cel(place)).name, (await cel(place)).state) == (name, State.PROBLEM)
    file.write_bytes(gzip.decompress((KEPT / "incoming_answered.csv.gz").read_bytes()))
    await make(f"sqlite+aiosqlite:///{tmp_path / 'master.db'}", SQLITE, rows)
    for place in (file, database):
        assert (await cel(place, end + 60)).state is State.OK
        assert (await cel(place, end + 30 * 86400)).state is State.WARNING
        assert (await cel(place, end - 3 * 3600)).state is State.PROBLEM
    assert "dateformat" in str((await cel(file, end - 3 * 3600)).fix)
    assert "timezone=" in str((await cel(database, end - 3 * 3600)).fix)
    unreachable = await cel("mysql://reader:hunter2@127.0.0.1:9/asteriskcdrdb")
    assert (unreachable.name, unreachable.state) == ("cel.database", State.PROBLEM)
    assert "bind-address" in str(unreachable.fix)
    assert "hunter2" not in str(unreachable)
    assert (await cel("env:PEREZVON_NONE")).name == "cel.secret"


@pytest.mark.parametrize(
    ("free", "state", "seen"),
    [
        (0, State.PROBLEM, "disk full: free 0 MB in"),
        (30 * 1024**2, State.PROBLEM, "disk full: free 30 MB in"),
        (100 * 1024**2, State.PROBLEM, "only 0.1 GB free"),
        (1024**3, State.WARNING, "only 1.0 GB free"),
        (9 * 1024**3, State.OK, "9.0 GB free"),
    ],
)
def test_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: State, seen: str) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free))
    [check] = machine.examine_disk(tmp_path)
    assert check.state is state
    assert str(check.seen).startswith(seen)
    assert str(tmp_path) in str(check.seen)


async def test_a_database_that_is_held_is_told_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "PATIENCE", 0.2)
    async with await Database.open(tmp_path) as database:
        other = sqlite3.connect(tmp_path / SQLITE_FILE, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        [check] = await machine.examine_database(database)
        other.execute("ROLLBACK")
        other.close()
    assert (check.name, check.state) == ("database.write", State.PROBLEM)


# The portal of the sandbox, strict as the documentation and lenient as the self-hosted edition


@pytest.fixture
async def portal() -> AsyncIterator[PortalServer]:
    async with PortalServer(PortalConfig(strict_app_context=False)) as portal:
        yield portal


def patient(portal: PortalServer, database: Database, tmp_path: Path, more: str = "") -> Patient:
    text = f"[[portal]]\nname='main'\nwebhook='{portal.webhook_url}'\n{more}"

    @asynccontextmanager
    async def opened(settings: PortalSettings) -> AsyncIterator[Portal]:
        assert settings.webhook is not None
        async with Portal(settings.name, Webhook.parse(settings.webhook.reveal())) as client:
            yield client

    return Patient(settings_from(parse(text)), tmp_path, database, opened)


async def examined(portal: PortalServer, tmp_path: Path, more: str = "") -> dict[str, Check]:
    async with await Database.open(tmp_path) as database:
        await database.write(lambda conn: counters.bump(conn, "unmapped:main:199", 1.0, 4))
        checks = await examine(patient(portal, database, tmp_path, more))
    assert all(check.fix for check in checks if check.state is not State.OK)
    return {check.name: check for check in checks}


async def test_a_portal_that_is_well(portal: PortalServer, tmp_path: Path) -> None:
    checks = await examined(portal, tmp_path, "fallback_user=11\nevents='off'\n")
    assert checks["portal.auth"].state is State.OK
    assert checks["portal.scope"].state is State.OK
    assert checks["portal.employees"].state is State.OK
    assert checks["portal.fallback_user"].state is State.OK
    assert "Иванов" in str(checks["portal.fallback_user"].seen)
    assert "portal.events" not in checks
    assert "199" in str(checks["portal.unmapped"].seen)
    assert checks["asterisk.none"].state is State.PROBLEM
    assert checks["database.write"].state is State.OK


async def test_users_of_the_settings_must_be_active(portal: PortalServer, tmp_path: Path) -> None:
    checks = await examined(portal, tmp_path, "fallback_user=17\nmissed_user=4711\n")
    assert checks["portal.fallback_user"].state is State.PROBLEM
    assert checks["portal.missed_user"].state is State.PROBLEM
    assert checks["portal.events"].state is State.WARNING


async def test_no_fall_back_user_is_a_warning(portal: PortalServer, tmp_path: Path) -> None:
    assert (await examined(portal, tmp_path))["portal.fallback_user"].state is State.WARNING


async def test_a_strict_portal_refuses_a_webhook(tmp_path: Path) -> None:
    async with PortalServer(PortalConfig()) as portal:
        check = (await examined(portal, tmp_path))["portal.register"]
    assert check.state is State.PROBLEM
    assert "local application" in str(check.fix)


async def test_a_portal_that_never_answers_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    async with PortalServer(PortalConfig(delay=30.0)) as portal, await Database.open(tmp_path) as database:
        checks = await examine(patient(portal, database, tmp_path), deadline=0.3)
    found = {check.name: check for check in checks}
    assert found["deadline"].subject == "portal main"
    assert found["database.write"].state is State.OK


async def test_an_application_that_is_not_installed(tmp_path: Path) -> None:
    settings = "[[portal]]\nname='main'\ndomain='h'\nclient_id='c'\nclient_secret='s'\n"
    file = tmp_path / "my.toml"
    file.write_text(settings)
    told = await command("doctor", "--json", "--settings", str(file), "--data-dir", str(tmp_path / "data"))
    check = told["portal.installation"]
    assert check["state"] == "problem"
    assert "/bitrix24/main/install" in check["fix"]


async def test_the_command_asks_the_portal_as_the_service_does(portal: PortalServer, tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text(f"[[portal]]\nname='main'\nwebhook='{portal.webhook_url}'\n")
    told = await command("doctor", "--json", "--settings", str(file), "--data-dir", str(tmp_path / "data"))
    assert told["portal.auth"]["state"] == "ok"


async def command(*arguments: str) -> dict[str, dict[str, Any]]:
    runner = CliRunner(env={"LC_ALL": "C.UTF-8"})
    done = await asyncio.to_thread(runner.invoke, app, arguments)
    assert done.exit_code in (Exit.OK, Exit.PROBLEM), done.stderr
    return {check["name"]: check for check in json.loads(done.stdout)["checks"]}


@pytest.mark.asterisk
async def test_a_real_asterisk(pbx: PbxSandbox, tmp_path: Path) -> None:
    settings: Settings = settings_from(
        parse(f"[[asterisk]]\nname='office'\nami='{pbx.office_ami}'\ncontexts=['from-pstn']\nrecordings='{tmp_path}'\n")
    )
    checks = {
        check.name: check for check in await examine(Patient(settings, tmp_path, None, lambda _: pytest.fail("no portal")))
    }
    for name in ("ami.login", "ami.rights", "dialplan.context", "pbx.clock"):
        assert checks[name].state is State.OK, str(checks[name].seen)
    way = checks["wiring.portal"]  # it has our dialplan
    assert way.state is State.WARNING
    assert 'portal_peers = ["bitrix24"]' in str(way.fix)


@pytest.mark.parametrize(
    ("wired", "more", "state", "words"),
    [
        (True, "", State.WARNING, 'put portal_peers = ["bitrix24"]'),
        (True, "portal_peers = ['b24']", State.WARNING, 'put portal_peers = ["b24", "bitrix24"]'),
        (True, "portal_peers = ['bitrix24']", State.OK, "behind bitrix24"),
        (True, "portal_peers = ['b24']\nwiring.dial_portal = 'SIP/{number}@b24'", State.OK, "behind b24"),
        (True, "wiring.portal_endpoint = 'b24'", State.WARNING, "through b24"),
        (False, "", None, ""),
        (None, "", None, ""),
    ],
)
def test_the_way_to_the_portals_own_line(
    tmp_path: Path, wired: bool | None, more: str, state: State | None, words: str
) -> None:
    text = f"[[asterisk]]\nname='main'\nami='tcp://p:s@127.0.0.1:5038'\nwiring.etc='{tmp_path}'\n{more}\n"
    main = settings_from(parse(text)).asterisk[0]
    found = examine_way(main, wired=wired)
    assert [check.state for check in found] == ([state] if state else [])
    assert all(words in f"{check.seen} {check.fix}" for check in found)
    if wired is None:  # another machine, or the AMI user may not look: the folder tells
        (tmp_path / "perezvon").mkdir()
        assert [check.state for check in examine_way(main, wired=None)] == [State.WARNING]
