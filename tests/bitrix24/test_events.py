"""Events at the open door: real ones are read, forged and hostile ones are turned away with a word fit for a log."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from perezvon.bitrix24 import Portal, forms
from perezvon.bitrix24.binding import bind, bound
from perezvon.bitrix24.events import (
    ApplicationChanged,
    BadEvent,
    CallbackRequested,
    CallStartClick,
    EventError,
    Forged,
    PortalEvent,
    accept,
    offline_event,
    typed,
    verify,
)
from perezvon.sandbox.portal.php import build_form
from perezvon.sandbox.portal.server import PortalServer

FORM = "application/x-www-form-urlencoded"
TOKEN = "51856fefc120afa4b628cc82d3935cce"
CLICK = {
    "event": "ONEXTERNALCALLSTART",
    "event_handler_id": "12",
    "data": {
        "PHONE_NUMBER": "8 (916) 555-00-11",
        "PHONE_NUMBER_INTERNATIONAL": "+79165550011",
        "EXTENSION": "",
        "USER_ID": "11",
        "CALL_LIST_ID": "0",
        "LINE_NUMBER": "",
        "IS_MOBILE": "1",
        "CALL_ID": "externalCall.cc86400c92.1700000000",
        "CRM_ENTITY_TYPE": "CONTACT",
        "CRM_ENTITY_ID": "3",
    },
    "ts": "1700000001",
    "auth": {"domain": "x.bitrix24.ru", "member_id": "m1", "application_token": TOKEN, "access_token": "acc3ss"},
}


def body_of(form: dict[str, Any]) -> bytes:
    return urlencode(build_form(form)).encode()


async def test_a_click_reaches_the_handler(server: PortalServer, app: Portal) -> None:
    got: asyncio.Queue[PortalEvent] = asyncio.Queue()
    token = server.state.authority.apps[server.config.client_id].application_token

    async def handler(request: web.Request) -> web.Response:
        content = await request.read()
        got.put_nowait(
            accept(content, request.headers["Content-Type"], [token], now=5.0, member_id=server.config.member_id)
        )
        return web.Response()

    web_app = web.Application()
    web_app.router.add_post("/events", handler)
    runner = web.AppRunner(web_app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/events"
    try:
        made = await bind(app, offline=False, handler=url)
        assert (made.online, made.problems) == ({"ONEXTERNALCALLSTART", "ONEXTERNALCALLBACKSTART"}, ())
        assert await bind(app, offline=False, handler=url) == made == await bound(app, url)
        call = server.click(11, "8 (916) 555-00-11")
        click = typed(await got.get())
        assert isinstance(click, CallStartClick)
        assert (click.portal_call, click.user_id, click.international) == (call.id, "11", "+79165550011")
        assert (click.entity_type, click.key) == ("CONTACT", f"ONEXTERNALCALLSTART:{call.id}")
        server.callback("+79265550022", line="+74951234567")
        callback = typed(await got.get())
        assert isinstance(callback, CallbackRequested)
        assert (callback.number, callback.line) == ("+79265550022", "+74951234567")
    finally:
        await runner.cleanup()


def test_a_click_is_read_whole() -> None:
    event = accept(body_of(CLICK), f"{FORM}; charset=UTF-8", [TOKEN], now=1700000009.0, member_id="m1")
    click = typed(event)
    assert click == CallStartClick(
        portal_call="externalCall.cc86400c92.1700000000",
        user_id="11",
        number="8 (916) 555-00-11",
        international="+79165550011",
        extension="",
        line="",
        entity_type="CONTACT",
        entity_id="3",
        call_list_id="",
        is_mobile=True,
        at=1700000001.0,
        received=1700000009.0,
        key="ONEXTERNALCALLSTART:externalCall.cc86400c92.1700000000",
    )
    assert "acc3ss" not in repr(event)
    assert TOKEN not in repr(event)


def test_both_ways_give_the_same_key() -> None:
    online = accept(body_of(CLICK), FORM, [TOKEN], now=1.0)
    row = {"EVENT_NAME": "OnExternalCallStart", "EVENT_DATA": CLICK["data"], "TIMESTAMP_X": "2023-11-14T22:13:21+00:00"}
    queued = offline_event(row, now=1.0)
    assert queued is not None
    assert (queued.key, queued.at, queued.source) == (online.key, 1700000001.0, "offline")
    data = {"PHONE_NUMBER": "+7926", "CRM_ENTITY_ID": 5, "TEXT": "Заказ"}
    form = {"event": "ONEXTERNALCALLBACKSTART", "data": data, "ts": "7", "auth": {"application_token": TOKEN}}
    one = accept(body_of(form), FORM, [TOKEN], now=1.0)
    other = offline_event({"EVENT_NAME": "ONEXTERNALCALLBACKSTART", "EVENT_DATA": data}, now=2.0)
    assert other is not None
    assert one.key == other.key
    assert one.key != accept(body_of(form | {"data": data | {"PHONE_NUMBER": "+7927"}}), FORM, [TOKEN], now=1.0).key


@pytest.mark.parametrize(
    ("story", "expected", "changes"),
    [
        ("no token", [TOKEN], {"auth": {"domain": "x"}}),
        ("no auth at all", [TOKEN], {"auth": "x"}),
        ("another token", [TOKEN], {"auth": {"application_token": "0" * 32}}),
        ("an empty token against an empty one of ours", [""], {"auth": {"application_token": ""}}),
        ("we are not installed yet", [], {}),
        ("the token as a map", [TOKEN], {"auth": {"application_token": {"0": TOKEN}}}),
        ("another portal", [TOKEN], {"auth": {"application_token": TOKEN, "member_id": "m2"}}),
        ("half of the token", [TOKEN], {"auth": {"application_token": TOKEN[:16]}}),
    ],
)
def test_forged_events_are_turned_away(story: str, expected: list[str], changes: dict[str, Any]) -> None:
    with pytest.raises(Forged) as caught:
        accept(body_of(CLICK | changes), FORM, expected, now=0, member_id="m1")
    assert TOKEN not in str(caught.value), story


def test_any_of_several_tokens_will_do() -> None:
    assert verify(TOKEN, ["", "old", TOKEN])
    assert not verify("", ["", TOKEN])
    assert not verify("\udce9", [TOKEN])


def test_an_installation_comes_unproven_and_a_removal_must_be_proven() -> None:
    install = {
        "event": "ONAPPINSTALL",
        "data": {"VERSION": "1"},
        "auth": {"refresh_token": "r", "application_token": "new"},
    }
    event = accept(body_of(install), FORM, [TOKEN], now=0)
    assert not event.proven
    assert typed(event) == ApplicationChanged("ONAPPINSTALL", "1", event.auth)
    with pytest.raises(Forged):
        accept(body_of(install | {"event": "ONAPPUNINSTALL"}), FORM, [TOKEN], now=0)


@pytest.mark.parametrize(
    ("story", "body", "content_type"),
    [
        ("empty", b"", FORM),
        ("no event", b"data[X]=1", FORM),
        ("the event is a map", b"event[a]=ONEXTERNALCALLSTART", FORM),
        ("a name with markup", b"event=%3Cscript%3E", FORM),
        ("a very long name", b"event=" + b"A" * 500, FORM),
        ("JSON", b'{"event":"ONEXTERNALCALLSTART"}', "application/json"),
        ("a file", b"\x00\xff" * 50, "multipart/form-data; boundary=x"),
        ("too large", b"event=ONX&x=" + b"a" * forms.MAX_BODY, FORM),
        ("too many fields", b"event=ONX&" + b"a[]=1&" * 5000, FORM),
        ("too deep", b"event=ONX&a" + b"[b]" * 50 + b"=1", FORM),
        ("a very long field name", b"event=ONX&" + b"a" * 5000 + b"=1", FORM),
        ("torn brackets", b"event=ONX&a[b=1&a]b[=2", FORM),
    ],
)
def test_what_is_no_event_is_refused(story: str, body: bytes, content_type: str) -> None:
    with pytest.raises(BadEvent) as caught:
        accept(body, content_type, [TOKEN], now=0)
    assert len(str(caught.value)) < 200, story


@given(st.binary(max_size=2000), st.sampled_from([FORM, "", "text/html", "\r\nx"]))
def test_any_bytes_are_an_event_or_refused(body: bytes, content_type: str) -> None:
    with pytest.raises(EventError):
        accept(body, content_type, [TOKEN], now=0)


names = st.text("abAB01[]%.$ \x00é", max_size=30)


@given(st.lists(st.tuples(names, st.text(max_size=20)), max_size=60))
def test_any_form_is_read_within_bounds_or_refused(pairs: list[tuple[str, str]]) -> None:
    body = urlencode([*pairs, ("event", "ONX"), ("auth[application_token]", TOKEN)]).encode()
    try:
        event = accept(body, FORM, [TOKEN], now=0)
    except BadEvent:
        return
    assert (event.name, event.proven) == ("ONX", True)
    assert typed(event) is None
    assert event.key.startswith("ONX:")


@given(
    st.dictionaries(
        st.sampled_from(list(CLICK["data"])), st.none() | st.text(max_size=5) | st.just({"a": "b"}) | st.just(["c"])
    )
)
def test_odd_members_of_a_click_are_read_or_refused(data: dict[str, Any]) -> None:
    event = PortalEvent("ONEXTERNALCALLSTART", data, 0, 0, "offline", True)
    try:
        click = typed(event)
    except BadEvent:
        return
    assert isinstance(click, CallStartClick)
    assert click.portal_call
    assert int(click.user_id) > 0  # what the portal is told of a click that is refused
    assert int(click.entity_id or 0) >= 0


@pytest.mark.parametrize("user", ["x", "²", "9" * 5000, "-1", "1.0"])
def test_a_click_of_a_user_who_is_no_number_is_refused(user: str) -> None:
    with pytest.raises(BadEvent, match="USER_ID"):
        typed(accept(body_of(CLICK | {"data": CLICK["data"] | {"USER_ID": user}}), FORM, [TOKEN], now=0))


@pytest.mark.parametrize("missing", ["CALL_ID", "USER_ID"])
def test_a_click_without_what_matters_is_refused(missing: str) -> None:
    data = {key: value for key, value in CLICK["data"].items() if key != missing}
    with pytest.raises(BadEvent, match=missing):
        typed(accept(body_of(CLICK | {"data": data}), FORM, [TOKEN], now=0))


@pytest.mark.parametrize("row", [{}, {"EVENT_NAME": None}, {"EVENT_NAME": "<x>"}, {"EVENT_NAME": 5}])
def test_odd_rows_of_the_queue_are_left_out(row: dict[str, Any]) -> None:
    assert offline_event(row, now=0) is None


def test_a_row_without_data_is_an_event_without_data() -> None:
    event = offline_event({"EVENT_NAME": "ONX", "EVENT_DATA": False, "EVENT_ADDITIONAL": False}, now=7.0)
    assert event is not None
    assert (dict(event.data), event.at) == ({}, 7.0)


def test_forms_count_up_and_let_the_last_value_stand() -> None:
    assert forms.decode(b"a[]=1&a[]=2&a[7]=3&a[]=4&b=1&b=2&c=x&c[d]=y&e&=z&f[%D1%91]=%FF") == {
        "a": {"0": "1", "1": "2", "7": "3", "8": "4"},
        "b": "2",
        "c": {"d": "y"},
        "e": "",
        "f": {"ё": "\ufffd"},
    }
