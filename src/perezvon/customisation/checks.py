"""What a hook may answer at each point: the answer as it is taken, or Nonsense with what is wrong. Pure.

Nothing in an answer gets where it could do harm: not into a line of AMI, not into the identity of a call at the portal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

from perezvon.rules.numbers import PHONE

LONGEST = 20_000
"""Characters of one value."""
MOST = 200
"""Entries of a dictionary or list, and depth times that."""
DEEPEST = 6

OURS = ("EXTERNAL_CALL_ID", "SHOW", "CALL_ID")
"""Of a request: what makes the call the same call at every try stays as it is, whatever a hook makes of it."""

_EXTENSION = re.compile(r"[0-9A-Za-z_.+-]{1,64}", re.ASCII)
_DIALLED = re.compile(r"\+?[0-9*#]{1,32}|[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", re.ASCII)
_CHANNEL = re.compile(r"[A-Za-z0-9]+/[A-Za-z0-9@:/_.+*#&-]{1,200}(?:/n)?", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9_.+*#@-]{1,80}", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,79}(?:\([A-Za-z0-9_,:-]{1,80}\))?", re.ASCII)
_KEY = re.compile(r"[0-9*#A-D]{1,8}", re.ASCII)
_FORBIDDEN = {"System", "EVAL", "SHELL", "FILE", "DB"}


class Nonsense(Exception):
    """The answer cannot be taken; the text says why."""


def anything(_answer: Any, _given: Any) -> None:
    """Nothing is made of it."""


def boolean(answer: Any, _given: Any) -> bool:
    if not isinstance(answer, bool):
        raise Nonsense(f"True or False is wanted, not {_kind(answer)}")
    return answer


def phone(answer: Any, _given: Any) -> str:
    text = line(answer, 40)
    if not PHONE.fullmatch(text):
        raise Nonsense(f"{text[:40]!r} is no phone number: digits, with a plus before them or not")
    return text


def extension(answer: Any, _given: Any) -> str:
    text = line(answer, 64)
    if not _EXTENSION.fullmatch(text):
        raise Nonsense(f"{text[:40]!r} is no extension")
    return text


def dialled(answer: Any, _given: Any) -> str:
    text = line(answer, 64)
    if text and not _DIALLED.fullmatch(text):
        raise Nonsense(f"{text[:40]!r} is no number that can be dialled")
    return text


def path(answer: Any, _given: Any) -> str:
    text = line(answer, 1000)
    if not text.strip():
        raise Nonsense("an empty path; None leaves the recording out")
    return text


def registration(answer: Any, given: Any) -> dict[str, Any]:
    params = _request(answer, given, ("USER_ID", "PHONE_NUMBER", "TYPE"))
    if not PHONE.fullmatch(str(params["PHONE_NUMBER"])):
        raise Nonsense(f"PHONE_NUMBER {str(params['PHONE_NUMBER'])[:40]!r} is no phone number")
    params["USER_ID"] = _user(params["USER_ID"])
    if params["TYPE"] not in (1, 2, 3, 4):
        raise Nonsense("TYPE is 1 (outgoing), 2 (incoming), 3 (forwarded) or 4 (callback)")
    return params


def card(answer: Any, given: Any) -> dict[str, Any]:
    params = _request(answer, given, ("USER_ID",))
    users: Any = params["USER_ID"]
    params["USER_ID"] = [_user(one) for one in (cast("list[Any]", users) if isinstance(users, list) else [users])]
    if not params["USER_ID"]:
        raise Nonsense("USER_ID names nobody; None cancels the card")
    return params


def final(answer: Any, given: Any) -> dict[str, Any]:
    params = _request(answer, given, ("USER_ID", "DURATION", "STATUS_CODE"))
    params["USER_ID"] = _user(params["USER_ID"])
    seconds = params["DURATION"]
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 0 <= seconds < 10**7:
        raise Nonsense("DURATION is a whole number of seconds")
    params["STATUS_CODE"] = line(str(params["STATUS_CODE"]), 20)
    return params


def attached(answer: Any, given: Any) -> dict[str, Any]:
    """The file itself is ours; its name and, where a link is given, that are the hook's."""
    params = _request(answer, given, tuple(name for name in ("FILENAME", "RECORD_URL") if name in given))
    if "FILENAME" in params:
        name = line(params["FILENAME"], 200)
        if not name or "/" in name or not name.lower().endswith((".mp3", ".wav")):
            raise Nonsense("FILENAME is a name that ends in .mp3 or .wav, without folders")
    if "RECORD_URL" in params and not re.match(r"https?://[^\s]+\Z", line(params["RECORD_URL"], 2000)):
        raise Nonsense("RECORD_URL is no http(s) address")
    return params


def fields(answer: Any, _given: Any) -> dict[str, Any]:
    return _dictionary(answer)


def changes(answer: Any, _given: Any) -> dict[str, Any]:
    changed = _dictionary(answer)
    if taken := [name for name in changed if name.lower() in ("id", "entitytypeid")]:
        raise Nonsense(f"{taken[0]} cannot be changed")
    return changed


def task(answer: Any, given: Any) -> dict[str, Any]:
    params = _dictionary(answer)
    if not isinstance(params.get("TITLE"), str) or not params["TITLE"].strip():
        raise Nonsense("TITLE is missing")
    if "RESPONSIBLE_ID" in given:
        params["RESPONSIBLE_ID"] = type(given["RESPONSIBLE_ID"])(_user(params.get("RESPONSIBLE_ID")))
    return params


def distribution(answer: Any, _given: Any) -> dict[str, Any]:
    found = _dictionary(answer)
    if found.get("extension") != "":  # nobody: on to the default route
        found["extension"] = extension(found.get("extension"), None)
    found["name"] = line(found.get("name", ""), 200)
    return found


def originate(answer: Any, given: Any) -> dict[str, Any]:
    params = {**given, **_dictionary(answer)}
    if unknown := [name for name in params if name not in given]:
        raise Nonsense(f"there is no parameter {unknown[0][:40]!r}; known: {', '.join(given)}")
    _fits(params, "channel", _CHANNEL)
    _fits(params, "context", _WORD)
    _fits(params, "extension", _WORD)
    line(params["caller_id"], 200)
    if params["priority"] != 1 and not (isinstance(params["priority"], int) and 1 <= params["priority"] <= 999):
        raise Nonsense("priority is a whole number from 1 on")
    timeout = params["timeout"]
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 1 <= timeout <= 300:
        raise Nonsense("timeout is 1 to 300 seconds")
    params["timeout"] = float(timeout)
    variables = _dictionary(params["variables"])
    for name, value in variables.items():
        if not _VARIABLE.fullmatch(name) or name.partition("(")[0] in _FORBIDDEN:
            raise Nonsense(f"{name[:40]!r} is no variable that may be set")
        variables[name] = line(value if isinstance(value, str) else str(value), 500)
    params["variables"] = variables
    return params


def scenario(answer: Any, _given: Any) -> dict[str, Any]:
    told = _dictionary(answer)
    rows = told.get("buttons")
    if not isinstance(rows, list) or not rows:
        raise Nonsense("buttons is a list of {key, prompt, to}; None sends the caller to Bitrix24")
    buttons = [_button(row) for row in cast("list[Any]", rows)]
    keys = [button["key"] for button in buttons]
    if len(buttons) > 1 and (not all(keys) or len(set(keys)) < len(keys)):
        raise Nonsense("each of several buttons needs a key of its own")
    return {"intro": line(told.get("intro", ""), 64), "buttons": buttons}


def _button(row: Any) -> dict[str, str]:
    known = _dictionary(row)
    key, prompt, to = (line(known.get(name, ""), 64) for name in ("key", "prompt", "to"))
    if key and not _KEY.fullmatch(key):
        raise Nonsense(f"{key[:20]!r} is no key that a phone has")
    if not _DIALLED.fullmatch(to):
        raise Nonsense(f"{to[:40]!r} is no number that can be rung")
    return {"key": key, "prompt": prompt, "to": to}


# ---- what all have


def line(value: Any, longest: int) -> str:
    """One line of text: nothing that could end a line of AMI or HTTP. Raises Nonsense."""
    if not isinstance(value, str):
        raise Nonsense(f"text is wanted, not {_kind(value)}")
    if len(value) > longest:
        raise Nonsense(f"text of {len(value)} characters, {longest} are allowed")
    if any(ord(char) < 32 or 0xD800 <= ord(char) < 0xE000 for char in value):
        raise Nonsense("text with control characters")
    return value


def _request(answer: Any, given: Mapping[str, Any], needed: Iterable[str]) -> dict[str, Any]:
    params = _dictionary(answer)
    for name in OURS:
        params.pop(name, None)
        if name in given:
            params[name] = given[name]
    if missing := [name for name in needed if name not in params]:
        raise Nonsense(f"{missing[0]} is missing: give back all parameters, changed or not")
    return params


def _dictionary(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise Nonsense(f"a dictionary is wanted, not {_kind(answer)}")
    _plain(cast("object", answer), 0)
    return dict(cast("dict[str, Any]", answer))


def _plain(value: object, depth: int) -> None:
    if depth > DEEPEST:
        raise Nonsense("too deeply nested")
    match value:
        case dict():
            known = cast("dict[str, object]", value)
            if len(known) > MOST:
                raise Nonsense(f"{len(known)} entries, {MOST} are allowed")
            for name, inner in known.items():
                line(name, 200)
                if name == "$ref":
                    raise Nonsense("$ref is not for hooks")
                _plain(inner, depth + 1)
        case list():
            known_list = cast("list[object]", value)
            if len(known_list) > MOST:
                raise Nonsense(f"{len(known_list)} entries, {MOST} are allowed")
            for inner in known_list:
                _plain(inner, depth + 1)
        case str():
            if len(value) > LONGEST:
                raise Nonsense(f"text of {len(value)} characters, {LONGEST} are allowed")
            if any(char == "\0" or 0xD800 <= ord(char) < 0xE000 for char in value):
                raise Nonsense("text with characters that are none")
        case _:
            return


def _user(value: Any) -> int:
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,12}", str(value), re.ASCII) or not int(value):
        raise Nonsense(f"{str(value)[:40]!r} is no user of the portal: its number is wanted")
    return int(value)


def _fits(params: Mapping[str, Any], name: str, form: re.Pattern[str]) -> None:
    if not form.fullmatch(line(params[name], 300)):
        raise Nonsense(f"{name} {params[name][:60]!r} is nothing that the PBX could take")


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"{type(value).__name__}"
