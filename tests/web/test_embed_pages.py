"""Our pages inside a portal: who gets in, what the session of the page is worth, what the pages tell. The portal that vouches
is the pretend one, over HTTP."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from portal_rooms import Rooms, rooms
from sqlalchemy.ext.asyncio import AsyncConnection
from stored_calls import CALL, CLIENT, HOSTILE, many, whole_call

from perezvon.bitrix24.directory import Directory
from perezvon.bitrix24.directory import Employee as StaffMember
from perezvon.calls.facts import InMenu, MenuChosen, MenuStep
from perezvon.conference import Employee
from perezvon.service.portal_door import PortalRooms
from perezvon.settings.portal import PortalSettings
from perezvon.storage.missed_report import Share, shares
from perezvon.storage.schema import call as call_table
from perezvon.web import Status
from perezvon.web.embed_card import Key, pressed
from perezvon.web.embed_report import grouped
from perezvon.web.portal_door import CardContext
from perezvon.web.status import PbxStatus


@pytest.fixture
async def inside(tmp_path: Path) -> AsyncIterator[Rooms]:
    async with rooms(tmp_path) as made:
        yield made


def code_of(page: str) -> str:
    found = re.search(r'data-code="([\w-]+)"', page)
    assert found is not None, page[:2000]
    return found[1]


async def asked(inside: Rooms, path: str, method: str = "GET", portal: str = "main", **headers: str) -> tuple[int, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{inside.url}/bitrix24/{portal}/{path}", headers=named) as answer,
    ):
        told = await (answer.json() if "json" in answer.content_type else answer.text())
        return answer.status, told


async def session_of(inside: Rooms, page: str, user: int = 11) -> str:
    status, text, _ = await inside.post(inside.opening(page, user))
    assert status == 200, text
    status, told = await asked(inside, "session", "POST", X_One_Time_Code=code_of(text))
    assert status == 200
    return f"Bearer {told['bearer']}"


async def test_the_portal_alone_may_frame_the_page_and_no_token_stands_in_it(inside: Rooms) -> None:
    frame = inside.opening("app", 1)
    status, text, headers = await inside.post(frame)
    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert f"frame-ancestors {inside.portal.url}" in policy
    assert "'unsafe" not in policy
    assert "X-Frame-Options" not in headers
    assert "Set-Cookie" not in headers
    for name in ("AUTH_ID", "REFRESH_ID", "APPLICATION_TOKEN", "member_id"):
        assert frame.fields[name] not in text
    async with aiohttp.ClientSession() as session, session.get(f"{inside.url}/calls") as answer:
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


async def test_what_the_portal_does_not_confirm_is_refused(inside: Rooms) -> None:
    frame = inside.opening("app")
    for changed in (
        {"AUTH_ID": "0" * 70},  # forged
        {"AUTH_ID": ""},
        {"AUTH_ID": "-"},
        {"AUTH_ID": "é" * 70},
        {"AUTH_ID": "x" * 5000},
        {"AUTH_ID": frame.fields["REFRESH_ID"]},
        {"member_id": "another portal"},
        {"member_id": "-"},
    ):
        status, text, headers = await inside.post(frame, **changed)
        assert status == 403, changed
        assert "data-code" not in text
        assert f"frame-ancestors {inside.portal.url}" in headers["Content-Security-Policy"]  # so that it can be read
    assert (await inside.post(frame))[0] == 200  # as it came it is good


async def test_a_token_of_another_application_or_out_of_date_is_refused(inside: Rooms) -> None:
    portal = inside.portal
    frame = inside.opening("app")
    other = type(portal.app)(
        99, "local.other", "secret", "Other", portal.app.scopes, application_token=portal.app.application_token
    )
    portal.state.authority.apps[other.client_id] = other
    foreign = portal.state.authority.new_access(other, 11)
    assert (await inside.post(frame, AUTH_ID=foreign))[0] == 403
    portal.state.authority.expire_access()
    assert (await inside.post(frame))[0] == 403
    before = portal.state.authority.rotations
    assert portal.state.authority.rotations == before  # nothing of ours was renewed for it


async def test_the_portal_is_asked_at_its_own_address_whatever_the_request_says(inside: Rooms) -> None:
    frame = inside.opening("app", 1)
    foreign = frame.action.replace("DOMAIN=127.0.0.1", "DOMAIN=evil.example.com")
    assert "evil" in foreign
    async with aiohttp.ClientSession() as session, session.post(foreign, data=frame.fields) as answer:
        assert answer.status == 200
        assert "evil" not in await answer.text()
        assert "evil" not in answer.headers["Content-Security-Policy"]


async def test_there_is_no_page_of_an_unknown_portal_and_garbage_harms_nothing(inside: Rooms) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("other/app", "other/card", "%00/card", "main/card", "main/analytics"):
            for body in (
                b"",
                b"AUTH_ID[a][b]=1&member_id[]=2",
                b"\xff\xfe=%zz&&&=",
                b"PLACEMENT_OPTIONS=%7B" * 100,
                b"a" * 70_000,
            ):
                async with session.post(f"{inside.url}/bitrix24/{path}", data=body) as answer:
                    assert answer.status in (403, 404, 413), (path, body[:20])
        deep = {"PLACEMENT_OPTIONS": "[" * 4000}
        frame = inside.opening("card")
        async with session.post(frame.action, data=frame.fields | deep) as answer:
            assert answer.status == 200


async def test_many_wrong_tries_are_slowed_down_and_whoever_the_portal_sends_is_not(inside: Rooms) -> None:
    frame = inside.opening("app")
    requests = inside.client.requests
    tries = [(await inside.post(frame, AUTH_ID=f"{n:070}", APPLICATION_TOKEN="wrong"))[0] for n in range(25)]
    assert tries[:20] == [403] * 20
    assert tries[-1] == 429
    assert inside.client.requests - requests <= 22
    assert (await inside.post(frame))[0] == 200  # brings what only the portal knows


async def test_a_code_is_good_once_and_a_bearer_for_its_portal_and_time(inside: Rooms) -> None:
    _, text, _ = await inside.post(inside.opening("app", 1))
    code = code_of(text)
    assert (await asked(inside, "session", "POST", X_One_Time_Code=code, portal="other"))[0] == 401
    _, text, _ = await inside.post(inside.opening("app", 1))
    code = code_of(text)
    status, told = await asked(inside, "session", "POST", X_One_Time_Code=code)
    assert (status, told["badge"]) == (200, "")
    assert 800 < told["seconds"] <= 900
    assert (await asked(inside, "session", "POST", X_One_Time_Code=code))[0] == 401
    bearer = f"Bearer {told['bearer']}"
    assert (await asked(inside, "inside/app", Authorization=bearer))[0] == 200
    assert (await asked(inside, "inside/app", Authorization=bearer, portal="other"))[0] == 401
    for wrong in ("", "Bearer", "Bearer x", f"Bearer {told['bearer'][:-4]}AAAA", "Basic YTpi", bearer + "é"):
        assert (await asked(inside, "inside/app", Authorization=wrong))[0] in (400, 401)
    assert (await asked(inside, "inside/analytics", Authorization=bearer))[0] == 404  # another page's
    inside.clock.ahead += 600
    status, told = await asked(inside, "session", "POST", Authorization=bearer)
    assert status == 200
    inside.clock.ahead += 600
    assert (await asked(inside, "inside/app", Authorization=bearer))[0] == 401
    renewed = f"Bearer {told['bearer']}"
    assert (await asked(inside, "inside/app", Authorization=renewed))[0] == 200
    inside.gone.add("1")
    assert (await asked(inside, "inside/app", Authorization=renewed))[0] == 403
    inside.gone.clear()
    for _ in range(80):  # used all day: the portal has to vouch again
        status, told = await asked(inside, "session", "POST", Authorization=renewed)
        if status != 200:
            break
        renewed = f"Bearer {told['bearer']}"
        inside.clock.ahead += 700
    assert (status, told["error"]) == (401, "session_expired")


async def test_an_old_code_is_worth_nothing(inside: Rooms) -> None:
    _, text, _ = await inside.post(inside.opening("app"))
    inside.clock.ahead += 61
    assert (await asked(inside, "session", "POST", X_One_Time_Code=code_of(text)))[0] == 401


async def test_a_badge_is_no_session_and_a_session_is_no_badge(inside: Rooms) -> None:
    bearer = await session_of(inside, "app")
    badge = inside.badges.issue(Employee("main", "11", "main", "101"))
    assert (await asked(inside, "inside/app", Authorization=f"Bearer {badge}"))[0] == 401
    async with aiohttp.ClientSession(headers={"Authorization": bearer}) as session:
        async with session.get(f"{inside.url}/api/calls") as answer:
            assert answer.status in (401, 403, 404)
        async with session.get(f"{inside.url}/status") as answer:
            assert answer.status != 500


async def test_administrators_see_the_portal_and_others_their_own(inside: Rooms) -> None:
    inside.config = PortalSettings.model_validate(
        {"name": "main", "domain": "x.bitrix24.ru", "client_id": "local.1", "client_secret": "env:NONE",
         "public_url": "https://pbx.example.com", "fallback_user": "11", "report_page": False}
    )  # fmt: skip
    await many(inside.database, 30, time.time())
    _, text, _ = await inside.post(inside.opening("app", 1))
    assert "Телефония этого портала" in text
    assert 'href="/settings" target="_blank" rel="noopener"' in text
    assert "Иван Иванов" in text
    assert "env:NONE" not in text
    _, text, _ = await inside.post(inside.opening("app", 11, language="en"))
    assert "My calls today" in text
    assert "/settings" not in text
    assert "Телефония" not in text


async def test_nothing_is_seen_of_another_company_with_the_same_extensions(inside: Rooms) -> None:
    at = time.time() - 1

    def row(place: str, number: int, outcome: str, talker: str, portal: str = "") -> dict[str, Any]:
        return {
            "id": f"{place}-{number}", "pbx": place, "portal": portal, "direction": "incoming", "client": f"+7916{place}{number}",
            "line": "", "started": at, "ended": at, "outcome": outcome, "duration": 0.0, "last_talker": talker, "live": False,
            "state": '{"rung": ["101"]}', "plan": "{}",
        }  # fmt: skip

    rows = [row(place, 1, "answered", "101") for place in ("main", "other")]
    rows += [row(place, 2, "missed", "") for place in ("main", "other")]

    async def store(conn: AsyncConnection) -> None:
        await conn.execute(call_table.insert(), rows)

    await inside.database.write(store)
    _, text, _ = await inside.post(inside.opening("app", 11))
    assert "+7916main1" in text and "+7916main2" in text
    assert "other" not in text
    pbxs = tuple(PbxStatus(name, "connecting", at, last_error="Connection refused") for name in ("main", "theirs"))
    inside.status_now = Status("0.1.0", at, at - 60, pbxs=pbxs)
    _, text, _ = await inside.post(inside.opening("app", 1))
    assert "asterisk main" in text
    assert "theirs" not in text


async def test_a_card_opened_before_somebody_else_answered_shows_no_more_of_his_call(inside: Rooms) -> None:
    """Over the portal's own line: whoever posts the client's number is shown the card only until a colleague talks."""
    record, _ = whole_call(time.time())
    live = [record]
    exchange = SimpleNamespace(
        settings=SimpleNamespace(name="main"),
        numbering=SimpleNamespace(international=str),
        switchboard=SimpleNamespace(tracker=SimpleNamespace(live=lambda: live)),
        control=SimpleNamespace(look=lambda call: None),
    )
    people = [StaffMember(user, user, extension) for user, extension in (("11", "101"), ("12", "102"), ("13", "103"))]
    house: Any = SimpleNamespace(
        portals={"main": SimpleNamespace(directory=Directory.of(people, 1.0))},
        exchanges={"main": exchange},
        settings=SimpleNamespace(portal_of=lambda pbx: SimpleNamespace(name="main")),
    )
    door = PortalRooms(inside.database, lambda: house)
    card = CardContext("", CLIENT, CALL)
    assert await door.call_of("main", "13", card) is None
    mine = await door.call_of("main", "11", card)
    assert mine is not None and mine.live is record
    live.clear()
    over = await door.call_of("main", "11", card)
    assert over is not None and over.live is None


async def test_a_talk_with_another_company_is_no_call_back_of_ours(inside: Rooms) -> None:
    rows = [
        {"id": f"{portal}-{number}", "pbx": portal, "portal": portal, "direction": "incoming", "client": "+79160000001",
         "line": "", "started": 100.0 + number, "ended": 200.0, "outcome": outcome, "duration": 0.0, "last_talker": talker,
         "live": False, "state": "{}", "plan": "{}"}
        for portal, number, outcome, talker in (("main", 1, "missed", ""), ("other", 2, "answered", "102"))
    ]  # fmt: skip

    async def store(conn: AsyncConnection) -> None:
        await conn.execute(call_table.insert(), rows)

    await inside.database.write(store)
    async with inside.database.read() as conn:
        [share] = await shares(conn, "main", [0.0], 1000.0)
    assert (share.clients, share.back, share.by) == (1, 0, "")


async def test_the_directory_is_searched_by_name_extension_and_code(inside: Rooms) -> None:
    bearer = await session_of(inside, "card")

    async def found(words: str) -> str:
        status, text = await asked(inside, f"inside/people?q={words}", Authorization=bearer)
        assert status == 200
        return str(text)

    assert 'data-number="102"' in await found("петр")
    assert 'data-number="101"' not in await found("иванов")  # himself
    assert 'data-code="12"' in await found("12")
    text = await found("%2B79161234567")
    assert 'data-number="+79161234567"' in text
    assert "data-code" not in text
    text = await found(HOSTILE.replace("#", "").replace("&", ""))
    assert "<script" not in text
    assert 'class="choice"' not in await found("")
    other = await session_of(inside, "app")
    assert (await asked(inside, "inside/people?q=12", Authorization=other))[0] == 404


async def test_the_report_counts_a_client_once_and_its_file_is_harmless(inside: Rooms) -> None:
    at = time.time() - 60

    def row(
        number: int, client: str, outcome: str, ago: float, talker: str = "", line: str = "+74951234567"
    ) -> dict[str, Any]:
        return {
            "id": f"main-{number}", "pbx": "main", "portal": "main", "direction": "incoming", "client": client, "line": line,
            "started": at - ago, "ended": at - ago + 5, "outcome": outcome, "duration": 0.0, "last_talker": talker,
            "live": False, "state": "{}", "plan": "{}",
        }  # fmt: skip

    rows = [
        row(1, "+79160000001", "missed", 900, line="=1+1"),
        row(2, "+79160000001", "missed", 800, line="=1+1"),
        row(3, "+79160000001", "answered", 300, "102"),
        row(4, "+79160000002", "missed", 700),
        row(5, "", "missed", 600),
    ]

    async def store(conn: AsyncConnection) -> None:
        await conn.execute(call_table.insert(), rows)

    await inside.database.write(store)
    bearer = await session_of(inside, "analytics")
    status, text = await asked(inside, "inside/report.csv?days=7", Authorization=bearer)
    assert status == 200
    lines = str(text).splitlines()
    assert "Сотрудник;Анна Петрова (102);2;1;1;600;600" in lines
    assert "По линии" not in text
    assert any(line.startswith("Линия;'=1+1;2;1;1") for line in lines)
    assert any(line.startswith("Линия;'+74951234567") or line.startswith("Линия;+74951234567;2;2;0;;") for line in lines)
    status, text = await asked(inside, "inside/analytics?days=30", Authorization=bearer)
    assert status == 200
    assert "Анна Петрова" in text


def test_parts_of_the_report_are_added_up() -> None:
    found = [Share(0, "L", "101", 2, 1, 1, 300.0, 300.0), Share(1, "L", "", 2, 2), Share(1, "M", "", 1, 1)]
    line, other = grouped(found, lambda one: one.line)
    assert (line.missed, line.clients, line.back, line.waiting, line.after, line.longest) == (4, 3, 1, 2, 300.0, 300.0)
    assert (line.share, line.share_back, other.share, other.after) == (100.0, 33.33, 33.33, None)


def test_keys_are_told_with_whom_they_led_to() -> None:
    facts = [
        InMenu("c", 1.0, MenuStep.BEGAN),
        InMenu("c", 2.0, MenuStep.KEY, "2"),
        InMenu("c", 3.0, MenuStep.RINGS, "2", "102"),
        MenuChosen("c", 4.0, "7"),
    ]
    assert pressed(facts, lambda number: f"<{number}>") == [Key("2", "<102>"), Key("7")]
