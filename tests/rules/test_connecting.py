"""Whom a caller is connected with: the chain, working time, deputies, and the account of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as some

from perezvon.asterisk.agi_wire import LINE_CAP, application_argument, command_line
from perezvon.rules.connecting import (
    LONGEST_ACCOUNT,
    Asked,
    Connecting,
    CrmObject,
    Device,
    Office,
    Person,
    account_of,
    candidates,
    choose,
    people_asked,
    reasons_of,
)
from perezvon.rules.working_time import Own, Schedule, WorkingTime, week_of

MOSCOW = ZoneInfo("Europe/Moscow")
NOON = datetime(2026, 7, 6, 12, tzinfo=MOSCOW).timestamp()
PEOPLE = [
    Person("11", "101", "Иванов"),
    Person("12", "102", "Петрова"),
    Person("13", "103", "Сидоров"),
    Person("16", "", "Босс"),
]
OFFICE = Office({one.user: one for one in PEOPLE}, {one.extension: one for one in PEOPLE if one.extension})
TIMES = WorkingTime(
    Schedule(week_of(["Mon-Fri 09:00-18:00"])), {"103": Own(Schedule(week_of(["Mon-Sun 00:00-06:00"])))}, MOSCOW
)
RULES = Connecting(working_time=TIMES)
CONTACT = CrmObject("contact", "1", "12", "Мария")
LEAD = CrmObject("lead", "2", "11", "Заявка")
COMPANY = CrmObject("company", "3", "13", "Ромашка")
DEAL = CrmObject("deal", "4", "11", "Сделка")
ASKED = Asked(NOON, line="Москва", first="101")


def told(asked: Asked, office: Office = OFFICE, rules: Connecting = RULES) -> tuple[str, list[str]]:
    choice = choose(asked, office, rules)
    return choice.extension, [str(reason) for reason in choice.reasons]


def test_the_responsible() -> None:
    assert told(replace(ASKED, objects=(CONTACT,))) == (
        "102",
        ["the contact Мария belongs to Петрова (102)", "Петрова (102) is rung for 20 s"],
    )


def test_the_order_of_objects_is_the_settings() -> None:
    asked = replace(ASKED, objects=(LEAD, CONTACT, DEAL))
    assert told(asked)[0] == "102"
    assert told(asked, rules=replace(RULES, objects=("lead", "contact")))[0] == "101"
    assert told(asked, rules=replace(RULES, objects=("deal",)))[1][0] == "the deal Сделка belongs to Иванов (101)"
    assert told(asked, rules=replace(RULES, objects=()))[1][0] == "Иванов (101) is the first employee of the line Москва"


def test_next_in_the_chain() -> None:
    asked = replace(ASKED, objects=(COMPANY,), talked="102", talked_at=NOON - 86400)
    extension, why = told(asked)
    assert extension == "102"
    assert why == [
        "the company Ромашка belongs to Сидоров (103)",
        "Сидоров (103) is out of working hours",
        "Петрова (102) talked with this client last, on 05.07.2026",
        "Петрова (102) is rung for 20 s",
    ]
    assert told(replace(asked, talked_at=NOON - 31 * 86400))[0] == "101"
    assert told(replace(asked, talked_at=NOON - 31 * 86400), rules=replace(RULES, sticky=0.0))[0] == "102"
    assert told(asked, rules=replace(RULES, chain=("line",)))[0] == "101"


def test_a_deputy_and_his_deputy() -> None:
    asked = replace(ASKED, objects=(COMPANY,))
    rules = replace(RULES, deputies={"103": ("102",), "102": ("101", "103")})
    assert told(asked, rules=rules) == (
        "102",
        [
            "the company Ромашка belongs to Сидоров (103)",
            "Сидоров (103) is out of working hours",
            "Петрова (102) is rung for 20 s, deputising for Сидоров (103)",
        ],
    )
    away = replace(OFFICE, workday={"12": "CLOSED"})
    assert told(asked, away, rules)[1][-2:] == [
        "Петрова (102) has closed the working day",
        "Иванов (101) is rung for 20 s, deputising for Петрова (102)",
    ]


@pytest.mark.parametrize(
    ("office", "why"),
    [
        (Office(workday={"12": "CLOSED"}), "Петрова (102) has closed the working day"),
        (Office(workday={"12": "PAUSED"}), "Петрова (102) has a break"),
        (Office(workday={"12": "EXPIRED"}), "Петрова (102) has not begun the working day"),
        (Office(absent={"12": NOON + 3600}), "Петрова (102) is absent until 06.07.2026 13:00"),
        (Office(devices={"102": Device.DND}), "Петрова (102) does not want to be disturbed"),
        (Office(devices={"102": Device.BUSY}), "Петрова (102) is talking"),
        (Office(devices={"102": Device.UNREACHABLE}), "the phone of Петрова (102) cannot be reached"),
    ],
)
def test_who_may_not_be_rung(office: Office, why: str) -> None:
    office = replace(office, users=OFFICE.users, extensions=OFFICE.extensions)
    asked = replace(ASKED, objects=(CONTACT,), first="")
    extension, account = told(asked, office)
    assert (extension, account[1:]) == ("", [why, "nobody is left to be connected with: the call goes its usual way"])
    assert told(asked, office, replace(RULES, checks=frozenset()))[0] == "102"


@pytest.mark.parametrize("status", ["OPENED", "UNAVAILABLE", "NOT_INSTALLED", "", "SOMETHING"])
def test_a_workday_that_says_nothing_keeps_nobody_away(status: str) -> None:
    assert told(replace(ASKED, objects=(CONTACT,)), replace(OFFICE, workday={"12": status}))[0] == "102"


def test_who_is_talking_is_rung_when_the_settings_say_so() -> None:
    office = replace(OFFICE, devices={"102": Device.BUSY})
    assert told(replace(ASKED, objects=(CONTACT,)), office, replace(RULES, ring_busy=True))[0] == "102"


def test_nobodys_objects_and_people_without_extension() -> None:
    gone, boss = CrmObject("contact", "8", "99", "Старый"), CrmObject("contact", "9", "16", "Важный")
    assert told(replace(ASKED, objects=(gone, boss)))[1] == [
        "Старый belongs to user 99, who is no active employee",
        "the contact Важный belongs to Босс",
        "Босс has no extension in the portal",
        "Иванов (101) is the first employee of the line Москва",
        "Иванов (101) is rung for 20 s",
    ]


def test_a_closed_line_and_a_colleague_go_their_usual_way() -> None:
    closed = replace(ASKED, objects=(CONTACT,), hours=week_of(["Sun 10:00-11:00"]))
    assert told(closed) == ("", ["the line Москва is out of its working hours: the call goes its usual way"])
    assert told(replace(ASKED, colleague=True))[0] == ""


@pytest.mark.parametrize("extension", ["101&PJSIP/666", "${SHELL(x)}", "1" * 11, "٣", "10 1", "101,20"])
def test_an_extension_that_the_dialplan_must_not_see(extension: str) -> None:
    evil = Person("12", extension, "Злой")
    office = Office({"12": evil}, {extension: evil})
    asked = replace(ASKED, objects=(CONTACT,), first="", talked=extension, talked_at=NOON)
    assert (told(asked, office)[0], candidates(asked, office, RULES)) == ("", ())


def test_candidates_are_those_of_whom_the_choice_may_be_made() -> None:
    asked = replace(ASKED, objects=(CONTACT, COMPANY), talked="105", talked_at=NOON)
    rules = replace(RULES, deputies={"102": ("104",), "104": ("102",)})
    assert candidates(asked, OFFICE, rules) == ("102", "104", "103", "105", "101")
    assert people_asked(asked, OFFICE, rules) == ("12", "13", "11")
    circle = {str(n): tuple(str(m) for m in range(100) if m != n) for n in range(100)}
    assert len(candidates(replace(ASKED, first="1"), OFFICE, replace(RULES, deputies=circle))) == 12
    everybody_busy = replace(OFFICE, devices={str(n): Device.BUSY for n in range(100)})
    assert told(replace(ASKED, first="1"), everybody_busy, replace(RULES, deputies=circle))[0] in (
        "",
        *map(str, range(100)),
    )


# ---- on its way through the PBX


def test_the_account_comes_back_as_it_was() -> None:
    choice = choose(replace(ASKED, objects=(COMPANY, CONTACT)), OFFICE, RULES)
    assert reasons_of(account_of(choice.told)) == choice.reasons


def test_a_long_account_keeps_its_beginning_and_its_end() -> None:
    objects = tuple(
        CrmObject("contact", str(n), "12" if n == 29 else str(100 + n), f"Контакт {'ы' * 60} {n}") for n in range(30)
    )
    choice = choose(replace(ASKED, objects=objects), OFFICE, RULES)
    text = account_of(choice.told)
    assert len(text.encode()) <= LONGEST_ACCOUNT
    reasons = [str(reason) for reason in reasons_of(text)]
    assert reasons[-1] == "Петрова (102) is rung for 20 s"
    assert "and more was considered" in reasons


@given(some.text() | some.binary().map(lambda data: data.decode("latin-1")))
def test_any_account_is_read(text: str) -> None:
    assert isinstance(reasons_of(text), tuple)


@pytest.mark.parametrize(
    "text", ["[" * 3000, "[[1,2]]", '[["rung"]]', '[["rung",{}]]', '[["contact",{"title":[],"who":{}}]]', "null", '{"a":1}']
)
def test_hostile_accounts_harm_nothing(text: str) -> None:
    assert all(str(reason) for reason in reasons_of(text))


@given(some.lists(some.text(max_size=300), min_size=2, max_size=12))
def test_what_the_crm_says_stays_one_line_that_fits(titles: list[str]) -> None:
    objects = tuple(CrmObject("contact", str(n), str(100 + n), 9 * title) for n, title in enumerate(titles))
    text = account_of(choose(replace(ASKED, objects=objects), OFFICE, RULES).told)
    line = command_line("EXEC", "UserEvent", f"PerezvonConnect,Line: {'9' * 40},Why: {application_argument(text)}")
    assert len(line) < LINE_CAP
    assert "\n" not in text
    assert "\r" not in text
