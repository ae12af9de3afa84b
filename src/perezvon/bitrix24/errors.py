"""What can go wrong between us and a portal, sorted by what the caller can do about it.

PortalError
├── NotSent              no connection, DNS, TLS, or a batch halted before this command: safe to repeat at once
├── Ambiguous            sent, but the answer was not seen or not readable: the work may be done. Check before repeating
├── Temporary            the portal refused or could not, nothing was done: repeat after `retry_after` seconds
├── RateLimited          503 QUERY_LIMIT_EXCEEDED, refused before any work: the whole portal pauses
├── OperationLimited     429 OPERATION_TIME_LIMIT, refused before any work: this `method` pauses until `reset_at`
├── Permanent            the same request will never succeed
│   ├── BadParameters    a parameter is wrong (`argument` names it when the portal did)
│   ├── Forbidden        this user, this application or this plan must not
│   ├── NotFound         the object is not there
│   │   ├── CallNotFound     no live call (finish) or no finished one (attachRecord) with this CALL_ID
│   │   ├── UserNotFound     the employee is unknown or not active
│   │   └── MethodNotFound   the portal does not know the method
│   └── AlreadyExists    the object (a line, a handler) is there already
├── AuthRefused          wrong, revoked or expired credentials: nothing goes until somebody repairs them
│   ├── TokenExpired     the access token is over and a refresh did not help (the client refreshes by itself first)
│   ├── MissingScope     the webhook or the application lacks a permission
│   └── AppContextRequired   the method wants an application's token and we came with a webhook
├── PortalMoved          the portal says that it is at another address (`location`), and we may not follow by ourselves
└── PortalBlocked        plan, deletion, overload, or something that is not Bitrix24 answers: a human has to look

No message carries a token or a webhook's secret: every text passes through `redact`, at the client with its own secrets.
Sources: contract.json (system_errors, conventions, limits), from the REST documentation; texts count where codes are empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Self

from perezvon.bitrix24.redaction import redact
from perezvon.rules.vocabulary import Reason


class PortalError(Exception):
    """`code` and `description`: as the portal gave them. `status`: HTTP status, 0 when there was no answer. `why`: the
    message, to be translated; `str()` gives it in English.

    `retry_after`: seconds to wait before the next try where that is known, else None.
    """

    def __init__(
        self,
        message: str | Reason,
        *,
        code: str = "",
        description: str = "",
        status: int = 0,
        method: str = "",
        retry_after: float | None = None,
    ) -> None:
        self.code = redact(code)
        self.description = redact(description)
        self.status = status
        self.method = method
        self.retry_after = retry_after
        self.why = _clean(message)
        super().__init__(str(self.why))

    def scrub(self, secrets: Iterable[str]) -> Self:
        """Takes these values out too, wherever a portal may have quoted them."""
        secrets = tuple(secrets)
        self.code, self.description = redact(self.code, secrets), redact(self.description, secrets)
        self.why = _clean(self.why, secrets)
        self.args = (str(self.why),)
        return self

    def as_json(self) -> dict[str, Any]:
        """For the step's stored result and for `--json` outputs."""
        return {
            "error": type(self).__name__,
            "code": self.code,
            "description": self.description,
            "status": self.status,
            "method": self.method,
            "message": str(self),
        }


class NotSent(PortalError):
    """The request did not leave: safe to repeat."""


class Ambiguous(PortalError):
    """The request left, its fate is unknown."""


class Temporary(PortalError):
    """Nothing was done; try again later."""

    def __init__(self, message: str | Reason, *, retry_after: float | None = 5.0, **rest: Any) -> None:
        super().__init__(message, retry_after=retry_after, **rest)


class RateLimited(PortalError):
    """Too many requests from our address. The portal gives no waiting time: `Bucket.penalise` does."""


class OperationLimited(PortalError):
    """`reset_at`: POSIX seconds, UTC, when the oldest basket of `method` drops; None when the portal did not say."""

    def __init__(self, message: str | Reason, *, reset_at: float | None = None, **rest: Any) -> None:
        self.reset_at = reset_at
        super().__init__(message, **rest)


class Permanent(PortalError):
    """Repeating is useless."""


class BadParameters(Permanent):
    def __init__(self, message: str | Reason, *, argument: str = "", **rest: Any) -> None:
        self.argument = argument
        super().__init__(message, **rest)


class Forbidden(Permanent):
    pass


class NotFound(Permanent):
    pass


class CallNotFound(NotFound):
    pass


class UserNotFound(NotFound):
    pass


class MethodNotFound(NotFound):
    pass


class AlreadyExists(Permanent):
    pass


class AuthRefused(PortalError):
    pass


class TokenExpired(AuthRefused):
    pass


class MissingScope(AuthRefused):
    pass


class AppContextRequired(AuthRefused):
    pass


class PortalMoved(PortalError):
    """`location`: scheme and host that the portal pointed to."""

    def __init__(self, message: str | Reason, *, location: str = "", **rest: Any) -> None:
        self.location = redact(location)
        super().__init__(message, **rest)


class PortalBlocked(PortalError):
    def __init__(self, message: str | Reason, *, retry_after: float | None = 300.0, **rest: Any) -> None:
        super().__init__(message, retry_after=retry_after, **rest)


_BY_CODE: dict[str, tuple[type[PortalError], Reason]] = {
    "QUERY_LIMIT_EXCEEDED": (RateLimited, Reason("the portal takes no more requests from this address for now")),
    "OPERATION_TIME_LIMIT": (OperationLimited, Reason("the method has used up its working time on the portal")),
    "OVERLOAD_LIMIT": (
        PortalBlocked,
        Reason("the vendor has blocked REST on this portal because of overload: ask Bitrix24 support"),
    ),
    "PORTAL_DELETED": (PortalBlocked, Reason("the portal was deleted")),
    "PAYMENT_REQUIRED": (PortalBlocked, Reason("the application or the plan is not paid for")),
    "NO_AUTH_FOUND": (
        AuthRefused,
        Reason("the portal does not accept the credentials: make a new webhook or reinstall the application"),
    ),
    "INVALID_CREDENTIALS": (
        AuthRefused,
        Reason(
            "the portal does not accept the credentials, or their user lacks the right: check that the webhook still exists"
        ),
    ),
    "INVALID_CLIENT": (AuthRefused, Reason("client_id or client_secret is wrong: copy both from the application's page")),
    "USER_ACCESS_ERROR": (
        AuthRefused,
        Reason("the user has no access to the application: open it to him in the application's settings"),
    ),
    "EXPIRED_TOKEN": (TokenExpired, Reason("the access token has expired")),
    "INVALID_TOKEN": (TokenExpired, Reason("the portal does not know the access token")),
    "INVALID_GRANT": (AuthRefused, Reason("the refresh token is no longer good: reinstall the application in the portal")),
    "INSUFFICIENT_SCOPE": (
        MissingScope,
        Reason("a permission (scope) is missing: add it to the webhook or the application"),
    ),
    "INVALID_SCOPE": (MissingScope, Reason("a permission (scope) is missing: add it to the webhook or the application")),
    "WRONG_AUTH_TYPE": (AppContextRequired, Reason("the method needs a local application, a webhook is not enough")),
    "METHOD_CONFIRM_WAITING": (Temporary, Reason("an administrator of the portal has yet to approve this method")),
    "METHOD_CONFIRM_DENIED": (Forbidden, Reason("an administrator of the portal has refused this method")),
    "ERROR_METHOD_NOT_FOUND": (MethodNotFound, Reason("the portal does not know the method")),
    "ERROR_BATCH_METHOD_NOT_ALLOWED": (Permanent, Reason("the method cannot be called in a batch")),
    "ERROR_BATCH_LENGTH_EXCEEDED": (NotSent, Reason("the batch was too long, this command was left out")),
    "INTERNAL_SERVER_ERROR": (Ambiguous, Reason("the portal failed while working")),
    "ERROR_UNEXPECTED_ANSWER": (Ambiguous, Reason("the portal failed while working")),
    "ERROR_EVENT_NOT_FOUND": (NotFound, Reason("the portal does not know the event")),
    "ERROR_PLACEMENT_NOT_FOUND": (
        NotFound,
        Reason("the portal does not know the placement, or the telephony permission is missing"),
    ),
    "BITRIX_REST_V3_EXCEPTION_INSUFFICIENTSCOPEEXCEPTION": (MissingScope, Reason("a permission (scope) is missing")),
    "BITRIX_REST_V3_EXCEPTION_ACCESSDENIEDEXCEPTION": (Forbidden, Reason("access denied")),
}

# Many methods answer ERROR_CORE, an empty code or a phrase for a code: the meaning is in the text (first match wins).
_BY_TEXT: tuple[tuple[re.Pattern[str], type[PortalError], Reason], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), kind, meaning)
    for pattern, kind, meaning in (
        (r"https required", PortalBlocked, Reason("the portal wants https: change the address in the settings")),
        (
            r"only on commercial plans",
            PortalBlocked,
            Reason("REST works only on a commercial plan or a trial: renew the plan"),
        ),
        (
            r"application context required",
            AppContextRequired,
            Reason("the method needs a local application, a webhook is not enough"),
        ),
        (r"current authorization type is denied", AppContextRequired, Reason("the method needs a local application")),
        (
            r"\bcall\b.*\bis not found\b|\bcall is not found\b|not found in the statistic table",
            CallNotFound,
            Reason("no such call"),
        ),
        (
            r"user is not found|USER_ID or USER_PHONE_INNER should be set",
            UserNotFound,
            Reason("the employee is unknown or not active"),
        ),
        (r"database error|\bDB error", Ambiguous, Reason("the portal's database failed while working")),
        (
            r"server returns http error code|SERVER_NOT_AVAILABLE",
            Temporary,
            Reason("the portal could not download the file from us"),
        ),
        (r"method not found", MethodNotFound, Reason("the portal does not know the method")),
        (r"access denied|access_denied|accessexception", Forbidden, Reason("access denied")),
        (
            r"already exists|unable to set event handler|handler already binded",
            AlreadyExists,
            Reason("it is there already"),
        ),
        (r"could not find|\bnot found\b", NotFound, Reason("no such object")),
    )
)


def refusal(
    *, code: str, description: str, status: int, method: str, argument: str = "", reset_at: float | None = None
) -> PortalError:
    """The error for an answer that has an `error` member (whole answers and single commands of a batch alike).

    `status` is 200 for a command of a batch: then the code and the text decide alone.
    """
    kind, meaning = _sort(code, description, status)
    told = f"{code}: {description}".strip(": ") or f"HTTP {status}"
    message = Reason("{method}: {meaning} ({told})", {"method": method, "meaning": meaning, "told": told})
    rest: dict[str, Any] = {"code": code, "description": description, "status": status, "method": method}
    if kind is OperationLimited:
        return OperationLimited(message, reset_at=reset_at, **rest)
    if kind is BadParameters:
        return BadParameters(message, argument=argument, **rest)
    if code.upper() == "METHOD_CONFIRM_WAITING":
        return Temporary(message, retry_after=300.0, **rest)
    return kind(message, **rest)


def _sort(code: str, description: str, status: int) -> tuple[type[PortalError], Reason]:
    known = _BY_CODE.get(code.upper())
    if known is not None:
        return known
    for pattern, kind, meaning in _BY_TEXT:
        if pattern.search(f"{code} {description}"):
            return kind, meaning
    if status in (429, 503):
        return Temporary, Reason("the portal is busy")
    if status >= 500:
        return Ambiguous, Reason("the portal failed while working")
    if status == 401:
        return AuthRefused, Reason("the portal does not accept the credentials")
    if status == 403:
        return Forbidden, Reason("access denied")
    if status == 404:
        return NotFound, Reason("no such method or object")
    return BadParameters, Reason("the portal refuses the parameters")


def _clean(message: str | Reason, secrets: Iterable[str] = ()) -> Reason:
    """Without secrets. Where one shows only once the places are filled, what is left is a text that is not translated."""
    secrets = tuple(secrets)
    whole = redact(str(message), secrets)
    if isinstance(message, Reason):
        clean = message.with_values(lambda value: redact(value, secrets))
        if str(clean) == whole:
            return clean
    return Reason.of(whole)
