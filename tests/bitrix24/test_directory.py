"""Who is who: doubles, people without extensions, and answers that are not to be believed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perezvon.bitrix24 import Bucket, Portal, Webhook
from perezvon.bitrix24.directory import BELIEVE_AFTER, Directory, Double, Employee, judge, normal_extension, refresh
from perezvon.calls import Numbering
from perezvon.sandbox.portal.people import User
from perezvon.sandbox.portal.server import PortalServer


def people(count: int, first: int = 100) -> list[Employee]:
    return [Employee(str(n), f"Имя {n}", str(n)) for n in range(first, first + count)]


async def test_the_portals_people(server: PortalServer, hook: Portal) -> None:
    server.state.people.add(User(50, "Двойник", "Первый", "101"))
    server.state.people.add(User(9, "Двойник", "Второй", " 1-01 ", mobile="8 (926) 555-00-22"))
    found = await refresh(hook, Directory(), now=1000.0, normalise=Numbering().international)
    assert found.problem == ""
    assert found.refreshed == 1000.0
    owner = found.by_extension("101")
    assert owner is not None
    assert (owner.user_id, owner.name, owner.phones) == ("9", "Второй Двойник", ("+79265550022",))
    assert found.doubles == (Double("101", ("9", "11", "50")),)
    assert {e.user_id for e in found.without_extension} == {"1", "16"}
    assert found.by_user("17") is None, "dismissed"
    assert found.by_extension("110") is None
    by_phone = found.by_phone("+79161110102")
    assert by_phone is not None
    assert by_phone.extension == "102"


async def test_only_the_permission_user_brief_is_needed(server: PortalServer) -> None:
    hook = server.state.authority.webhooks[0]
    hook.scopes = frozenset({"user_brief"})
    async with Portal("main", Webhook.parse(server.webhook_url)) as portal:
        found = await refresh(portal, Directory(), now=1.0)
    assert found.by_extension("101") is not None


async def test_a_failing_portal_keeps_the_last_list_and_says_why(server: PortalServer, hook: Portal) -> None:
    last = await refresh(hook, Directory(), now=1000.0)
    server.state.faults.plan("500", method="user.get")
    kept = await refresh(hook, last, now=1300.0)
    assert (kept.employees, kept.refreshed) == (last.employees, 1000.0)
    assert "could not be read" in str(kept.problem)
    assert kept.by_extension("101") == last.by_extension("101")
    assert (await refresh(hook, kept, now=1600.0)).problem == ""


async def test_a_refresh_leaves_tokens_to_calls(server: PortalServer) -> None:
    now = [0.0]

    async def sleep(seconds: float) -> None:
        now[0] += seconds

    bucket = Bucket(2, 50, margin=0, clock=lambda: now[0], sleep=sleep)
    bucket.take(count=45)
    async with Portal("main", Webhook.parse(server.webhook_url), bucket=bucket) as portal:
        await refresh(portal, Directory(), now=1.0, reserve=10)
    assert bucket.tokens() >= 10


@pytest.mark.parametrize(
    ("story", "before", "after", "believed"),
    [
        ("the first answer", 0, 5, True),
        ("the first answer is empty", 0, 0, True),
        ("more people", 10, 14, True),
        ("one has left", 10, 9, True),
        ("two have left a small office", 4, 2, True),
        ("three of ten", 10, 7, False),
        ("a fifth of a big company", 100, 80, True),
        ("more than a fifth", 100, 79, False),
        ("nobody", 10, 0, False),
        ("the only one", 1, 0, False),
    ],
)
def test_when_a_smaller_answer_is_believed(story: str, before: int, after: int, believed: bool) -> None:
    last = Directory.of(people(before), 1000.0)
    got = judge(last, people(after), now=1300.0)
    assert (len(got.employees) == after) is believed, story
    assert (got.problem == "") is believed
    assert got.refreshed == (1300.0 if believed else 1000.0)


def test_the_same_smaller_answer_some_minutes_later_is_believed() -> None:
    last = Directory.of(people(10), 1000.0)
    doubted = judge(last, people(5), now=1300.0)
    assert "5 employees with an extension instead of 10" in str(doubted.problem)
    too_soon = judge(doubted, people(5), now=1300.0 + BELIEVE_AFTER - 1)
    assert len(too_soon.employees) == 10
    assert len(judge(too_soon, people(5), now=1300.0 + BELIEVE_AFTER).employees) == 5


def test_another_smaller_answer_starts_the_doubt_anew() -> None:
    doubted = judge(Directory.of(people(10), 1000.0), people(5), now=1300.0)
    other = judge(doubted, people(4), now=1600.0)
    assert (len(other.employees), other.suspected_at) == (10, 1600.0)
    assert len(judge(other, people(10), now=1900.0).employees) == 10
    assert judge(other, people(10), now=1900.0).problem == ""


def test_an_answer_without_any_extension_is_never_believed() -> None:
    got = Directory.of(people(10), 1000.0)
    for at in (1300.0, 1600.0, 9000.0):
        got = judge(got, [replace(e, extension="") for e in people(10)], now=at)
        assert got.by_extension("101") is not None
        assert "user_brief" in str(got.problem)


def test_a_snapshot_survives_its_rows() -> None:
    people_ = [
        *people(3),
        Employee("7", "Ёж", "", phones=("+79161110101", "+74951234567")),
        Employee("8", "Бывший", "100", active=False),
    ]
    made = Directory.of(people_, 1234.5)
    again = Directory.from_rows(made.as_rows())
    assert again == made
    assert again.by_phone("+74951234567") == people_[3]
    owner = again.by_extension("100")
    assert owner is not None
    assert owner.user_id == "100", "an inactive owner does not count"
    assert Directory.from_rows([]) == Directory()


@pytest.mark.parametrize(
    ("written", "meant"), [("101", "101"), (" 1 01", "101"), ("1\u00a001", "101"), ("(1)-01", "101"), ("007", "007")]
)
def test_extensions_are_compared_without_decoration(written: str, meant: str) -> None:
    assert normal_extension(written) == meant
    owner = Directory.of([Employee("5", "x", normal_extension(written))], 0).by_extension(meant)
    assert owner is not None


def test_the_choice_among_doubles_does_not_depend_on_the_order() -> None:
    doubles = [Employee("200", "b", "101"), Employee("30", "a", "101"), Employee("odd", "c", "101")]
    for order in (doubles, doubles[::-1]):
        owner = Directory.of(order, 0).by_extension("101")
        assert owner is not None
        assert owner.user_id == "30"
