"""The dialplan's question, over a real socket: what it is answered, what the event tells, and what the tracker makes of it."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from perezvon.asking import OwnTables
from perezvon.asterisk.agi import AgiServer
from perezvon.autoconnect import Clients, Decided, Desk, Hook, Presence, Reception
from perezvon.autoconnect.reception import device_of
from perezvon.bitrix24 import Portal, Webhook
from perezvon.calls import CallEnded, Event, Numbering, Tracker
from perezvon.calls.facts import Connecting as Told
from perezvon.rules import People, PlanState, Policy, plan
from perezvon.rules.connecting import Device, Person
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.service import policies
from perezvon.settings import Settings
from perezvon.settings.load import settings_from
from perezvon.storage import Database

MARIA = "79165550011"
PEOPLE = [Person("11", "101", "Иванов"), Person("12", "102", "Петрова"), Person("13", "103", "Сидоров")]
USERS = {one.user: one for one in PEOPLE}
EXTENSIONS = {**{one.extension: one for one in PEOPLE}, "+79161110101": PEOPLE[0]}


def settings(**autoconnect: object) -> Settings:
    lines = [
        {"number": "+74951234567", "aliases": ["msk"], "name": "Москва", "first_employee": "103"},
        {"number": "+74951234568", "autoconnect": False},
    ]
    return settings_from({"line": lines, "autoconnect": {"enabled": True, **autoconnect}})


class Office:
    def __init__(self, server: PortalServer, portal: Portal | None, storage: Database, wanted: Settings) -> None:
        self.server = server
        self.settings = wanted
        own = self.own = OwnTables(storage, "autoconnect")
        attended = policies.Attended(workday=True, absences=True)
        presence = Presence("main", lambda: portal, lambda: attended, lambda: (), own, clock=time.time)
        clients = Clients("main", lambda: portal, own, presence.notice, clock=time.time)
        desk = Desk(clients, presence, lambda: (USERS, EXTENSIONS), lambda client, number: client)
        self._desk = desk
        self.reception = self.with_hook(None)

    def with_hook(self, hook: Hook | None) -> Reception:
        return Reception(
            "main",
            lambda: self.settings,
            lambda: self._desk,
            lambda: policies.connecting(self.settings, None),
            Numbering(),
            self.own,
            hook=hook,
        )

    async def decide(self, client: str, line: str = "+74951234567", **states: str) -> tuple[str, str, list[str]]:
        async def function(name: str) -> str:
            return states.get(re.sub(r"\W+", "_", name).strip("_"), "")

        decided = await self.reception.decide(line, client, function)
        assert decided is not None
        return decided.choice.extension, decided.name, [str(reason) for reason in decided.choice.reasons]


@pytest.fixture
async def server() -> AsyncIterator[PortalServer]:
    async with PortalServer(PortalConfig(rate=None)) as running:
        yield running


@asynccontextmanager
async def office_of(server: PortalServer, folder: Path, wanted: Settings) -> AsyncIterator[Office]:
    async with (
        await Database.open(folder / "data") as storage,
        Portal("main", Webhook.parse(server.webhook_url)) as portal,
    ):
        made = Office(server, portal, storage, wanted)
        yield made
        await made.own.close()


@pytest.fixture
async def office(server: PortalServer, tmp_path: Path) -> AsyncIterator[Office]:
    async with office_of(server, tmp_path, settings()) as made:
        yield made


async def test_the_responsible_and_the_name(office: Office) -> None:
    extension, name, why = await office.decide("8 (916) 555-00-11")
    assert (extension, name) == ("102", "Мария Клиентова / ООО «Ромашка» / Москва")
    assert why == ["the contact Мария Клиентова belongs to Петрова (102)", "Петрова (102) is rung for 20 s"]


async def test_any_name_of_the_line_is_the_line(office: Office) -> None:
    for name in ("msk", "84951234567", "74951234567", "+74951234567"):
        assert (await office.decide("79160000001", name))[0] == "103"
    assert (await office.decide("79160000001", "+74950000000"))[0] == ""
    assert await office.reception.decide("84951234568", MARIA, lambda _: asyncio.sleep(0, "")) is None


async def test_the_phones_are_asked(office: Office) -> None:
    assert (await office.decide(MARIA, DEVICE_STATE_PJSIP_102="INUSE"))[0] == "103"
    assert (await office.decide(MARIA, DEVICE_STATE_PJSIP_102="UNAVAILABLE"))[0] == "103"
    assert (await office.decide(MARIA, DB_DND_102="YES"))[0] == "103"
    assert (await office.decide(MARIA, DEVICE_STATE_PJSIP_102="NOT_INUSE", DB_DND_102=""))[0] == "102"


@pytest.mark.parametrize(
    ("state", "quiet", "expected"),
    [
        ("NOT_INUSE", "", Device.FREE),
        ("", "", Device.UNKNOWN),
        ("UNKNOWN", "", Device.UNKNOWN),
        ("ringing", "", Device.BUSY),
        ("INUSE", "YES", Device.DND),
        ("NOT_INUSE", "no", Device.FREE),
        ("NOT_INUSE", "INUSE", Device.DND),
        ("INVALID", "", Device.UNREACHABLE),
    ],
)
def test_states_of_a_phone(state: str, quiet: str, expected: Device) -> None:
    assert device_of(state, quiet) is expected


async def test_nothing_is_asked_of_the_portal_that_is_not_wanted(server: PortalServer, tmp_path: Path) -> None:
    wanted = settings(chain=["line"], caller_name="", checks=["schedule"])
    async with office_of(server, tmp_path, wanted) as office:
        asked: list[str] = []

        async def function(name: str) -> str:
            asked.append(name)
            return ""

        decided = await office.reception.decide("msk", MARIA, function)
        assert decided is not None
        assert (decided.choice.extension, decided.name, asked) == ("103", "", [])


# ---- the script


@asynccontextmanager
async def served(office: Office) -> AsyncIterator[AgiServer]:
    server = AgiServer({"connect": office.reception.connect})
    await server.start("127.0.0.1", 0)
    try:
        yield server
    finally:
        await server.close()


async def asked(server: AgiServer, line: str, client: str) -> list[str]:
    """Plays Asterisk: every command is answered, with nothing."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    environment = {"network_script": "main/connect", "channel": "PJSIP/carrier-1", "uniqueid": "1.1", "dnid": "unknown"}
    told = "".join(f"agi_{name}: {value}\n" for name, value in environment.items())
    writer.write(f"{told}agi_threadid: 1\nagi_arg_1: {line}\nagi_arg_2: {client}\n\n".encode())
    heard: list[str] = []
    while command := (await asyncio.wait_for(reader.readline(), 5)).decode():
        heard.append(command.rstrip("\n"))
        writer.write(b"200 result=0\n")
    writer.close()
    return heard


def value_of(heard: list[str], variable: str) -> str:
    """However it is set: alone, or together with others."""
    alone = re.compile(rf'SET VARIABLE "{variable}" "(.*)"')
    together = re.compile(rf'EXEC "MSet" "(?:.*,)?{variable}=([^,"]*)[,"].*')
    return next(found[1] for command in heard if (found := alone.fullmatch(command) or together.fullmatch(command)))


async def test_the_answer_to_the_dialplan(office: Office) -> None:
    async with served(office) as server:
        heard = await asked(server, "74951234567", MARIA)
    assert heard[0] == 'GET VARIABLE "DEVICE_STATE(PJSIP/102)"'
    assert (value_of(heard, "PEREZVON_TO"), value_of(heard, "PEREZVON_RING")) == ("102", "20")
    assert value_of(heard, "PEREZVON_CALLERNAME").startswith("Мария")
    assert value_of(heard, "PEREZVON_CONNECT") == "told"
    event = next(command for command in heard if "UserEvent" in command)
    assert event.startswith('EXEC "UserEvent" "PerezvonConnect,Step: chosen,To: 102,')
    assert heard.index(event) < next(place for place, command in enumerate(heard) if "PEREZVON_TO" in command)


async def test_a_line_that_is_off_is_told_so(office: Office) -> None:
    async with served(office) as server:
        heard = await asked(server, "74951234568", MARIA)
    assert len(heard) == 1
    assert "PEREZVON_CONNECT=off" in heard[0]


async def test_a_hostile_crm_cannot_break_out_of_the_answer(office: Office) -> None:
    crm = office.server.state.crm
    evil = '"),x)\\\r\nHANGUP\r\n${EVAL(1)}' * 20
    crm.add("CONTACT", {"NAME": evil, "ASSIGNED_BY_ID": "12", "PHONE": [crm.phone("+79160000009")]}, quiet=True)
    async with served(office) as server:
        heard = await asked(server, "74951234567", "79160000009")
    assert value_of(heard, "PEREZVON_TO") == "102"
    assert re.fullmatch(r"[\w /.-]*", value_of(heard, "PEREZVON_CALLERNAME"))
    assert all(command.split(" ")[0] in ("GET", "SET", "EXEC") for command in heard)


# ---- what becomes of it


def play(*events: tuple[str, dict[str, str]]) -> tuple[list[object], list[str]]:
    tracker = Tracker("main", Numbering())
    common = {
        "channel": "PJSIP/carrier-1",
        "uniqueid": "1.1",
        "linkedid": "1.1",
        "calleridnum": MARIA,
        "exten": "74951234567",
    }
    state, reasons, facts = PlanState(), [], []
    policy = Policy("home", "1")
    for number, (name, headers) in enumerate(events):
        told = tracker.feed(Event(name, 100.0 + number, {**common, **headers}))
        facts += told
        if told:
            state, decisions = plan(state, told, policy, People({"102": "12"}))
            reasons += [str(decision.reason) for decision in decisions]
    return facts, reasons


def chosen(why: str, to: str = "102") -> tuple[str, dict[str, str]]:
    return "UserEvent", {"userevent": "PerezvonConnect", "step": "chosen", "to": to, "why": why}


NEW = ("Newchannel", {"context": "from-pstn", "channelstate": "4"})
OVER = ("UserEvent", {"userevent": "PerezvonConnect", "step": "over", "to": "102", "result": "NOANSWER"})
GONE = ("Hangup", {"cause": "16"})


def test_the_call_tells_why() -> None:
    why = json.dumps([["contact", {"title": "Мария", "who": "Петрова (102)"}], ["rung", {"who": "102", "seconds": "20"}]])
    facts, reasons = play(NEW, chosen(why), OVER, GONE)
    assert [fact for fact in facts if isinstance(fact, Told)] == [
        Told("main-1.1", 101.0, "102", why),
        Told("main-1.1", 102.0, "102", "", "NOANSWER"),
    ]
    assert reasons[:3] == [
        "the contact Мария belongs to Петрова (102)",
        "102 is rung for 20 s",
        "102 did not answer: the call goes its usual way",
    ]
    assert isinstance(facts[-1], CallEnded)


@pytest.mark.parametrize("why", ["", "{", "[" * 100_000, '[["x",{}]]', "null", "[[1]]"])
def test_an_event_that_somebody_else_made_up(why: str) -> None:
    facts, reasons = play(NEW, chosen(why, to="666; rm"), GONE)
    assert isinstance(facts[-1], CallEnded)
    assert not any("rm" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("made", "extension", "name", "end"),
    [
        ({"extension": "101", "name": "Для ${HANGUPCAUSE}"}, "101", "Для HANGUPCAUSE", "Иванов (101) is rung for 20 s"),
        (None, "", None, "nobody is left to be connected with: the call goes its usual way"),
        ({"extension": "", "name": ""}, "", "", "nobody is left to be connected with: the call goes its usual way"),
        ({"extension": "1&2", "name": ""}, "102", None, "Петрова (102) is rung for 20 s"),
    ],
)
async def test_the_hook_has_the_last_word(
    office: Office, made: dict[str, str] | None, extension: str, name: str | None, end: str
) -> None:
    asked: list[Mapping[str, Any]] = []

    async def ask(environment: Mapping[str, str], found: Mapping[str, Any], deadline: float) -> Mapping[str, Any] | None:
        asked.append(found)
        return made

    _, before, _ = await office.decide(MARIA)
    decided = await _hooked(office, Hook(lambda: 0.3, ask))
    told = [str(reason) for reason in decided.choice.reasons]
    assert (decided.choice.extension, decided.name, told[-1]) == (extension, before if name is None else name, end)
    assert (asked[0]["extension"], asked[0]["name"], asked[0]["entity"]["type"]) == ("102", before, "contact")


async def test_a_hook_that_hangs_costs_no_more_than_the_patience(office: Office) -> None:
    async def ask(environment: Mapping[str, str], found: Mapping[str, Any], deadline: float) -> None:
        await asyncio.Event().wait()

    office.settings = settings(patience=0.5)
    decided = await _hooked(office, Hook(lambda: 0.3, ask))
    assert decided.choice.extension == "102"
    assert 0.4 < decided.seconds < 1.5


async def _hooked(office: Office, hook: Hook) -> Decided:
    async def function(name: str) -> str:
        return ""

    hooked = office.with_hook(hook)
    decided = await hooked.decide("+74951234567", MARIA, function, environment={"uniqueid": "1.1"})
    assert decided is not None
    return decided
