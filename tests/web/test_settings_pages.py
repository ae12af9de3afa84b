"""The settings as forms: what is sent becomes a change that is looked at, saved, undone; mistakes stand where they are."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from functools import partial
from html import unescape
from pathlib import Path

import pytest
from pages_server import Pages, Visitor, pages

from perezvon.customisation import POINTS
from perezvon.rules.field_values import FieldType
from perezvon.rules.vocabulary import Reason
from perezvon.settings.confidential import MASK
from perezvon.settings.errors import Mistake
from perezvon.settings.load import dumped, parse, plainly, settings_from
from perezvon.storage import answers, employees
from perezvon.storage.employees import Employee
from perezvon.web.settings_draft import joined
from perezvon.web.settings_form import Kind, every_setting, kind_of, shown, view
from perezvon.web.settings_offers import OBJECTS, PortalTold, offers_of
from perezvon.web.settings_sections import PAGES, page_of
from perezvon.web.settings_sent import sent
from perezvon.web.settings_words import CHOICES, choice, place_of, search

TOML = """
[[asterisk]]
name = "main"
ami = "tcp://perezvon:amihunter2@127.0.0.1"
trunks = ["multifon"]
[asterisk.wiring]
carrier_password = "wirehunter2"
[[portal]]
name = "main"
webhook = "https://example.bitrix24.ru/rest/1/hookhunter2/"
[portal.automation]
missed = true
[[line]]
number = "+74951234567"
aliases = ["84951234567", "multifon-in"]
create_lead_incoming = false
[[line]]
number = "+74950000000"
name = "Реклама"
[calls]
card_expires = 40
[web]
password = "webhunter2"
"""
NAMED = dumped(settings_from(parse(TOML)), plainly)
SECRETS = ("amihunter2", "wirehunter2", "hookhunter2", "webhunter2")


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Pages]:
    async with pages(tmp_path / "data", tmp_path) as made:
        await made.store.apply(settings_from(parse(TOML)), "root", "first")
        await made.person("anna")
        yield made


@pytest.fixture
async def anna(served: Pages) -> AsyncIterator[Visitor]:
    async with Visitor(served.url) as visitor:
        await visitor.sign_in("anna")
        yield visitor


def form_of(page: str) -> dict[str, list[str]]:
    """What a browser would send of the settings' form, unchanged."""
    form = re.search(r'<form method="post" action="/settings/[\w-]+" id="settings".*?</form>', page, re.DOTALL)
    assert form is not None
    html = re.sub(r"<template>.*?</template>", "", form[0], flags=re.DOTALL)
    fields: dict[str, list[str]] = {}
    for tag in re.finditer(r"<(input|select|textarea)\b([^>]*)>(.*?)(?=<(?:input|select|textarea)\b|$)", html, re.DOTALL):
        kind, attributes, rest = tag.groups()
        name = re.search(r' name="([^"]*)"', attributes)
        if name is None or ('type="checkbox"' in attributes and " checked" not in attributes):
            continue
        if kind == "input":
            value = re.search(r'value="([^"]*)"', attributes)
            text = value[1] if value else ""
        elif kind == "textarea":
            text = rest.split("</textarea>")[0].removeprefix("\n")
        else:
            chosen = re.search(r'<option value="([^"]*)" selected', rest)
            text = chosen[1] if chosen else ""
        fields.setdefault(unescape(name[1]), []).append(unescape(text))
    return fields


async def send(visitor: Visitor, slug: str, form: dict[str, list[str]]) -> tuple[int, str]:
    pairs = [(name, value) for name, values in form.items() for value in values]
    async with visitor.session.post(f"{visitor.url}/settings/{slug}", data=pairs) as answer:
        visitor.page = unescape(await answer.text())
        return answer.status, visitor.page


async def save(visitor: Visitor, note: str = "") -> tuple[int, str]:
    answer = await visitor.post("/settings/save", {"draft": visitor.hidden("draft"), "note": note})
    return answer.status, unescape(answer.text)


async def portal_told(served: Pages) -> None:
    """As the service keeps it of a portal."""
    people = [
        Employee("11", "101", "Анна <b>"),
        Employee("12", "102", "Мария"),
        Employee("13", "", "Ушедший", active=False),
    ]
    await served.database.write(lambda conn: employees.replace(conn, "main", people, 1000.0))
    for of in OBJECTS:
        body = json.dumps([["UF_CRM_17", '"><script>x</script>', False], ["DATE_SEEN", "Seen", True]])
        await served.database.write(
            partial(answers.remember, question="crm list main.", value=f"{of} 0", body=body, now=1000.0)
        )


# What the portal knows


async def test_people_are_offered_by_name_and_told_beside_their_number(served: Pages, anna: Visitor) -> None:
    await portal_told(served)
    await served.store.merge({"missed": {"observers": ["11", "77"], "remind_user": "13"}}, "root")
    await served.store.merge({"crm": {"lead_user": "12"}, "chat": {"leads": "chat12"}}, "root")
    missed = (await anna.get("/settings/missed")).text
    assert '<option value="11" label="Анна &lt;b&gt; · 101">' in missed
    assert '<option value="13"' not in missed, "who has left is not offered"
    assert "11 — Анна &lt;b&gt; · 101" in missed
    assert missed.count('class="doubt">Ни у одного действующего') == 2, "who is not there, and who has left"
    crm = (await anna.get("/settings/crm")).text
    assert "<span data-words>Мария · 102</span>" in crm
    assert 'class="doubt">Ни у одного действующего' not in crm, "a chat is nobody"


async def test_fields_are_offered_and_unknown_ones_are_doubted_only_where_the_list_is_known(
    served: Pages, anna: Visitor
) -> None:
    fields = [{"of": "lead", "name": name, "value": "x"} for name in ("UF_CRM_17", "UF_CRM_18", "DATE_SEEN")]
    await served.store.merge({"crm": {"field": fields}}, "root")
    before = (await anna.get("/settings/crm")).text
    assert 'class="doubt">На портале нет такого' not in before
    assert "Не каждый портал уже сообщил" in before
    await portal_told(served)
    page = (await anna.get("/settings/crm")).text
    assert "Не каждый портал уже сообщил" not in page
    assert '<option value="UF_CRM_17" label="&#34;&gt;&lt;script&gt;x&lt;/script&gt;">' in page
    assert "<script>x" not in page
    assert 'list="offers-fields-lead" data-beside="crm.field.0.of"' in page
    assert page.count('class="doubt">На портале нет такого') == 2, "one is not there, one the portal keeps itself"


def test_what_is_offered_of_several_portals_is_marked_with_theirs() -> None:
    one = PortalTold("msk", [Employee("1", "101", "Анна")], {"lead": {"UF_1": FieldType(title="Цвет")}}, {"CALL": "Звонок"})
    other = PortalTold("spb", [Employee("1", "101", "Пётр")], {}, {})
    found = offers_of([one, other])
    assert found.words("users", "1") == "Анна · 101 (msk) / Пётр · 101 (spb)"
    assert found.words("fields-lead", "UF_1") == "Цвет (msk)"
    assert found.doubt("fields-lead", "UF_2") is None, "the other portal has not told its fields"
    assert found.doubt("users", "2") is not None


async def test_sources_are_offered_by_name_for_lines(served: Pages, anna: Visitor) -> None:
    body = json.dumps([["CALL", "Звонок <b>", False], ["WEB", "Сайт", False]])
    await served.database.write(
        partial(answers.remember, question="crm list main.", value="source 0", body=body, now=1000.0)
    )
    lines = [{"number": "+74951234567", "source": "CALL"}, {"number": "+74951234568", "source": "REKLAMA"}]
    await served.store.merge({"line": lines}, "root")
    page = (await anna.get("/settings/lines")).text
    assert '<option value="CALL" label="Звонок &lt;b&gt;">' in page
    assert "<span data-words>Звонок &lt;b&gt;</span>" in page
    assert page.count('class="doubt">На портале нет такого источника') == 1


# The sections and the forms alone


def test_every_setting_is_on_exactly_one_page() -> None:
    for name, _info, _outer in every_setting():
        there = [page.slug for page in PAGES if any(part.holds(shown(name)) for part in page.parts)]
        assert len(there) == 1, (name, there)


def test_every_choice_has_words() -> None:
    used: set[str] = set()
    for name, info, _outer in every_setting():
        kind, values = kind_of(info, name)
        if kind in (Kind.CHOICE, Kind.ORDER, Kind.SWITCHES, Kind.MAYBE):
            assert all(choice(name, value) for value in values), (name, values)
            used |= {choice(name, value) for value in values}
    assert set(CHOICES.values()) <= used, "words for what cannot be chosen"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.slug)
def test_no_secret_is_in_a_form(page: object) -> None:
    drawn = repr(view(page, NAMED))  # type: ignore[arg-type]
    assert not any(secret in drawn for secret in SECRETS)


def test_rows_are_added_moved_and_taken_away() -> None:
    lines = page_of("line[0]")
    assert lines is not None
    form = {
        "line.rows": ["1"],
        "line.row": ["new1", "1"],
        "line.new1.number": [" +74957777777 "],
        "line.new1.aliases": ["a\r\n\r\n b "],
        "line.new1.menu": [""],
        "line.1.name": [""],
        "line.1.create_lead_incoming": ["no"],
    }
    found = sent(lines, NAMED, form)
    assert found.named["line"] == [
        {"number": "+74957777777", "aliases": ["a", "b"], "menu": False},
        {"number": "+74950000000", "create_lead_incoming": False},
    ]


def test_settings_that_a_form_does_not_bring_stay() -> None:
    for page in PAGES:
        assert sent(page, NAMED, {}).named == NAMED


def test_numbers_are_read_as_people_write_them() -> None:
    calls = page_of("calls.card_expires")
    assert calls is not None
    assert sent(calls, NAMED, {"calls.card_expires": ["1 000,5"]}).named["calls"] == {"card_expires": 1000.5}
    wrong = sent(calls, NAMED, {"calls.card_expires": ["soon"]})
    assert wrong.mistakes == (Mistake("calls.card_expires", None, Reason("must be a number")),)
    assert wrong.typed == {"calls.card_expires": "soon"}
    assert "calls" not in sent(calls, NAMED, {"calls.card_expires": [""]}).named


def test_what_both_have_changed_is_joined() -> None:
    base = {"calls": {"a": 1, "b": 1}, "line": [{"number": "1", "name": "x"}, {"number": "2"}], "web": {"c": 1}}
    mine = {"calls": {"a": 2, "b": 1}, "line": [{"number": "1", "name": "y"}, {"number": "2"}]}
    theirs = {"calls": {"a": 1, "b": 3}, "line": [{"number": "1", "name": "x", "z": 1}, {"number": "3"}], "web": {"c": 1}}
    assert joined(base, mine, theirs) == {
        "calls": {"a": 2, "b": 3},
        "line": [{"number": "1", "name": "y", "z": 1}, {"number": "3"}],
    }


def test_search_finds_by_word_help_and_name() -> None:
    assert search("public_url recordings", str)[0].title == "Public address"
    assert search("zzzz", str) == [] == search("", str)


def test_places_are_told_in_titles() -> None:
    assert list(place_of("portal[main].automation.missed", str)) == [
        "Portal main",
        "Portal's automation",
        "Trigger: missed call",
    ]
    assert list(place_of("numbers.to_crm[0].match", str)) == ["Numbers", "Numbers for the CRM 1", "Matching numbers"]


# On the pages


async def test_a_form_that_is_sent_back_changes_nothing(anna: Visitor) -> None:
    for page in PAGES:
        answer = await anna.get(f"/settings/{page.slug}")
        assert answer.status == 200
        assert not any(secret in answer.text for secret in SECRETS)
        status, told = await send(anna, page.slug, form_of(answer.text))
        assert status == 200, (page.slug, told)
        assert 'action="/settings/save"' not in told, page.slug


async def test_a_change_is_looked_at_saved_and_undone(served: Pages, anna: Visitor) -> None:
    form = form_of((await anna.get("/settings/calls?lang=en")).text)
    form["calls.card_expires"] = ["55"]
    form["calls.show_card"] = [""]
    status, told = await send(anna, "calls", form)
    assert status == 200
    assert "Card's shelf life" in told or "Срок" in told
    assert "<del>40</del>" in told and "<ins>55</ins>" in told
    assert (await served.store.load()).settings.calls.card_expires == 40, "looked at, not saved"
    await save(anna, "  quieter\n ")
    version = await served.store.load()
    assert (version.who, version.note, version.settings.calls.card_expires) == ("anna", "quieter", 55)
    assert not version.settings.calls.show_card
    page = await anna.get("/settings/history?lang=en")
    assert "quieter" in page.text and "Card's shelf life" in unescape(page.text)
    await anna.post("/settings/history/1/restore")
    await save(anna)
    assert (await served.store.load()).settings == settings_from(parse(TOML))
    assert [(entry.action, entry.subject) for entry in await served.people.entries(2)] == [
        ("settings_saved", "3"),
        ("settings_saved", "2"),
    ]


async def test_mistakes_stand_at_their_settings_and_nothing_typed_is_lost(served: Pages, anna: Visitor) -> None:
    form = form_of((await anna.get("/settings/bitrix24")).text)
    form |= {
        "portal.0.rate_burst": ["many"],
        "portal.0.application_token": ["typedsecret"],
        "portal.0.time_zone": ["Europe/Moscow"],
    }
    async with anna.session.post(
        f"{anna.url}/settings/bitrix24?lang=en", data=[(n, v) for n, vs in form.items() for v in vs]
    ) as answer:
        text = await answer.text()
    assert answer.status == 400
    assert re.search(r'id="f-portal.0.rate_burst-fault"><li>must be a whole number', text)
    assert 'value="many"' in text and "typedsecret" not in text
    form = form_of(text)
    form["portal.0.rate_burst"] = ["60"]
    status, told = await send(anna, "bitrix24", form)
    assert status == 200, told
    assert "typedsecret" not in told
    await save(anna)
    portal = (await served.store.load()).settings.portal[0]
    assert portal.application_token is not None and portal.application_token.reveal() == "typedsecret"
    assert (portal.rate_burst, portal.time_zone) == (60, "Europe/Moscow")


async def test_a_mistake_of_another_page_is_told_with_its_place(anna: Visitor) -> None:
    form = form_of((await anna.get("/settings/lines")).text)
    form["line.0.recordings"] = ["link"]
    _, told = await send(anna, "lines", form)
    assert 'href="/settings/recordings"' in told


async def test_secrets_stay_are_replaced_and_go(served: Pages, anna: Visitor) -> None:
    form = form_of((await anna.get("/settings/service")).text)
    assert form["web.password"] == [""]
    form["web.password.forget"] = ["on"]
    await send(anna, "service", form)
    await save(anna)
    assert (await served.store.load()).settings.web.password is None
    form = form_of((await anna.get("/settings/pbx")).text)
    assert form["asterisk.0.ami"] == [f"tcp://perezvon:{MASK}@127.0.0.1"]
    form["asterisk.0.ami"] = [f"tcp://perezvon:{MASK}@10.0.0.5"]
    await send(anna, "pbx", form)
    await save(anna)
    assert (await served.store.load()).settings.asterisk[0].ami.reveal() == "tcp://perezvon:amihunter2@10.0.0.5"


async def test_who_saved_meanwhile_is_told_and_both_hold(served: Pages, anna: Visitor) -> None:
    form = form_of((await anna.get("/settings/calls")).text)
    form["calls.card_expires"] = ["55"]
    await served.store.merge({"calls": {"responsible": "first"}}, "boris")
    status, told = await send(anna, "calls", form)
    assert status == 409 and "boris" in told
    await served.store.merge({"calls": {"card_expires": 70}, "web": {"language": "ru"}}, "boris")
    status, told = await save(anna, "mine")
    assert status == 409
    assert "<del>70</del>" in told and "<ins>55</ins>" in told and "badge warning" in told
    anna.page = told
    await save(anna, "mine")
    settings = (await served.store.load()).settings
    assert (settings.calls.card_expires, settings.calls.responsible, settings.web.language) == (55, "first", "ru")


async def test_export_and_import(served: Pages, anna: Visitor) -> None:
    await anna.get("/settings/files")
    plain = (await anna.post("/settings/export")).text
    assert not any(secret in plain for secret in SECRETS) and MASK in plain
    whole = (await anna.post("/settings/export", {"secrets": "on"})).text
    assert all(secret in whole for secret in SECRETS)
    assert [entry.detail for entry in await served.people.entries(2)] == ["TOML, with secrets", "TOML"]
    answer = await anna.post("/settings/import", {"text": plain.replace("card_expires = 40.0", "card_expires = 41")})
    assert "<ins>41</ins>" in answer.text
    await save(anna)
    settings = (await served.store.load()).settings
    assert settings.calls.card_expires == 41
    assert settings.web.password is not None and settings.web.password.reveal() == "webhunter2"
    await anna.get("/settings/files")
    wrong = await anna.post("/settings/import?lang=en", {"text": "[calls]\ncard_expires = 0\n"})
    assert wrong.status == 400 and "must be 1 or more" in wrong.text


HOSTILE = ('"><script>alert(1)</script>', "\u202eevil", "x" * 10_000, "{7*7}{{7*7}}%(a)s")


async def test_hostile_texts_harm_nothing(served: Pages, anna: Visitor) -> None:
    for text in HOSTILE:
        await hostile(served, anna, text)


async def hostile(served: Pages, anna: Visitor, text: str) -> None:
    form = form_of((await anna.get("/settings/lines")).text)
    form["line.0.name"] = [text]
    pairs = [(name, value) for name, values in form.items() for value in values]
    async with anna.session.post(f"{anna.url}/settings/lines", data=pairs) as answer:
        anna.page = raw = await answer.text()
    assert answer.status == 200 and "<script>alert" not in raw
    await save(anna, text)
    assert (await served.store.load()).settings.line[0].name == text
    for path in ("/settings/lines", "/settings/history", f"/settings?q={text[:100]}", "/audit"):
        page = await anna.get(path)
        assert page.status == 200 and "<script>alert" not in page.text


async def test_drafts_of_others_are_refused(served: Pages, anna: Visitor) -> None:
    await anna.get("/settings/calls")
    before = (await served.store.load()).id
    for draft in ("", "zzz", "é", "gAAAA" + "A" * 100):
        assert (await anna.post("/settings/save", {"draft": draft})).status == 400
    assert (await served.store.load()).id == before


async def test_supervisors_do_not_see_the_settings(served: Pages) -> None:
    from perezvon.web.rights import Role

    await served.person("boris", Role.SUPERVISOR)
    async with Visitor(served.url) as visitor:
        await visitor.sign_in("boris")
        for path in ("/settings", "/settings/calls", "/settings/history", "/settings/files"):
            assert (await visitor.get(path)).status == 403


@pytest.mark.slow
async def test_a_lost_key_file_is_told_with_what_to_do(tmp_path: Path) -> None:
    async with pages(tmp_path / "data", tmp_path) as made:
        await made.store.apply(settings_from(parse(TOML)), "root", "first")
        await made.person("anna")
    (tmp_path / "secret.key").unlink()
    async with pages(tmp_path / "data", tmp_path) as made, Visitor(made.url) as anna:
        await anna.sign_in("anna")
        for path in ("/settings", "/settings/calls", "/settings/history"):
            answer = await anna.get(f"{path}?lang=ru")
            assert answer.status == 503, path
            assert "Сохранённые секреты не открываются" in answer.text
            assert str(tmp_path / "secret.key") in answer.text
            assert "perezvon config apply --replace FILE" in answer.text and "резервной копии" in answer.text
        assert "The stored secrets cannot be opened" in (await anna.get("/settings?lang=en")).text
        assert (await anna.get("/calls")).status == 200, "what was stored of calls is still to be seen"


async def test_each_point_has_a_switch(served: Pages, anna: Visitor) -> None:
    await anna.get("/settings/customisation?lang=en")
    page = unescape(anna.page)
    form, points = form_of(page), [point.value for point in POINTS]
    assert form["customisation.off"] == ["", *points], "all are on"
    assert all(rules.title in page for rules in POINTS.values())
    assert (await send(anna, "customisation", form))[0] == 200, "nothing to save"
    form["customisation.off"].remove(points[1])
    assert (await send(anna, "customisation", form))[0] == 200
    assert (await save(anna))[0] == 200
    assert served.store.current.settings.customisation.off == (points[1],)

    await anna.get("/settings/customisation?lang=en")
    form = form_of(unescape(anna.page))
    assert points[1] not in form["customisation.off"], "it is off on the page"
    form["customisation.off"].append(points[1])
    assert (await send(anna, "customisation", form))[0] == 200
    assert (await save(anna))[0] == 200
    assert served.store.current.settings.customisation.off == ()
