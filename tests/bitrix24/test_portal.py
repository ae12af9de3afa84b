"""The client and the typed methods against the pretend portal: the life of a call, its recording, pages, limits."""

from __future__ import annotations

import io
import wave
from pathlib import Path
from typing import Any

import pytest

from perezvon.bitrix24 import Answer, Bucket, Command, Portal, ResultRef, Webhook, methods
from perezvon.bitrix24.errors import (
    AlreadyExists,
    Ambiguous,
    AppContextRequired,
    AuthRefused,
    CallNotFound,
    MethodNotFound,
    OperationLimited,
    PortalError,
    RateLimited,
    Temporary,
    UserNotFound,
)
from perezvon.sandbox.portal.config import Operating, PortalConfig, Rate
from perezvon.sandbox.portal.people import User
from perezvon.sandbox.portal.server import PortalServer

CLIENT = "+79165550011"


def sound(seconds: float = 0.2) -> bytes:
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\x01\x02" * int(8000 * seconds))
    return held.getvalue()


def incoming(external: str = "perezvon-1", **changes: Any) -> dict[str, Any]:
    return methods.register(user_id=11, phone=CLIENT, call_type=2, external_call_id=external, line="+74951234567") | changes


def good(part: Answer | PortalError) -> Any:
    assert isinstance(part, Answer), part
    return part.result


async def test_the_life_of_a_call_step_by_step(app: Portal) -> None:
    answer = await app.call(methods.REGISTER, incoming())
    call = methods.read_registered(answer.result)
    assert (call.entity_type, call.lead_error) == ("CONTACT", "")
    again = methods.read_registered((await app.call(methods.REGISTER, incoming())).result)
    assert again.call_id == call.call_id
    assert (await app.call(methods.SHOW, methods.card(call.call_id, ["11", 12]))).result is True
    assert (await app.call(methods.HIDE, methods.card(call.call_id, ["12"]))).result is True
    assert await methods.statistic_find(app, call_id=call.call_id) is None
    ended = methods.finish(call.call_id, user_id="11", duration=61, status_code="200")
    finished = methods.read_finished((await app.call(methods.FINISH, ended)).result)
    assert (finished.user_id, finished.duration, finished.failed_code) == ("11", 61, "200")
    assert finished.activity_id
    with pytest.raises(CallNotFound):
        await app.call(methods.FINISH, ended)
    row = await methods.statistic_find(app, external_call_id="perezvon-1")
    assert row is not None
    assert (row.call_id, row.user_id, row.duration, row.failed_code) == (call.call_id, "11", 61, "200")
    assert row == await methods.statistic_find(app, call_id=call.call_id)
    assert (await app.call(methods.SHOW, methods.card(call.call_id, ["11"]))).result is False


async def test_a_late_call_goes_in_one_request(server: PortalServer, app: Portal) -> None:
    made = ResultRef("reg", ("CALL_ID",))
    name = 'Ёж & "Ко" <b>$result[reg][CALL_ID]</b>'
    before = server.state.journal.http_requests
    parts = await app.batch(
        [
            Command("reg", methods.REGISTER, incoming("late-1", CALL_START_DATE="2026-08-21T10:00:00+03:00")),
            Command("show", methods.SHOW, methods.card(made, [11, 12])),
            Command("hide", methods.HIDE, methods.card(made, [11, 12])),
            Command(
                "fin", methods.FINISH, methods.finish(made, user_id=12, duration=5, status_code="200", failed_reason=name)
            ),
            Command("bad", methods.FINISH, methods.finish(made, user_id=12, duration=5, status_code="200")),
        ],
        reserve=0,
    )
    call = methods.read_registered(good(parts[0]))
    assert good(parts[1]) is True
    assert good(parts[2]) is True
    assert methods.read_finished(good(parts[3])).call_id == call.call_id
    assert isinstance(parts[4], CallNotFound)
    assert server.state.journal.http_requests == before + 1
    stored = server.calls()[0]
    assert (stored.id, stored.external_id) == (call.call_id, "late-1")
    assert server.state.journal.of(methods.FINISH)[0].params["FAILED_REASON"] == name.replace("$", "$ ")


@pytest.mark.parametrize("big", [False, True])
async def test_a_recording_is_attached(server: PortalServer, app: Portal, tmp_path: Path, big: bool) -> None:
    call = methods.read_registered((await app.call(methods.REGISTER, incoming())).result)
    with pytest.raises(CallNotFound):
        await app.call(methods.ATTACH_RECORD, methods.attach_record(call.call_id, "a.wav"))
    await app.call(methods.FINISH, methods.finish(call.call_id, user_id=11, duration=1, status_code="200"))
    slot = methods.read_upload_slot(
        (await app.call(methods.ATTACH_RECORD, methods.attach_record(call.call_id, "a.wav"))).result
    )
    content = sound(30 if big else 0.2)
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    attached = await app.upload(slot.url, slot.field, "a.wav", path if big else content)
    assert methods.read_file_id(attached.result)
    row = await methods.statistic_find(app, call_id=call.call_id)
    assert row is not None
    assert row.record_file_id == methods.read_file_id(attached.result)
    stored = server.state.files.get(int(row.record_file_id))
    assert stored is not None
    assert stored.content == content


async def test_an_old_upload_address_is_asked_for_anew(server: PortalServer, app: Portal) -> None:
    call = methods.read_registered((await app.call(methods.REGISTER, incoming())).result)
    await app.call(methods.FINISH, methods.finish(call.call_id, user_id=11, duration=1, status_code="200"))
    wanted = methods.attach_record(call.call_id, "a.wav")
    slot = methods.read_upload_slot((await app.call(methods.ATTACH_RECORD, wanted)).result)
    server.state.authority.expire_access()
    with pytest.raises(Temporary, match="ask for a new one"):
        await app.upload(slot.url, slot.field, "a.wav", sound())
    slot = methods.read_upload_slot((await app.call(methods.ATTACH_RECORD, wanted)).result)
    assert methods.read_file_id((await app.upload(slot.url, slot.field, "a.wav", sound())).result)


async def test_a_file_of_the_portal_is_downloaded(server: PortalServer, app: Portal) -> None:
    call = methods.read_registered((await app.call(methods.REGISTER, incoming())).result)
    await app.call(methods.FINISH, methods.finish(call.call_id, user_id=11, duration=1, status_code="200"))
    slot = methods.read_upload_slot(
        (await app.call(methods.ATTACH_RECORD, methods.attach_record(call.call_id, "a.wav"))).result
    )
    await app.upload(slot.url, slot.field, "a.wav", sound())
    row = good(await app.call(methods.STATISTIC, methods.statistic_filter(call_id=call.call_id)))[0]
    assert await app.download(row["CALL_RECORD_URL"]) == sound()
    with pytest.raises(PortalError):
        await app.download(f"{server.url}/rest/download/99/nokey/x.wav")


async def test_a_webhook_of_a_strict_portal_may_show_but_not_register(hook: Portal) -> None:
    with pytest.raises(AppContextRequired):
        await hook.call(methods.REGISTER, incoming())
    assert (await hook.call(methods.SHOW, methods.card("externalCall.x.1", [11]))).result is False


async def test_wrong_things_are_told_apart(app: Portal) -> None:
    with pytest.raises(UserNotFound):
        await app.call(methods.REGISTER, incoming(USER_ID=9999))
    with pytest.raises(MethodNotFound):
        await app.call("telephony.no.such.method")
    await methods.add_line(app, "+74951234567", "Отдел продаж")
    with pytest.raises(AlreadyExists):
        await methods.add_line(app, "+74951234567", "Отдел продаж")
    assert [(line.number, line.name) for line in await methods.lines(app)] == [("+74951234567", "Отдел продаж")]


async def test_a_wrong_webhook_is_refused(server: PortalServer) -> None:
    async with Portal("main", Webhook.parse(f"{server.url}/rest/1/wrongsecret1/")) as portal:
        with pytest.raises(AuthRefused):
            await portal.call("profile")


async def test_who_we_are(server: PortalServer, app: Portal) -> None:
    me = await methods.profile(app)
    assert (me.id, me.admin) == ("1", True)
    info = await methods.app_info(app)
    assert (info.code, info.installed) == (server.config.client_id, True)
    assert "telephony" in await methods.granted_scopes(app)
    assert await methods.server_time(app) == pytest.approx(server.state.now(), abs=2)
    assert await methods.feature(app, "rest_offline_extended") is True


async def test_all_employees_come_page_by_page(server: PortalServer, app: Portal) -> None:
    for number in range(1000, 1170):
        server.state.people.add(User(number, "Имя", f"Фамилия{number}", extension=str(number), mobile="8 916 000-00-00"))
    before = server.state.journal.http_requests
    users = await methods.users(app)
    assert server.state.journal.http_requests == before + 2
    assert len(users) == len({user.id for user in users}) == 170 + 7  # the dismissed one is not among them
    last = users[-1]
    assert (last.id, last.extension, last.phones, last.name) == ("1169", "1169", ("8 916 000-00-00",), "Фамилия1169 Имя")


@pytest.mark.parametrize("config", [PortalConfig(rate=Rate(2, 5))])
async def test_a_refusal_for_the_rate_closes_our_bucket(server: PortalServer) -> None:
    async with Portal("main", Webhook.parse(server.webhook_url), bucket=Bucket(2, 50)) as portal:
        with pytest.raises(RateLimited) as caught:
            for _ in range(20):
                await portal.call("profile")
        assert portal.requests <= 7
        assert portal.bucket.tokens() <= 0
        assert caught.value.retry_after


@pytest.mark.parametrize("config", [PortalConfig(operating=Operating(budget=10, costs={"user.get": 6}))])
async def test_a_method_without_working_time_left_pauses_alone(server: PortalServer, app: Portal) -> None:
    await app.call("user.get")
    await app.call("user.get")
    assert app.operating.used("user.get") > 0
    with pytest.raises(OperationLimited) as caught:
        await app.call("user.get")
    until = app.operating.paused_until("user.get")
    assert until is not None
    assert caught.value.reset_at == until > server.state.now()
    assert app.operating.paused_until("profile") is None
    await app.call("profile")


async def test_work_done_without_an_answer_is_ambiguous_and_can_be_looked_up(server: PortalServer, app: Portal) -> None:
    call = methods.read_registered((await app.call(methods.REGISTER, incoming())).result)
    for fault in ("dropped_answer", "malformed"):
        server.state.faults.plan(fault, method=methods.FINISH)
        with pytest.raises((Ambiguous, CallNotFound)) as caught:
            await app.call(methods.FINISH, methods.finish(call.call_id, user_id=11, duration=9, status_code="200"))
        assert isinstance(caught.value, Ambiguous)
        row = await methods.statistic_find(app, call_id=call.call_id)
        assert row is not None
        assert row.duration == 9
        call = methods.read_registered((await app.call(methods.REGISTER, incoming("perezvon-2"))).result)


def test_statistic_needs_exactly_one_id() -> None:
    with pytest.raises(ValueError, match="exactly one"):
        methods.statistic_filter()
    with pytest.raises(ValueError, match="exactly one"):
        methods.statistic_filter(call_id="a", external_call_id="b")


@pytest.mark.parametrize("result", [None, [], {}, {"CALL_ID": None}, "x", {"CALL_ID": {}}])
def test_a_register_without_a_call_id_is_ambiguous(result: Any) -> None:
    with pytest.raises(Ambiguous):
        methods.read_registered(result)


def test_numbers_come_as_strings_or_not() -> None:
    given = {
        "ID": 7,
        "CALL_ID": "c",
        "PORTAL_USER_ID": "11",
        "CALL_DURATION": "61",
        "CRM_ACTIVITY_ID": 0,
        "CALL_START_DATE": {},
    }
    finished = methods.read_finished(given | {"ERRORS": {"ACTIVITY_CREATION": "no object"}})
    assert finished == methods.Finished("7", "c", "11", 61, "", "", ("no object",))
    assert methods.read_finished([]).call_id == ""
