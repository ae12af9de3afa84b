"""Passwords and one-time codes: made, checked, and found too weak. Nothing here is stored or logged.

Argon2id (pwdlib's recommended parameters), TOTP of RFC 6238 with 30 s and six digits, recovery codes of 50 random bits.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import resources

import pyotp
from pwdlib import PasswordHash
from pyotp.totp import TOTP

from perezvon.rules.vocabulary import Reason
from perezvon.web.first_link import digest

SHORTEST = 12
LONGEST = 128
RECOVERY_CODES = 10
HALF_MINUTE = 30

_COMMON = (
    *("password", "passw0rd", "qwerty", "qwertyuiop", "123456789", "1234567890", "0987654321", "abcdefgh", "perezvon"),
    *("asterisk", "bitrix", "administrator", "letmein", "iloveyou", "пароль", "йцукен", "йцукенгшщз", "привет", "1q2w3e4r"),
)
_ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"


@cache
def _pool() -> ThreadPoolExecutor:
    """Each hash takes 64 MB for a moment: two at a time."""
    return ThreadPoolExecutor(2, "argon2")


@cache
def _hasher() -> PasswordHash:
    return PasswordHash.recommended()


@cache
def _leaked() -> frozenset[str]:
    """In lower case."""
    lines = resources.files("perezvon.web").joinpath("common_passwords.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


@cache
def _nobodys() -> str:
    return _hasher().hash(secrets.token_urlsafe())


async def hashed(password: str) -> str:
    return await asyncio.get_running_loop().run_in_executor(_pool(), lambda: _hasher().hash(password))


async def right(password: str, kept: str) -> bool:
    """`kept` "": nobody is there, which takes as long as a wrong password."""

    def verify() -> bool:
        return _hasher().verify(password[: LONGEST + 1], kept or _nobodys())

    return await asyncio.get_running_loop().run_in_executor(_pool(), verify) and bool(kept)


def weakness(password: str, login: str = "", name: str = "") -> Reason | None:
    """Why it will not do."""
    if len(password) < SHORTEST:
        return Reason(
            "the password is too short: {count} characters at least; a sentence is easy to keep", {"count": str(SHORTEST)}
        )
    if len(password) > LONGEST:
        return Reason("the password is too long: {count} characters at most", {"count": str(LONGEST)})
    rest = password.casefold()
    if rest in _leaked():
        return Reason("the password is among those that are tried first: it has leaked elsewhere")
    for guess in sorted((*_COMMON, login.casefold(), *name.casefold().split()), key=len, reverse=True):
        if len(guess) > 2:
            rest = rest.replace(guess, "")
    if len(set(rest)) < 5 or len(rest) < 6:
        return Reason("the password is easy to guess: take words that are not about you, and more of them")
    return None


def same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def fresh_key() -> str:
    """Of the one-time codes, in base32."""
    return pyotp.random_base32()


def address(key: str, login: str) -> str:
    """`otpauth://…`, which the telephone's programs read."""
    return TOTP(key).provisioning_uri(name=login, issuer_name="Perezvon")


def matching(key: str, code: str, now: float, used: int) -> int | None:
    """The half minute whose code it is (the present one, or one beside it), None when it is wrong or was used before."""
    digits = "".join(code.split())
    if len(digits) != 6 or not digits.isascii() or not digits.isdigit():
        return None
    totp, present = TOTP(key), int(now // HALF_MINUTE)
    for half_minute in (present - 1, present, present + 1):
        if same(totp.at(half_minute * HALF_MINUTE), digits):
            return half_minute if half_minute > used else None
    return None


def recovery_codes() -> list[str]:
    """Such as `K7QPM-2XWFD`."""
    made = ("".join(secrets.choice(_ALPHABET) for _ in range(10)) for _ in range(RECOVERY_CODES))
    return [f"{code[:5]}-{code[5:]}" for code in made]


def recovery_digest(code: str) -> str:
    """The same however it is typed."""
    return digest("".join(code.upper().split()).replace("-", ""))
