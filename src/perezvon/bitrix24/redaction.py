"""Takes secrets out of text before it reaches a log line, an exception or a page. Pure.

Two nets: the shapes in which Bitrix24 hands secrets around (a webhook's path, `auth=`, `access_token`, …), and the values
that a portal is known to hold. The second catches a secret wherever it stands, also URL-encoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, quote_plus

HIDDEN = "***"
_SHORTEST = 4  # a shorter "secret" would blot out ordinary text

_NAMES = (
    r"auth|auth_id|refresh_id|access_token|refresh_token|application_token|client_secret|token|code|sessid|password|secret|"
    r"proxy-authorization|authorization"
)
_SHAPES = (
    # https://portal/rest/1/<secret>/method: the user's number, then the secret
    (re.compile(r"(/rest/(?:api/)?\d+/)[^/\s\"'?&<>]+"), rf"\1{HIDDEN}"),
    # auth=…, auth%5Baccess_token%5D=…, "access_token": "…", auth[access_token]=…
    (
        re.compile(
            rf"(?i)((?:\b|_|%5B|\[)(?:{_NAMES})(?:%5D|\])?(?:\\?[\"'])?\s*(?:=|:|=>)\s*(?:bearer\s+|basic\s+)?(?:\\?[\"'])?)"
            r"[^\s\"'&;,<>\\{}\[\]()]+"
        ),
        rf"\1{HIDDEN}",
    ),
    # scheme://user:password@host
    (re.compile(r"(://[^/\s:@]*:)[^/\s@]+(@)"), rf"\1{HIDDEN}\2"),
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without the given secret values and without anything that has the shape of a Bitrix24 secret."""
    for form in _forms(frozenset(secrets)):
        if form in text:
            text = text.replace(form, HIDDEN)
    for shape, shown in _SHAPES:
        text = shape.sub(shown, text)
    return text


@lru_cache(maxsize=64)
def _forms(secrets: frozenset[str]) -> tuple[str, ...]:
    """How the secrets may be written, the longest first. Asked for at every line of the log."""
    long_enough = {secret for secret in secrets if len(secret) >= _SHORTEST}
    forms = {form for s in long_enough for form in (s, quote(s, safe=""), quote(s), quote_plus(s))}
    return tuple(sorted(forms, key=len, reverse=True))
