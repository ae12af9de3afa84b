"""Which class every documented refusal becomes: the class is what the caller can do about it."""

from __future__ import annotations

import pickle

import pytest

from perezvon.bitrix24 import errors
from perezvon.bitrix24.answers import read_answer
from perezvon.bitrix24.errors import OperationLimited, PortalError, refusal

APP_ONLY = "Current authorization type is denied for this method"


@pytest.mark.parametrize(
    ("status", "code", "description", "expected"),
    [
        # the portal's own table of errors (contract.json, system_errors)
        (500, "INTERNAL_SERVER_ERROR", "Internal server error", "Ambiguous"),
        (500, "ERROR_UNEXPECTED_ANSWER", "Server returned an unexpected response", "Ambiguous"),
        (503, "QUERY_LIMIT_EXCEEDED", "Too many requests", "RateLimited"),
        (429, "OPERATION_TIME_LIMIT", "", "OperationLimited"),
        (405, "ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage", "Permanent"),
        (400, "ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded", "NotSent"),
        (401, "NO_AUTH_FOUND", "Wrong authorization data", "AuthRefused"),
        (400, "INVALID_REQUEST", "Https required", "PortalBlocked"),
        (503, "OVERLOAD_LIMIT", "REST API is blocked due to overload", "PortalBlocked"),
        (403, "ACCESS_DENIED", "REST API is available only on commercial plans", "PortalBlocked"),
        (403, "INVALID_CREDENTIALS", "Invalid request credentials", "AuthRefused"),
        (404, "ERROR_MANIFEST_IS_NOT_AVAILABLE", "Manifest is not available", "NotFound"),
        (403, "insufficient_scope", "The request requires higher privileges than provided", "MissingScope"),
        (401, "expired_token", "The access token provided has expired", "TokenExpired"),
        (401, "invalid_token", "", "TokenExpired"),
        (403, "user_access_error", "The user does not have access to the application", "AuthRefused"),
        (500, "PORTAL_DELETED", "Portal was deleted", "PortalBlocked"),
        (403, "WRONG_AUTH_TYPE", APP_ONLY, "AppContextRequired"),
        (401, "METHOD_CONFIRM_WAITING", "Waiting for confirmation", "Temporary"),
        (403, "METHOD_CONFIRM_DENIED", "Method call denied", "Forbidden"),
        (404, "ERROR_METHOD_NOT_FOUND", "Method not found!", "MethodNotFound"),
        (400, "ERROR_ARGUMENT", "", "BadParameters"),
        # telephony, where the meaning is in the text
        (400, "ERROR_CORE", "Call is not found (call should be registered prior to finishing)", "CallNotFound"),
        (400, "", "Call is not found (call should be registered prior to finishing)", "CallNotFound"),
        (
            400,
            "ERROR_CORE",
            "Call is not found in the statistic table. It looks like it is not finished yet.",
            "CallNotFound",
        ),
        (400, "ERROR_CORE", "Call externalCall.ab.1 is not found. Is it finished?", "CallNotFound"),
        (400, "ERROR_CORE", "User is not found or is not active", "UserNotFound"),
        (400, "ERROR_CORE", "USER_ID or USER_PHONE_INNER should be set.", "UserNotFound"),
        (400, "ERROR_CORE", "Unexpected database error", "Ambiguous"),
        (400, "ERROR_CORE", "Unsupported phone number format.", "BadParameters"),
        (400, "ERROR_CORE", "Wrong file extension. Only wav and mp3 are allowed", "BadParameters"),
        (400, "ERROR_CORE", "Server returns HTTP error code 404", "Temporary"),
        (400, "ERROR_CORE", "Line already exists", "AlreadyExists"),
        (400, "ERROR_CORE", "Could not find line with number 74951234567", "NotFound"),
        (403, "ACCESS_DENIED", "Access denied! Application context required", "AppContextRequired"),
        (403, "ACCESS_DENIED", "Access denied! Offline events binding requires administrator access rights", "Forbidden"),
        (400, "ERROR_EVENT_NOT_FOUND", "Event not found", "NotFound"),
        # a command of a batch comes without a status of its own
        (200, "WRONG_AUTH_TYPE", APP_ONLY, "AppContextRequired"),
        (200, "", "Access denied.", "Forbidden"),
        (200, "", "Something odd", "BadParameters"),
        # never seen: the status decides
        (500, "STRANGE", "", "Ambiguous"),
        (503, "STRANGE", "", "Temporary"),
        (429, "STRANGE", "", "Temporary"),
        (401, "STRANGE", "", "AuthRefused"),
        (403, "STRANGE", "", "Forbidden"),
        (418, "STRANGE", "", "BadParameters"),
    ],
)
def test_the_class_of_a_refusal(status: int, code: str, description: str, expected: str) -> None:
    error = refusal(code=code, description=description, status=status, method="x.y")
    assert type(error).__name__ == expected
    assert (error.code, error.description, error.method) == (code, description, "x.y")
    assert str(error).startswith("x.y: ")


def test_the_third_version_writes_errors_as_objects() -> None:
    body = (
        b'{"error":{"code":"BITRIX_REST_V3_EXCEPTION_VALIDATION","message":"wrong",'
        b'"validation":[{"field":"text","message":"empty"},7]}}'
    )
    error = read_answer(body, 400, "application/json", "tasks.task.chat.message.send")
    assert isinstance(error, errors.BadParameters)
    assert error.argument == "text"


def test_the_end_of_an_operating_limit_is_kept() -> None:
    body = b'{"error":"OPERATION_TIME_LIMIT","time":{"operating_reset_at":1700000060}}'
    error = read_answer(body, 429, "application/json", "x.y")
    assert isinstance(error, OperationLimited)
    assert error.reset_at == 1700000060


def test_errors_travel_between_processes() -> None:
    """Hooks run in a worker process."""
    error = refusal(code="QUERY_LIMIT_EXCEEDED", description="Too many", status=503, method="x.y")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.as_json()) == (type(error), str(error), error.as_json())


def test_the_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    drawn: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        head, mark, rest = line.partition("── ")
        if mark:
            drawn.append((len(head) // 4 + 1, rest.split()[0]))
    parents = ["PortalError"]
    seen = {"PortalError"}
    for depth, name in drawn:
        kind = getattr(errors, name)
        assert kind.__bases__[0].__name__ == parents[depth - 1], name
        parents[depth:] = [name]
        seen.add(name)
    assert seen == {n for n, k in vars(errors).items() if isinstance(k, type) and issubclass(k, PortalError)}
