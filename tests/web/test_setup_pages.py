"""The wizard's pages over HTTP: who may, what is kept, what is saved, what is never shown."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pages_server import Pages, Visitor, pages
from setup_office import EVIL, PaperSetup

from perezvon.bitrix24.directory import Employee
from perezvon.calls import Numbering
from perezvon.rules.vocabulary import Reason
from perezvon.service.setup_lines import proposed
from perezvon.service.setup_people import paired
from perezvon.settings.secrets import SecretBox
from perezvon.settings.store import SettingsStore
from perezvon.storage import setup
from perezvon.web import CallRow, SentStep
from perezvon.web.rights import Role
from perezvon.web.setup_desk import FoundLine, Mark, Phone
from perezvon.web.setup_pages import chosen, stages

SECRET = "tops3cret-of-ami"


class Served:
    def __init__(self, pages: Pages, desk: PaperSetup) -> None:
        self.pages = pages
        self.desk = desk


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    desks: list[PaperSetup] = []

    def made(served: Pages, box: SecretBox) -> PaperSetup:
        desks.append(PaperSetup(served, box))
        return desks[0]

    async with pages(tmp_path / "data", tmp_path, setup=made) as server:
        yield Served(server, desks[0])


@pytest.fixture
async def visitor(served: Served) -> AsyncIterator[Visitor]:
    async with Visitor(served.pages.url) as one:
        await served.pages.person("anna")
        await one.sign_in("anna")
        await one.get("/preferences?lang=en&back=/account")
        yield one


ASTERISK = {"host": "127.0.0.1", "port": "1", "user": "perezvon", "etc": "/etc/asterisk", "context": "from-internal"}


async def test_only_who_may_change_settings_gets_in(served: Served) -> None:
    await served.pages.person("anna")
    for role in (Role.SUPERVISOR, Role.OBSERVER):
        await served.pages.person(role.value, role)
        async with Visitor(served.pages.url) as other:
            await other.sign_in(role.value)
            for path in ("/setup", "/setup/asterisk", "/setup/steps", "/setup/call/live"):
                assert (await other.get(path)).status == 403
            assert (await other.post("/setup/asterisk", ASTERISK)).status == 403


async def test_the_status_leads_here_while_something_is_missing(visitor: Visitor) -> None:
    page = await visitor.get("/")
    assert "Perezvon is not set up yet" in page.text
    assert 'href="/setup"' in page.text


async def test_what_is_typed_is_kept_sealed_and_never_shown(served: Served, visitor: Visitor) -> None:
    page = await visitor.get("/setup/asterisk")
    found = await visitor.post("/setup/asterisk/test", {**ASTERISK, "host": "pbx.invalid", "secret": SECRET})
    assert found.status == 200
    assert SECRET not in found.text
    page = await visitor.get("/setup/asterisk")
    assert 'value="pbx.invalid"' in page.text
    assert SECRET not in page.text
    async with served.pages.database.read() as conn:
        draft = (await setup.load(conn))["asterisk"].draft
    assert draft is not None and SECRET.encode() not in draft
    saved = await visitor.post("/setup/asterisk", {**ASTERISK, "secret": ""})
    assert saved.url == "/setup/portal"
    pbx = served.desk.store.current.settings.asterisk[0]
    assert (pbx.name, pbx.ami.address().password, pbx.originate_context) == ("main", SECRET, "from-internal")
    assert (served.desk.store.current.who, served.desk.store.current.note) == ("anna", "wizard: asterisk")
    for path in ("/setup", "/setup/asterisk", "/audit"):
        assert SECRET not in (await visitor.get(path)).text


async def test_a_secret_of_ours_is_the_same_until_another_is_wanted(served: Served, visitor: Visitor) -> None:
    async def stanza() -> str:
        found = re.search(r"secret = (\S+)", (await visitor.post("/setup/asterisk/test", ASTERISK)).text)
        assert found is not None
        return found[1]

    await visitor.get("/setup/asterisk")
    first = await stanza()
    assert len(first) >= 30
    await visitor.get("/setup/asterisk")
    assert await stanza() == first
    await visitor.get("/setup/asterisk")
    await visitor.post("/setup/asterisk/secret")
    assert await stanza() not in (first, "********")
    await visitor.get("/setup/asterisk")
    second = await stanza()
    await visitor.get("/setup/asterisk")
    await visitor.post("/setup/asterisk", ASTERISK)
    assert served.desk.store.current.settings.asterisk[0].ami.address().password == second


async def test_saving_again_keeps_the_secret_and_what_the_wizard_does_not_know(served: Served, visitor: Visitor) -> None:
    entry = {"name": "office", "ami": f"tcp://p:{SECRET}@127.0.0.1:1", "trunks": ["multifon"], "encoding": "koi8-r"}
    await served.desk.store.merge({"asterisk": [entry]}, "file")
    await visitor.get("/setup/asterisk")
    saved = await visitor.post("/setup/asterisk", {**ASTERISK, "user": "p", "port": "2"})
    assert saved.status == 200
    pbx = served.desk.store.current.settings.asterisk[0]
    assert (pbx.name, pbx.trunks, pbx.encoding) == ("office", ("multifon",), "koi8-r")
    assert (pbx.ami.address().port, pbx.ami.address().password) == (2, SECRET)


async def test_what_does_not_fit_is_said_at_once(served: Served, visitor: Visitor) -> None:
    await visitor.get("/setup/asterisk")
    found = await visitor.post("/setup/asterisk/test", {**ASTERISK, "host": "a b", "port": "70000"})
    assert "type the host of the PBX" in found.text and "the port is a number" in found.text
    await visitor.get("/setup/asterisk")
    assert (await visitor.post("/setup/asterisk", {**ASTERISK, "user": ""})).status == 400
    await visitor.get("/setup/portal")
    page = await visitor.post("/setup/portal", {"kind": "application", "domain": "b24.example"})
    assert page.status == 400 and "still to fill in: client_id" in page.text
    await visitor.get("/setup/portal")
    found = await visitor.post("/setup/portal/test", {"kind": "webhook", "webhook": "https://b24.example/x"})
    assert "the address of a webhook looks like" in found.text
    assert served.desk.store.current.id == 0


async def test_a_portal_is_saved_and_may_change_its_kind(served: Served, visitor: Visitor) -> None:
    await visitor.get("/setup/portal")
    given = {"kind": "application", "domain": "b24.example", "client_id": "local.65f0c0ffee0000.12345678"}
    given |= {"secret": SECRET, "public_url": "https://pbx.example"}
    await visitor.post("/setup/portal", given)
    portal = served.desk.store.current.settings.portal[0]
    assert (portal.domain, portal.client_id, portal.public_url) == (
        "b24.example",
        given["client_id"],
        "https://pbx.example",
    )
    page = await visitor.get("/setup/portal")
    assert "https://pbx.example/bitrix24/main/install" in page.text and SECRET not in page.text
    await visitor.post("/setup/portal", {"kind": "webhook", "webhook": "https://b24.example/rest/1/t0ken/"})
    portal = served.desk.store.current.settings.portal[0]
    assert portal.webhook is not None and not portal.domain and portal.client_secret is None
    assert "t0ken" not in (await visitor.get("/setup/portal")).text


async def test_steps_are_skipped_and_come_back_to(visitor: Visitor) -> None:
    await visitor.get("/setup/lines")
    assert (await visitor.post("/setup/lines/mark", {"mark": "skipped"})).url == "/setup/recordings"
    assert "skipped" in (await visitor.get("/setup")).text
    await visitor.get("/setup/lines")
    await visitor.post("/setup/lines", {"number": "+74951234567", "name +74951234567": "Shop"})
    page = await visitor.get("/setup")
    assert "skipped" not in page.text and "numbers of the company: 1" in page.text
    assert (await visitor.post("/setup/nowhere/mark", {})).status == 404


async def test_what_somebody_else_has_just_saved_stays(served: Served, visitor: Visitor, tmp_path: Path) -> None:
    """This process has not noticed it yet."""
    elsewhere = SettingsStore(served.pages.database, SecretBox.open(tmp_path))
    await elsewhere.merge({"line": [{"number": "+74950000001"}, {"number": "+74951234567", "name": "Sales"}]}, "root")
    await visitor.get("/setup/lines")
    await visitor.post("/setup/lines", {"more": "+74950000002", "number": "+74951234567", "name +74951234567": "Shop"})
    lines = [(line.number, line.name) for line in served.desk.store.current.settings.line]
    assert lines == [("+74950000001", ""), ("+74951234567", "Sales"), ("+74950000002", "")]


async def test_hostile_texts_harm_nothing(served: Served, visitor: Visitor) -> None:
    served.desk.peopled = True
    page = await visitor.get("/setup/people")
    assert "<script>alert" not in page.text
    hostile = dict.fromkeys(("host", "user", "etc", "context", "port", "secret", "domain", "webhook", "more"), EVIL * 20)
    for path in ("asterisk/test", "asterisk", "asterisk/write", "portal/test", "portal", "lines", "recordings", "people"):
        await visitor.get("/setup/portal")
        answer = await visitor.post(f"/setup/{path}", {**hostile, "number": "\0", "log": "x://", "folder": "../.."})
        assert answer.status < 500, path
        assert "<script>alert" not in answer.text
    for path in (
        "call/live?since=nan",
        "call/live?since=9e99",
        "steps?at=%00",
        "asterisk",
        "portal",
        "lines/found",
        "recordings/found",
    ):
        assert (await visitor.get(f"/setup/{path}")).status == 200


def test_extensions_are_compared() -> None:
    people = [Employee("1", "Anna", "101"), Employee("2", "Boris", "102"), Employee("3", "Vera", "102")]
    people += [Employee("4", "Gleb", ""), Employee("5", "Gone", "105", active=False), Employee("6", "Dina", "106")]
    phones = [Phone("101", "main", "PJSIP", True), Phone("102", "main", "PJSIP", False), Phone("103", "main", "SIP")]
    found = paired(people, phones)
    assert [(pair.extension, pair.mark) for pair in found.pairs] == [
        ("102", Mark.TROUBLE), ("103", Mark.TROUBLE), ("106", Mark.TROUBLE), ("101", Mark.DONE),
    ]  # fmt: skip
    assert (found.holes, found.without) == (3, ("Gleb",))
    assert paired(people[:1], []).holes == 0  # a PBX that tells nothing lacks nothing


def test_numbers_are_proposed_once_and_in_one_form() -> None:
    heard = [{"74951234567": 3, "+74951234567": 1, "101": 9, "s": 4, "": 2}, {"88002000000": 2, "+74950000000": 7}]
    assert proposed(heard, Numbering(), frozenset({"+74950000000"})) == (
        FoundLine("+74951234567", ("74951234567",), 4),
        FoundLine("+78002000000", ("88002000000",), 2),
    )


def test_numbers_are_read_as_people_write_them() -> None:
    form = {"number": ["+74951234567"], "name +74951234567": [" Shop "]}
    assert chosen(form, "+7 (800) 200-00-00 Free\n\n74957654321\nno number") == {
        "+74951234567": "Shop", "+78002000000": "Free", "74957654321": "", "no number": "",
    }  # fmt: skip


def test_a_test_call_is_told_in_stages() -> None:
    sent = (SentStep("register", "done"), SentStep("show", "skipped"), SentStep("finish", "dead", Reason("x"), "NO"))
    call = CallRow("c", "main", 1.0, "incoming", "+79161234567", "+74951234567", 2.0, "answered", 1.0, "", sent)
    assert [(stage.state, str(stage.words), stage.word, stage.error) for stage in stages(call)] == [
        ("ok", "seen on the PBX: +79161234567 calls +74951234567", "", ""),
        ("ok", "in the portal", "", ""),
        ("plain", "no card", "", ""),
        ("ok", "over:", "answered", ""),
        ("problem", "is being finished in the portal", "", "NO"),
    ]
