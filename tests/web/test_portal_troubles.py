"""Each weather of a portal on the page and in /status: what is happening, since when, and what to do; in both languages."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

import pytest
from test_web_app import NOW, WELL

from perezvon.bitrix24.errors import PortalError, PortalMoved, refusal
from perezvon.bitrix24.remedy import remedy
from perezvon.doctor import Check, State
from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import told
from perezvon.web import PausedMethod, PortalStatus, QueueStatus
from perezvon.web.translations import catalog
from perezvon.web.troubles import troubles

PORTAL = WELL.portals[0]
SINCE = NOW - 3 * 3600
MOMENT = datetime.fromtimestamp(SINCE).astimezone().strftime("%Y-%m-%d %H:%M")
FINISH = "telephony.externalCall.finish"


def refused(code: str, text: str = "", status: int = 403) -> PortalError:
    return refusal(code=code, description=text, status=status, method="batch")


def in_trouble(state: str, error: PortalError, *, application: bool = True) -> PortalStatus:
    return replace(
        PORTAL,
        state=state,
        since=SINCE,
        last_error=error.why,
        fix=remedy(error, application=application),
        queue=(QueueStatus("finish", 40), QueueStatus("records", 20)),
        oldest=SINCE,
    )


def paused(error: PortalError, *, limited: bool) -> PortalStatus:
    method = PausedMethod(FINISH, SINCE, error.why, remedy(error, application=True), limited)
    return replace(PORTAL, paused_methods=(method,), oldest=SINCE)


@pytest.mark.parametrize(
    ("portal", "name", "state", "seen", "fix"),
    [
        (
            in_trouble("unreachable", PortalError("no connection to example.bitrix24.ru:443")),
            "portal.state",
            State.PROBLEM,
            [f"since {MOMENT}", "no connection", "60 requests wait, none is lost"],
            "address",
        ),
        (in_trouble("blocked", refused("PORTAL_DELETED")), "portal.state", State.PROBLEM, [MOMENT], "another address now"),
        (in_trouble("blocked", refused("OVERLOAD_LIMIT")), "portal.state", State.PROBLEM, [MOMENT], "support"),
        (in_trouble("blocked", refused("invalid_token")), "portal.state", State.PROBLEM, [MOMENT], "install the local"),
        (
            in_trouble("blocked", refused("NO_AUTH_FOUND"), application=False),
            "portal.state",
            State.PROBLEM,
            [MOMENT, "60 requests wait"],
            "make a new incoming webhook",
        ),
        (
            in_trouble("blocked", PortalMoved("moved", location="https://new.bitrix24.ru"), application=False),
            "portal.state",
            State.PROBLEM,
            [MOMENT],
            "if https://new.bitrix24.ru is your portal",
        ),
        (
            replace(PORTAL, moved_from="old.bitrix24.ru"),
            "portal.moved",
            State.WARNING,
            ["from old.bitrix24.ru to example.bitrix24.ru"],
            "put example.bitrix24.ru into the settings",
        ),
        (in_trouble("paused", refused("QUERY_LIMIT_EXCEEDED")), "portal.pause", State.WARNING, ["60 wait"], "who else"),
        (
            paused(refused("OPERATION_TIME_LIMIT"), limited=True),
            "portal.method",
            State.WARNING,
            [FINISH, f"until {MOMENT}"],
            "nothing needs",
        ),
        (
            paused(refused("insufficient_scope"), limited=False),
            "portal.method",
            State.PROBLEM,
            [FINISH, "scope", "none is lost"],
            "permissions",
        ),
        (
            replace(PORTAL, forgotten=7, forgotten_last=SINCE),
            "portal.forgotten",
            State.WARNING,
            ["7 calls", MOMENT, "backup", "told anew"],
            "statistics",
        ),
        (replace(PORTAL, oldest=NOW - 100), "portal.queue", State.WARNING, ["2 requests wait"], "drain by themselves"),
    ],
)
def test_what_is_said(portal: PortalStatus, name: str, state: State, seen: list[str], fix: str) -> None:
    (check,) = troubles(replace(WELL, portals=(portal,)))
    assert (check.name, check.state, check.subject) == (name, state, "portal main")
    for part in seen:
        assert part in str(check.seen)
    assert fix in str(check.fix)
    for text in in_russian(check):
        assert re.search("[а-я]{4}", text)
        assert "{" not in text


def in_russian(check: Check) -> list[str]:
    translate = catalog("ru").gettext
    assert check.fix is not None
    return [told(check.seen, translate), told(check.fix, translate)]


def test_one_cause_is_one_trouble() -> None:
    """While the portal is away its employees and events cannot be had either: that is not news."""
    away = replace(
        in_trouble("unreachable", PortalError("no connection")),
        directory_problem="the employees could not be read",
        events=replace(PORTAL.events, error="offline events cannot be read"),
    )
    assert [check.name for check in troubles(replace(WELL, portals=(away,)))] == ["portal.state"]


def test_it_is_not_told_for_ever_that_a_portal_forgot() -> None:
    old = replace(PORTAL, forgotten=7, forgotten_last=NOW - 4 * 86400)
    assert troubles(replace(WELL, portals=(old,))) == []


def test_what_the_portal_does_not_tell_autoconnect() -> None:
    status = replace(WELL, dialplan=replace(WELL.dialplan, untold={"main": "timeman.status: insufficient_scope"}))
    [trouble] = [check for check in troubles(status) if check.name == "autoconnect"]
    assert (trouble.subject, trouble.state) == ("portal main", State.WARNING)
    assert "insufficient_scope" in str(trouble.seen)
    assert troubles(WELL) == []


def test_no_secret_comes_with_a_message_that_is_translated() -> None:
    error = PortalError(Reason("no connection to {host}:{port}: {why}", {"host": "h", "port": "1", "why": "auth=abcdefgh"}))
    error.scrub(["h1dden-value"])
    for language in ("en", "ru"):
        assert "abcdefgh" not in told(error.why, catalog(language).gettext)
    assert str(error) == "no connection to h:1: auth=***"
    quoting = PortalError(
        Reason("{method}: {why}", {"method": "m", "why": Reason("the connection broke: {why}", {"why": "s3cret"})})
    )
    assert told(quoting.scrub(["s3cret"]).why, catalog("ru").gettext) == "m: связь оборвалась: ***"
