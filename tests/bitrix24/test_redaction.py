"""No secret leaves: not in messages, not in reprs, not in what the observer or the log is told."""

from __future__ import annotations

import traceback
from typing import Any
from urllib.parse import quote

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted_http import ScriptedServer, answer, close, error, ok

from perezvon.bitrix24 import (
    AuthorizationServer,
    Exchange,
    GrantKeeper,
    OAuthGrant,
    Portal,
    Webhook,
    Wire,
    redact,
)
from perezvon.bitrix24.errors import PortalError
from perezvon.bitrix24.events import EventError, accept
from perezvon.bitrix24.methods import UploadSlot

secrets = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=12, max_size=32).map(lambda s: "zq" + s)


@pytest.mark.parametrize(
    "text",
    [
        "https://x.bitrix24.ru/rest/1/{}/profile",
        "https://x.bitrix24.ru/rest/api/1/{}/tasks.task.get",
        "POST /rest/17/{} HTTP/1.1",
        "auth={}&CALL_ID=1",
        "https://x/rest/profile?auth={}",
        '{{"access_token": "{}"}}',
        "{{'refresh_token': '{}'}}",
        "auth[application_token]={}&x=1",
        "auth%5Baccess_token%5D={}",
        "client_secret={}",
        '\\"AUTH_ID\\":\\"{}\\"',
        "REFRESH_ID: {}",
        "Authorization: Bearer {}",
        "http://user:{}@proxy:3128",
        "uploadUrl: https://x/rest/upload.json?auth={}&token=7",
    ],
)
def test_the_shapes_of_secrets_are_known(text: str) -> None:
    shown = redact(text.format("zqsecret12345"))
    assert "zqsecret12345" not in shown
    assert "***" in shown


@given(secrets, st.text(max_size=20), st.text(max_size=20))
def test_a_known_secret_goes_wherever_it_stands(secret: str, before: str, after: str) -> None:
    assert secret not in redact(f"{before}{secret}{after}", [secret])
    odd = secret + "/+ %"
    assert quote(odd, safe="") not in redact(f"{before}{quote(odd, safe='')}{after}", [odd])


def test_ordinary_text_stays() -> None:
    text = "telephony.externalCall.finish: no such call (ERROR_CORE: Call is not found), USER_ID=12, +79161234567"
    assert redact(text) == text
    assert redact(text, ["", "a", "No"]) == text


@given(secrets, secrets, secrets, secrets)
def test_no_repr_shows_a_secret(one: str, two: str, three: str, four: str) -> None:
    hook = Webhook.parse(f"https://x.bitrix24.ru/rest/1/{one}/")
    grant = OAuthGrant("x.bitrix24.ru", "local.1", one, access_token=two, refresh_token=three, application_token=four)
    shown = f"{hook!r} {hook} {grant!r} {grant} {[grant]} {UploadSlot(f'https://x/?auth={two}', 'file')!r}"
    for secret in (one, two, three, four):
        assert secret not in shown
    assert OAuthGrant.from_json(grant.as_json()) == grant


def quoting(*texts: str) -> list[Any]:
    """A portal that throws everything it was given back at us."""
    told = " ".join(texts)
    return [
        error("ERROR_CORE", f"you sent {told}"),
        error(told, "odd", 403),
        answer(f"<html><title>{told}</title></html>", 502, "text/html"),
        answer({"error": {"code": "X", "message": told}}, 400),
        answer("", 302, Location=f"/login?auth={texts[0]}"),
        close,
        ok(),
    ]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hook=secrets, access=secrets, refresh=secrets, client=secrets, app=secrets)
async def test_no_error_log_or_observation_shows_a_secret(
    hook: str, access: str, refresh: str, client: str, app: str
) -> None:
    every = (hook, access, refresh, client, app)
    said: list[str] = []

    def observe(exchange: Exchange) -> None:
        said.append(repr(exchange))

    with structlog.testing.capture_logs() as logged:
        async with ScriptedServer() as server:
            host = server.url.removeprefix("http://")
            grant = OAuthGrant(
                host,
                "local.1",
                client,
                access_token=access,
                refresh_token=refresh,
                application_token=app,
                client_endpoint=f"{server.url}/rest/",
                server_endpoint=f"{server.url}/rest/",
            )
            keeper = GrantKeeper(grant, server=AuthorizationServer(trusted=frozenset({host})))
            for identity in (Webhook.parse(f"{server.url}/rest/1/{hook}/"), keeper):
                async with Portal("main", identity, wire=Wire(total=5), observer=observe) as portal:
                    known = portal.address.secrets
                    for act in quoting(*known):
                        server.script[:] = [act]
                        try:
                            await portal.call("x.y", {"text": "hello"})
                        except PortalError as problem:
                            said.append("".join(traceback.format_exception(problem)))
                            said.append(repr(problem.as_json()) + repr(vars(problem)))
                            assert problem.__cause__ is None
                            assert problem.__context__ is None
                    server.script[:] = [error("expired_token", status=401)]
                    with pytest.raises(PortalError) as caught:
                        await portal.call("x.y")
                    said.append("".join(traceback.format_exception(caught.value)))
        body = f"event=ONEXTERNALCALLSTART&auth[application_token]={access}&auth[domain]={refresh}".encode()
        try:
            accept(body, "application/x-www-form-urlencoded", [app], now=0)
        except EventError as problem:
            said.append(str(problem).replace(refresh, ""))  # the sender's own claim of a domain is shown on purpose
    text = "\n".join(said) + repr(logged)
    for secret in every:
        assert secret not in text


def test_a_webhook_that_is_none_is_not_quoted() -> None:
    for address in (
        "https://x.bitrix24.ru/rest/zqsecret12345/",
        "x.bitrix24.ru/rest/1/zqsecret12345/",
        "https://x.bitrix24.ru:port/rest/1/zqsecret12345/",
        "ftp://x/rest/1/zqsecret12345/",
    ):
        with pytest.raises(ValueError, match="webhook") as caught:
            Webhook.parse(address)
        assert "zqsecret12345" not in "".join(traceback.format_exception(caught.value))
