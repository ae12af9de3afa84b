"""What a human is to do about an error of a portal, in words for the pages and the doctor. Pure.

Most pass by themselves: then that is said. Whatever has been put right, delivery goes on without being told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from perezvon.bitrix24.errors import (
    AlreadyExists,
    Ambiguous,
    AppContextRequired,
    AuthRefused,
    CallNotFound,
    Forbidden,
    MethodNotFound,
    MissingScope,
    NotFound,
    NotSent,
    OperationLimited,
    Permanent,
    PortalError,
    PortalMoved,
    RateLimited,
    Temporary,
    UserNotFound,
)
from perezvon.rules.vocabulary import Reason

_BY_CODE = {
    "PORTAL_DELETED": Reason(
        "open the portal in a browser: if it has another address now, put that into the settings; if it is gone, put in "
        "the portal that is used instead"
    ),
    "PAYMENT_REQUIRED": Reason("pay for the application or the plan in the portal"),
    "OVERLOAD_LIMIT": Reason("ask Bitrix24's support to lift the block, and look what else uses the portal's REST"),
    "USER_ACCESS_ERROR": Reason("give the user who installed the application access to it, in its settings in the portal"),
    "INVALID_CLIENT": Reason(
        "copy client_id and client_secret from the application's page in the portal into the settings; if the application "
        "is not there any more, add it anew"
    ),
    "METHOD_CONFIRM_WAITING": Reason("let an administrator of the portal approve the method there"),
    "METHOD_CONFIRM_DENIED": Reason("let an administrator of the portal approve the method there"),
}


def remedy(error: PortalError, *, application: bool) -> Reason:
    """`application`: whether we come as a local application (else as a webhook)."""
    if (known := _BY_CODE.get(error.code.upper())) is not None:
        return known
    match error:
        case PortalMoved():
            return _after_moving(error, application=application)
        case AppContextRequired():
            return Reason(
                "make a local application in the portal and put its client_id and client_secret into the settings"
            )
        case MissingScope():
            if application:
                return Reason("give the application its permissions on its page in the portal, and install it anew")
            return Reason("give the webhook the permissions telephony, crm, user, im and task on its page in the portal")
        case AuthRefused():
            if error.status in (401, 407) and not error.code:
                return Reason("let this machine through the proxy or web server that asks for a login before the portal")
            if application:
                return Reason("install the local application anew in the portal; its tokens come by themselves")
            return Reason("make a new incoming webhook in the portal and put its address into the settings")
        case Forbidden():
            return Reason(
                "give the right to the user who made the webhook or installed the application, best an administrator"
            )
        case MethodNotFound():
            return Reason("update the portal: it is too old for this method")
        case RateLimited() | OperationLimited():
            return Reason(
                "nothing needs to be done; when it happens often, look who else uses the portal's REST from this address"
            )
        case NotSent() if "certificate" in str(error):
            return Reason("put the portal's certificate right, or name the authority that signed it in the settings (ca)")
        case NotSent():
            return Reason(
                "check the network of this machine and the portal's address; if the portal itself is down, nothing needs "
                "to be done: it is tried again all the time"
            )
        case Ambiguous() | Temporary():
            return Reason(
                "look whether the portal works in a browser; nothing else needs to be done: it is tried again all the time"
            )
        case _:
            return Reason("look at the portal's plan and address in a browser")


def remedy_of(told: Mapping[str, Any], *, application: bool) -> Reason:
    """What to do about a step that the portal refused. `told`: its stored result (`PortalError.as_json`)."""
    kind = _KINDS.get(str(told.get("error", "")), PortalError)
    rest: dict[str, Any] = {name: str(told.get(name, "")) for name in ("code", "description", "method")}
    error = kind(str(told.get("message", "")), status=int(told.get("status") or 0), **rest)
    match error:
        case CallNotFound():
            return Reason("the portal does not know the call any more: leave it out")
        case UserNotFound():
            return Reason(
                "give the employee a working account in the portal, or set another fall-back user; then send it again"
            )
        case MethodNotFound() | Forbidden():
            return remedy(error, application=application)
        case NotFound():
            return Reason("what it is about is not in the portal any more: leave it out")
        case AlreadyExists():
            return Reason("it is there already: leave it out")
        case _ if isinstance(error, Permanent) or type(error) is PortalError:
            return Reason(
                "look at the request on the call's page and correct the setting that its values come from; "
                "then send it again"
            )
        case _:
            return remedy(error, application=application)


def _subclasses(of: type[PortalError]) -> Iterator[type[PortalError]]:
    yield of
    for one in of.__subclasses__():
        yield from _subclasses(one)


_KINDS = {one.__name__: one for one in _subclasses(PortalError)}


def _after_moving(error: PortalMoved, *, application: bool) -> Reason:
    where = {"location": error.location}
    if application:
        return Reason("if {location} is your portal, put it into the settings as its domain", where)
    return Reason("if {location} is your portal, put the address that the webhook has there into the settings", where)
