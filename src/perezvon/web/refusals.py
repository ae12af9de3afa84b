"""What is answered instead of what was asked for. `code` stays the same whatever the words are; programs read that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from perezvon.rules.vocabulary import Reason


@dataclass(frozen=True, slots=True)
class Refusal:
    status: int
    code: str
    reason: Reason
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class Refused(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


_BY_BADGE = {"WWW-Authenticate": "Bearer"}

FOREIGN = Refusal(403, "foreign_page", Reason("a page of another site may not ask this"))
PASSWORD = Refusal(
    401,
    "password_wanted",
    Reason("the password of the pages is wanted (Basic), or a badge (Bearer)"),
    {"WWW-Authenticate": 'Basic realm="Perezvon", charset="UTF-8"'},
)
SIGN_IN = Refusal(401, "sign_in", Reason("sign in, or show a token (Authorization: Bearer)"), _BY_BADGE)
ELSEWHERE = Refusal(403, "this_machine_only", Reason("without a password (web.password) only this machine is answered"))
NO_BADGE = Refusal(401, "badge_invalid", Reason("this badge is not one of ours: open the card anew"), _BY_BADGE)
OLD_BADGE = Refusal(401, "badge_expired", Reason("this badge is out of date: open the card anew"), _BY_BADGE)
NOBODY = Refusal(403, "badge_revoked", Reason("the portal does not know this employee and extension any more"))
NO_TOKEN = Refusal(
    401, "token_invalid", Reason("this token is not one of ours, or was withdrawn, or is out of date"), _BY_BADGE
)
NOT_YOURS = Refusal(403, "no_right", Reason("you have no right to this: an administrator can give it to you"))
STALE_FORM = Refusal(403, "form_expired", Reason("this form is not of your present session: open the page again"))
CODE_WANTED = Refusal(403, "second_factor_wanted", Reason("set up one-time codes first: your account, second factor"))
SLOW_DOWN = Refusal(429, "too_many_tries", Reason("too many wrong tries: wait a few minutes"), {"Retry-After": "300"})
TOO_LARGE = Refusal(413, "too_large", Reason("the body is too large"), {"Connection": "close"})
TOO_SLOW = Refusal(408, "too_slow", Reason("the body came too slowly"), {"Connection": "close"})
NOT_THERE = Refusal(404, "not_found", Reason("there is nothing at this address"))
