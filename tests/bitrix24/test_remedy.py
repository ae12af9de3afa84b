"""Every error of a portal comes with something to do, and it is the right thing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from perezvon.bitrix24 import errors
from perezvon.bitrix24.errors import NotSent, PortalError, PortalMoved, refusal
from perezvon.bitrix24.remedy import remedy


def kinds(kind: type[PortalError] = PortalError) -> Iterator[type[PortalError]]:
    for below in kind.__subclasses__():
        yield below
        yield from kinds(below)


@pytest.mark.parametrize("application", [True, False])
def test_nobody_is_left_without_advice(application: bool) -> None:
    for kind in kinds():
        assert str(remedy(kind("as the test says"), application=application))
    for code in errors._BY_CODE:  # pyright: ignore[reportPrivateUsage]
        told = refusal(code=code, description="", status=400, method="profile")
        assert str(remedy(told, application=application))


@pytest.mark.parametrize(
    ("code", "text", "status", "application", "webhook"),
    [
        ("NO_AUTH_FOUND", "Wrong authorization data", 401, "install the local application anew", "a new incoming webhook"),
        ("INVALID_CREDENTIALS", "Invalid request credentials", 403, "install", "a new incoming webhook"),
        ("expired_token", "The access token provided has expired", 401, "install the local application anew", "webhook"),
        ("invalid_token", "Unable to get application by token", 401, "install the local application anew", "webhook"),
        (
            "insufficient_scope",
            "higher privileges",
            403,
            "its permissions on its page",
            "telephony, crm, user, im and task",
        ),
        ("WRONG_AUTH_TYPE", "denied", 403, "local application", "make a local application"),
        ("user_access_error", "no access", 403, "the user who installed the application", "access"),
        ("ACCESS_DENIED", "REST API is available only on commercial plans", 403, "plan", "plan"),
        ("ACCESS_DENIED", "Access denied!", 403, "give the right to the user", "give the right to the user"),
        ("PAYMENT_REQUIRED", "", 402, "pay", "pay"),
        ("OVERLOAD_LIMIT", "REST API is blocked due to overload", 503, "support", "support"),
        ("QUERY_LIMIT_EXCEEDED", "Too many requests", 503, "nothing needs to be done", "who else uses"),
        ("OPERATION_TIME_LIMIT", "", 429, "nothing needs to be done", "nothing"),
        ("PORTAL_DELETED", "Portal was deleted", 500, "another address", "another address"),
        ("INTERNAL_SERVER_ERROR", "", 500, "tried again all the time", "tried again"),
        ("INVALID_REQUEST", "Https required", 400, "address", "address"),
        ("ERROR_METHOD_NOT_FOUND", "Method not found!", 404, "update the portal", "update the portal"),
        ("METHOD_CONFIRM_WAITING", "Waiting for confirmation", 401, "approve", "approve"),
        ("invalid_client", "", 400, "client_secret", "client_secret"),
    ],
)
def test_what_to_do(code: str, text: str, status: int, application: str, webhook: str) -> None:
    error = refusal(code=code, description=text, status=status, method="telephony.externalCall.register")
    assert application in str(remedy(error, application=True))
    assert webhook in str(remedy(error, application=False))


def test_where_it_has_gone() -> None:
    moved = PortalMoved("moved", location="https://new.bitrix24.ru")
    assert "if https://new.bitrix24.ru is your portal" in str(remedy(moved, application=False))
    assert "as its domain" in str(remedy(moved, application=True))


def test_a_certificate_is_not_the_network() -> None:
    assert "(ca)" in str(remedy(NotSent("the certificate of b24.local is not accepted: self-signed"), application=False))
    assert "network" in str(remedy(NotSent("no connection to b24.local:443"), application=False))
