"""1c, 1g, 1h, 2a, 3e, 3f: what a call leaves in the CRM and tells in the chat, on the pretend portal without the wire."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from after_calls import (
    CLIENT,
    Story,
    decided,
    happens,
    make_chat,
    messages,
    notifications,
    steps_of,
    the,
)
from after_calls import told as facts_of
from direct_portal import KILL, DirectPortal

from perezvon.bitrix24.errors import Ambiguous, NotSent
from perezvon.calls.call import Direction
from perezvon.calls.facts import CallEnded
from perezvon.delivery import Sender, pacing
from perezvon.rules import Decision, Kind, Reason
from perezvon.rules.field_check import CrmKnown
from perezvon.rules.field_values import FieldType
from perezvon.sandbox.portal.handlers.crm_userfields import UserField, UserFields
from perezvon.sandbox.portal.handlers.messenger import Messenger, say
from perezvon.service.backfill import Fate, Late
from perezvon.storage import Database
from perezvon.storage.steps import State

Start = Callable[..., Sender]
Settled = Callable[..., Awaitable[None]]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "COLLECTING", {})


def field(of: str, name: str, value: str, **more: str) -> str:
    lines = {"of": of, "name": name, "value": value, **more}
    return "[[crm.field]]\n" + "".join(f"{key} = '''{one}'''\n" for key, one in lines.items())


# ---- 1c, 1g, 2a: leads and whose they are


@pytest.mark.parametrize(
    ("more", "owner"),
    [
        ("", 13),
        ('[crm]\nlead_responsible = "first"\n', 11),
        ('[crm]\nlead_responsible = "last"\n', 13),
        ('[crm]\nlead_responsible = "longest"\n', 12),
        ('[crm]\nlead_responsible = "fixed"\nlead_user = 15\n', 15),
        ('[calls]\nresponsible = "first"\n[crm]\nlead_responsible = "last"\n', 13),
        ('[calls]\ntransfers = "each"\n', 13),
    ],
    ids=["usual", "first", "last", "longest", "fixed", "other than the call's", "one portal call each"],
)
async def test_1g_whose_the_new_lead_is(
    database: Database, portal: DirectPortal, start: Start, settled: Settled, more: str, owner: int
) -> None:
    await happens(database, Story(("101", "102", "103"), longest="102"), more)
    start()
    await settled()
    lead = the(portal.state, "LEAD")
    assert lead.responsible == owner
    assert len(portal.state.crm.of("DEAL")) == 1, "the one that was there"


async def test_1g_a_line_gives_its_leads_to_one_user(
    database: Database, portal: DirectPortal, start: Start, settled: Settled
) -> None:
    reasons = await happens(database, Story(), "lead_user = 14\n")
    assert "new lead: for user 14, who gets those of the line Main line" in reasons
    start()
    await settled()
    assert the(portal.state, "LEAD").responsible == 14


@pytest.mark.parametrize("hand_over", [True, False])
async def test_1g_what_was_there_before_keeps_its_responsible(
    database: Database, portal: DirectPortal, start: Start, settled: Settled, hand_over: bool
) -> None:
    contact = portal.state.crm.of("CONTACT")[0]
    before = contact.responsible
    more = f"[crm]\nhand_over = {str(hand_over).lower()}\nlead_responsible = 'first'\n"
    await happens(database, Story(("103",), client="+79165550011"), more)
    start()
    await settled()
    assert before == 12
    assert contact.responsible == (13 if hand_over else before)


async def test_1g_it_is_not_handed_over_to_who_has_not_talked(
    database: Database, portal: DirectPortal, start: Start, settled: Settled
) -> None:
    """150 is nobody at the portal: the call is finished for the fall-back user."""
    contact = portal.state.crm.of("CONTACT")[0]
    await happens(database, Story(("150",), client="+79165550011"), "[crm]\nhand_over = true\n")
    start()
    await settled()
    assert contact.responsible == 12


async def test_1c_simple_mode_makes_a_contact_and_a_deal(database: Database, start: Start, settled: Settled) -> None:
    portal = DirectPortal(crm_mode=2)
    more = '[crm]\nlead_responsible = "fixed"\nlead_user = 15\n' + field("deal", "UTM_SOURCE", "{line.name}")
    more += field("lead", "UTM_SOURCE", "{line.name}")
    await happens(database, Story(), more)
    start(port=portal)
    await settled()
    assert portal.state.crm.mode == 2
    contact, deal = portal.state.crm.of("CONTACT")[-1], portal.state.crm.of("DEAL")[-1]
    assert contact.values("PHONE") == [CLIENT]
    assert (contact.responsible, deal.responsible, deal.text("UTM_SOURCE")) == (15, 15, "Main line")
    steps = await steps_of(database)
    assert steps["fill:lead"].state is State.SKIPPED
    assert str(steps["fill:lead"].note) == "not sent: the call has no lead"


async def test_nothing_is_asked_that_no_setting_wants(
    database: Database, portal: DirectPortal, start: Start, settled: Settled
) -> None:
    await happens(database, Story(), "")
    start()
    await settled()
    assert set(portal.executed()) <= {"batch", "register", "show", "hide", "finish"}


# ---- repeat leads and deals


@pytest.mark.parametrize("wanted", ["newest", "all"])
async def test_2a_repeat_leads_and_deals_are_bound(
    database: Database, portal: DirectPortal, start: Start, settled: Settled, wanted: str
) -> None:
    crm = portal.state.crm
    client = crm.of("CONTACT")[0]
    link = {"CONTACT_ID": str(client.id), "ASSIGNED_BY_ID": "11"}
    leads = [crm.add("LEAD", {**link, "TITLE": f"again {n}", "STATUS_ID": "NEW"}, quiet=True) for n in (1, 2)]
    crm.add("LEAD", {**link, "TITLE": "over", "STATUS_ID": "JUNK"}, quiet=True)
    more = f"[crm]\nbind_leads = '{wanted}'\nbind_deals = '{wanted}'\n"
    await happens(database, Story(client="+79165550011"), more)
    start()
    await settled()
    (activity,) = crm.of("ACTIVITY")
    bound = {(row["OWNER_TYPE_ID"], row["OWNER_ID"]) for row in activity.fields["BINDINGS"]}
    expected = leads if wanted == "all" else leads[-1:]
    assert {("1", str(one.id)) for one in expected} == {row for row in bound if row[0] == "1"}
    assert ("2", "1") in bound, "the portal has bound it itself, and that is no error"
    assert (await steps_of(database))["bind"].state is State.DONE


# ---- 3e, 3f: fields


async def test_3e_3f_fields_are_filled_from_the_call(
    database: Database, portal: DirectPortal, start: Start, settled: Settled
) -> None:
    more = (
        field("lead", "TITLE", "{client} / {line.name}", existing="overwrite", objects="new")
        + field("lead", "UTM_SOURCE", "{line.source|lower}")
        + field("lead", "COMMENTS", "{talked}, waited {waited} s")
        + field("lead", "UF_CRM_LINK", "{link}")
        + field("activity", "SUBJECT", "Call of {employee}", existing="overwrite")
        + field("activity", "DESCRIPTION", "Line: {line}, keys {menu|default:none}")
    )
    await happens(database, Story(("101", "102")), more)
    start()
    await settled()
    lead = the(portal.state, "LEAD")
    assert lead.text("TITLE") == f"{CLIENT} / Main line"
    assert lead.text("UTM_SOURCE") == "advertising"
    assert lead.text("COMMENTS") == "Иванов Иван (101), Петрова Анна (102), waited 2 s"
    assert lead.text("UF_CRM_LINK") == f"https://portal.invalid/crm/lead/details/{lead.id}/"
    (activity,) = portal.state.crm.of("ACTIVITY")
    assert activity.text("SUBJECT") == "Call of Петрова Анна"
    assert activity.text("DESCRIPTION").startswith("Employees\n101 (Иванов Иван): ")
    assert activity.text("DESCRIPTION").endswith("Line: Main line, keys none")
    assert activity.text("RESPONSIBLE_ID") == "12"


async def test_3e_existing_values_stay_unless_told_otherwise(
    database: Database, portal: DirectPortal, start: Start, settled: Settled
) -> None:
    contact = portal.state.crm.of("CONTACT")[0]
    contact.fields.update({"COMMENTS": "knows us", "UTM_SOURCE": "yandex", "UTM_TERM": "daisies", "POST": None})
    more = (
        field("contact", "COMMENTS", "called {line.name}", existing="add")
        + field("contact", "UTM_SOURCE", "{line.name}")
        + field("contact", "UTM_TERM", "{line.name}", existing="overwrite")
        + field("contact", "POST", "{menu}")
        + field("contact", "NAME", "nobody", objects="new")
    )
    for call in ("c", "d"):
        await happens(database, Story(client="+79165550011", call=call), more)
    start()
    await settled()
    assert contact.text("COMMENTS") == "knows us\ncalled Main line"
    assert (contact.text("UTM_SOURCE"), contact.text("UTM_TERM"), contact.text("NAME")) == ("yandex", "Main line", "Мария")
    assert contact.fields["POST"] is None


async def test_3e_several_values_are_extended_never_wiped(
    database: Database, portal: DirectPortal, start: Start, settled: Settled
) -> None:
    portal.state.part(UserFields).declare("CONTACT", UserField("UF_CRM_LINES", many=True))
    contact = portal.state.crm.of("CONTACT")[0]
    contact.fields["UF_CRM_LINES"] = ["Billboard"]
    rows = list(contact.fields["PHONE"])
    more = field("contact", "UF_CRM_LINES", "{line.name}", existing="overwrite")
    more += field("contact", "PHONE", "{client}", existing="overwrite") + field("contact", "PHONE", "+74950000009")
    for call in ("c", "d"):
        await happens(database, Story(client="+79165550011", call=call), more)
        sender = start()
        await settled()
        await sender.stop()
    assert contact.fields["UF_CRM_LINES"] == ["Billboard", "Main line"]
    assert contact.fields["PHONE"][: len(rows)] == rows
    assert contact.values("PHONE") == ["+7 (916) 555-00-11", "+74950000009"]


async def test_3e_two_calls_in_the_same_moment_wipe_nothing_of_each_other(
    database: Database, portal: DirectPortal, start: Start, settled: Settled
) -> None:
    portal.state.part(UserFields).declare("CONTACT", UserField("UF_CRM_WHO", many=True))
    contact = portal.state.crm.of("CONTACT")[0]
    more = field("contact", "UF_CRM_WHO", "{employee}")
    for talker in ("101", "102", "103"):
        await happens(database, Story((talker,), client="+79165550011", call=talker), more)
    start()
    await settled()
    assert sorted(contact.fields["UF_CRM_WHO"]) == ["103", "Иванов Иван", "Петрова Анна"]


TYPES: list[tuple[UserField, str, Any]] = [
    (UserField("UF_CRM_T", "integer"), "{waited}", "2"),
    (UserField("UF_CRM_T", "double"), "1 234,5", "1234.50"),
    (UserField("UF_CRM_T", "boolean"), "да", "1"),
    (UserField("UF_CRM_T", "date"), "31.12.2026", "2026-12-31"),
    (UserField("UF_CRM_T", "datetime"), "31.12.2026 09:30", "2026-12-31T09:30:00"),
    (UserField("UF_CRM_T", "enumeration", items={"7": "Москва", "8": "Main Line"}), "{line.name}", "8"),
    (UserField("UF_CRM_T", "employee"), "11", "11"),
]


@pytest.mark.parametrize(("declared", "value", "stored"), TYPES, ids=[one[0].type for one in TYPES])
async def test_3e_values_are_what_the_field_wants(
    database: Database, portal: DirectPortal, start: Start, settled: Settled, declared: UserField, value: str, stored: Any
) -> None:
    portal.state.part(UserFields).declare("LEAD", declared)
    type_ = FieldType(declared.type, declared.many, items=declared.items)
    known = CrmKnown(1, {"lead": {declared.name: type_}})
    await happens(database, Story(), field("lead", "UF_CRM_T", value), known=known)
    start()
    await settled()
    assert the(portal.state, "LEAD").fields["UF_CRM_T"] == stored


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        ("integer", "{client}", f"{CLIENT} is no whole number"),
        ("double", "{line}", "Main line is no number"),
        ("boolean", "{line}", "Main line is neither yes nor no"),
        ("date", "31.02.2026", "31.02.2026 is no date"),
        ("enumeration", "{line}", "Main line is not in the list of UF_CRM_T: Москва"),
        ("file", "{line}", "the field UF_CRM_T cannot be filled from a text"),
    ],
)
def test_3e_what_does_not_fit_is_left_out_with_the_reason(kind: str, value: str, why: str) -> None:
    known = CrmKnown(1, {"lead": {"UF_CRM_T": FieldType(kind, items={"7": "Москва"})}})
    found = decided(Story(), field("lead", "UF_CRM_T", value), known=known)
    reasons = [reason for reason, _ in found]
    assert reasons[reasons.index("the field UF_CRM_T of the lead is left out") + 1] == why
    assert not [step for _, steps in found for step in steps if step.key.endswith("fill:lead")]


async def test_3e_a_field_that_the_portal_refuses_holds_up_nothing(
    database: Database, portal: DirectPortal, start: Start, settled: Settled
) -> None:
    names = [f"UF_CRM_{n}" for n in range(6)]
    for name in names:
        portal.state.part(UserFields).declare("LEAD", UserField(name, "boolean" if name.endswith("4") else "string"))
    await happens(database, Story(), "".join(field("lead", name, "{line}") for name in names))
    start()
    await settled()
    lead = the(portal.state, "LEAD")
    assert [lead.fields.get(name) for name in names] == ["Main line"] * 4 + [None, "Main line"]
    step = (await steps_of(database))["fill:lead"]
    assert step.state is State.DONE
    assert str(step.note).startswith("filled without UF_CRM_4, which the portal refuses: ")


@pytest.mark.parametrize(
    ("more", "waits"),
    [
        ("", True),
        ('recordings = "off"\n', False),
        ('[recordings]\nmode = "off"\n', False),
        ('recordings = "upload"\n[recordings]\nmode = "off"\n', True),
    ],
)
async def test_3e_a_text_waits_for_a_recording_that_comes_only(more: str, *, waits: bool) -> None:
    """`more` begins in the section of the call's line."""
    more += '[chat]\nleads = "16"\n' + field("lead", "COMMENTS", "{recording}")
    steps = [step for _, some in decided(Story(more={"recordings": ("a.wav",)}), more) for step in some]
    fill, announce = (next(step for step in steps if step.kind is kind) for kind in (Kind.FILL, Kind.ANNOUNCE))
    assert [bool(step.params["wait"]) for step in (fill, announce)] == [waits, waits]


# ---- 1h: who is told


async def test_1h_a_new_lead_is_announced_in_a_chat(
    database: Database, portal: DirectPortal, start: Start, settled: Settled
) -> None:
    chat = make_chat(portal.state)
    more = f'[chat]\nleads = "chat{chat}"\n'
    for call, client in (("c", CLIENT), ("d", CLIENT), ("e", "+79165550011")):
        await happens(database, Story(("101", "102"), client=client, call=call), more)
        sender = start()
        await settled()
        await sender.stop()
    (text,) = messages(portal.state, chat)
    lead = the(portal.state, "LEAD")
    assert text == (
        f"[B]New lead[/B]: {CLIENT}\nincoming call, Main line\nTalked: Иванов Иван (101), Петрова Анна (102)\n"
        f"https://portal.invalid/crm/lead/details/{lead.id}/"
    )
    assert str((await steps_of(database, "d"))["announce"].note) == "not sent: the call has made nothing new"


async def test_1h_a_person_and_a_missed_call(
    database: Database, portal: DirectPortal, start: Start, settled: Settled
) -> None:
    more = '[chat]\nleads = 16\nmissed = 16\nmissed_text = "Missed: {client}, {rung}"\nleads_text = "{object} {client}"\n'
    await happens(database, Story(()), more)
    start()
    await settled()
    assert sorted(notifications(portal.state, 16)) == [f"Missed: {CLIENT}, 103", f"New lead {CLIENT}"]


async def test_1h_add_to_chat_is_passed_on(
    database: Database, portal: DirectPortal, start: Start, settled: Settled
) -> None:
    await happens(database, Story(), "")
    await happens(database, Story(call="d"), "[chat]\nreport = true\n")
    start()
    await settled()
    assert sorted(bool(call.finish["add_to_chat"]) for call in portal.calls()) == [False, True]


async def test_1h_the_lead_of_a_click_is_found_by_its_age(
    database: Database, portal: DirectPortal, start: Start, settled: Settled
) -> None:
    """The portal registers such a call itself, and does not say what it has made."""
    chat = make_chat(portal.state)
    more = f'[chat]\nleads = "chat{chat}"\nleads_text = "{{object}} {{client}}"\n'
    for call, client in (("c", CLIENT), ("d", "+79035550033")):
        portal_call = (await portal.call("telephony.externalCall.register", {
            "USER_ID": 11, "PHONE_NUMBER": client, "TYPE": 1, "CRM_CREATE": 1, "SHOW": 0, "EXTERNAL_CALL_ID": call,
        })).result["CALL_ID"]  # fmt: skip
        if call == "d":
            portal.state.crm.of("LEAD")[0].fields["DATE_CREATE"] = "2026-01-01T10:00:00+03:00"
        story = Story(client=client, call=call, direction=Direction.OUTGOING, portal_call=portal_call)
        await happens(database, story, more)
    start()
    await settled()
    assert messages(portal.state, chat) == [f"New lead {CLIENT}"]


def test_1h_old_calls_that_are_put_in_are_announced_to_nobody() -> None:
    found = decided(Story(), "[chat]\nleads = 16\nmissed = 16\n" + field("lead", "COMMENTS", "{line}"))
    decisions = tuple(Decision(Reason(reason), tuple(steps)) for reason, steps in found)
    (record,) = [fact.record for facts in facts_of(Story(), 0.0) for fact in facts if isinstance(fact, CallEnded)]
    kinds = {step.kind for step in Late(record, Fate.MISSING, decisions=decisions).steps}
    assert Kind.FILL in kinds
    assert Kind.ANNOUNCE not in kinds


LOST: Mapping[str, Callable[[], Exception]] = {"lost": lambda: Ambiguous("no answer"), "unsent": lambda: NotSent("reset")}


@pytest.mark.parametrize("to", ["chat", "person"])
@pytest.mark.parametrize(
    ("fault", "where"),
    [("lost", "before"), ("lost", "after"), ("unsent", "before"), ("kill", "before"), ("kill", "after")],
)
@pytest.mark.parametrize("number", range(6))
async def test_1h_3e_once_whatever_is_lost(
    database: Database,
    portal: DirectPortal,
    start: Start,
    settled: Settled,
    until: Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]],
    to: str,
    fault: str,
    where: str,
    number: int,
) -> None:
    chat = make_chat(portal.state)
    dialog = f"chat{chat}" if to == "chat" else "16"
    more = f'[chat]\nleads = "{dialog}"\nleads_text = "{{object}} {{client}} {{link}}"\n'
    more += field("lead", "COMMENTS", "{line.name}", existing="add")
    struck: Any = KILL if fault == "kill" else LOST[fault]
    getattr(portal, where).extend([None] * number + [struck])
    await happens(database, Story(), more)
    sender = start()
    if fault == "kill":
        await until(lambda: _killed_or_over(portal, database))
        await sender.stop(0.0)
        start()
    await settled()
    lead = the(portal.state, "LEAD")
    told = messages(portal.state, chat) if to == "chat" else notifications(portal.state, 16)
    assert told == [f"New lead {CLIENT} https://portal.invalid/crm/lead/details/{lead.id}/"]
    assert lead.text("COMMENTS") == "Main line"
    assert all(step.state is State.DONE for step in (await steps_of(database)).values() if step.kind != "show")


async def test_1h_a_message_that_nobody_else_could_have_written_is_not_sent_again(
    database: Database, portal: DirectPortal, start: Start, settled: Settled
) -> None:
    """Its answer is lost, and an employee writes to the chat meanwhile."""
    chat = make_chat(portal.state)

    def lost() -> Exception:
        say(portal.state, portal.state.part(Messenger).chats[chat], 11, "who is it?")
        return Ambiguous("no answer")

    more = f'[chat]\nleads = "chat{chat}"\nleads_text = "{{object}}"\n'
    await happens(database, Story(), more)
    sends: list[int] = []
    ask = portal._ask  # pyright: ignore[reportPrivateUsage]

    async def watched(method: str, values: dict[str, Any], commands: list[tuple[str, Mapping[str, Any]]]) -> bytes:
        if any(name == "im.message.add" for name, _ in commands):
            sends.append(1)
            if len(sends) == 1:
                portal.after.append(lost)  # pyright: ignore[reportArgumentType]
        return await ask(method, values, commands)

    portal._ask = watched  # pyright: ignore[reportPrivateUsage]
    start()
    await settled()
    assert messages(portal.state, chat) == ["New lead", "who is it?"]
    assert str((await steps_of(database))["announce"].note).startswith("taken for announced")


async def _killed_or_over(portal: DirectPortal, database: Database) -> bool:
    steps = (await steps_of(database)).values()
    return portal.killed.is_set() or all(not step.pending and step.state is not State.SENDING for step in steps)


# ---- hostile


async def test_hostile_names_are_harmless(database: Database, portal: DirectPortal, start: Start, settled: Settled) -> None:
    chat = make_chat(portal.state)
    more = f'[chat]\nleads = "chat{chat}"\nleads_text = "{{client_name}}|{{queue}}"\n'
    more += field("lead", "COMMENTS", "{client_name}")
    name = "[URL=http://evil]{recording}{{\x00" + "A" * 5000
    await happens(database, Story(more={"client_name": name, "queue": "{link}"}), more)
    start()
    await settled()
    (text,) = messages(portal.state, chat)
    assert "[" not in text
    assert text.endswith("|{link}"), "a value is no template"
    assert len(text) < 200
    assert the(portal.state, "LEAD").text("COMMENTS").startswith("(URL=http://evil){recording}")
