"""Recordings of AMI events, read: raw AMI text as on the wire, or JSON in the forms that people keep. Also their replay.

Forms of JSON: a list of events, or an object that has the list under `ami`, `ami_events` or `events`, or one event a line.
An event is an object, or a list of [header, value] pairs. Any of these may be gzipped.

    RecordingError(ValueError)   the recording cannot be read: says where, and what was expected there
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from perezvon.calls.call import Call
from perezvon.calls.events import Event, Snapshot
from perezvon.calls.facts import CallEnded
from perezvon.calls.numbering import Numbering
from perezvon.calls.tracker import Tracker

STEP = 0.001
"""Seconds between two events of a recording that has no time stamps."""

KEYS = ("ami", "ami_events", "events")
FALLBACK = "cp1251"
_EPOCH = re.compile(r"(?:^|-)(\d{9,10})\.\d+$")
_BLANK = re.compile(r"\r?\n\r?\n")


class RecordingError(ValueError):
    """The recording cannot be read."""


def read_recording(source: Path | str | bytes) -> list[Event]:
    """The events of a file (or of its bytes), in order. Raises RecordingError; OSError for a file that cannot be opened.

    Where events have no `Timestamp`, each is 1 ms after the one before, beginning with the second in the first Uniqueid.
    """
    raw = source if isinstance(source, bytes) else Path(source).read_bytes()
    text = _decode(_unpack(raw)).removeprefix("\ufeff")
    start = text.lstrip()[:1]
    if not start:
        raise RecordingError("the recording is empty")
    messages = _from_json(text) if start in "[{" else _from_wire(text)
    return list(_events(messages))


def replay(events: Iterable[Event], numbering: Numbering, pbx: str = "pbx") -> list[Call]:
    """The calls of a recording in the order in which they began, complete. Consultations that became part of a client's
    call are left out; calls that the recording leaves running are ended with its last event (`end_seen` is False)."""
    tracker = Tracker(pbx, numbering)
    calls: list[Call] = []
    at = 0.0
    for event in events:
        at = max(at, event.at)
        calls += [fact.record for fact in tracker.feed(event) if isinstance(fact, CallEnded)]
    end = Snapshot(at, (), {}, {}, restarted=True)
    calls += [fact.record for fact in tracker.resync(end) if isinstance(fact, CallEnded)]
    return sorted((call for call in calls if not call.absorbed_into), key=lambda call: call.started)


def _unpack(raw: bytes) -> bytes:
    if not raw.startswith(b"\x1f\x8b"):
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise RecordingError(f"the gzip file is damaged ({error}): unpack it by hand to see how far it goes") from error


def _decode(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "\n".join([_decode_line(line) for line in raw.split(b"\n")])


def _decode_line(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode(FALLBACK, "replace")


def _from_wire(text: str) -> Iterator[dict[str, Any]]:
    found = False
    for frame in _BLANK.split(text):
        pairs = [line.partition(":")[::2] for line in frame.splitlines() if ":" in line]
        message: dict[str, Any] = {}
        for name, value in pairs:
            _put(message, name, value.removeprefix(" "))
        if "event" in message:
            found = True
            yield message
    if not found:
        first = text.lstrip().splitlines()[0][:60]
        raise RecordingError(
            f"line 1 ({first!r}): neither JSON nor AMI text: expected '[', '{{', or a message with an 'Event:' line"
        )


def _from_json(text: str) -> Iterator[dict[str, Any]]:
    try:
        body: Any = json.loads(text)
    except json.JSONDecodeError as error:
        body = _json_lines(text, error)
    where = "the list"
    if isinstance(body, dict):
        known = cast("dict[str, Any]", body)
        key = next((key for key in KEYS if isinstance(known.get(key), list)), None)
        if key is None:
            if any(name.lower() == "event" for name in known):
                body = [known]
            else:
                raise RecordingError(f"the JSON object has none of the lists {', '.join(map(repr, KEYS))}")
        else:
            body, where = known[key], f"{key!r}"
    for number, item in enumerate(cast("list[Any]", body)):
        yield _message(item, f"{where}, event {number}")


def _json_lines(text: str, error: json.JSONDecodeError) -> list[Any]:
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if len(lines) > 1 and error.msg == "Extra data":
        return [_json_line(number, line) for number, line in lines]
    raise RecordingError(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error


def _json_line(number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise RecordingError(f"not JSON: {error.msg} at line {number}, column {error.colno}") from error


def _message(item: Any, where: str) -> dict[str, Any]:
    message: dict[str, Any] = {}
    if isinstance(item, dict):
        for name, value in cast("dict[Any, Any]", item).items():
            for one in cast("list[Any]", value) if isinstance(value, list) else [value]:
                _put(message, str(name), _text(one, f"{where}, {name!r}"))
        return message
    if not isinstance(item, list):
        raise RecordingError(f"{where}: expected an object or a list of [header, value] pairs, found {type(item).__name__}")
    for pair in cast("list[Any]", item):
        match pair:
            case [str(name), value]:
                _put(message, name, _text(value, f"{where}, {name!r}"))
            case _:
                raise RecordingError(f"{where}: expected a [header, value] pair, found {str(pair)[:60]}")
    return message


def _text(value: Any, where: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | str | int | float):
        return str(value)
    raise RecordingError(f"{where}: expected text, found {type(value).__name__}")


def _put(message: dict[str, Any], name: str, value: str) -> None:
    """The first value of a header counts; channel variables are collected."""
    lowered = name.strip().lower()
    if lowered.startswith("chanvariable"):
        variable, _, content = value.partition("=")
        cast("dict[str, str]", message.setdefault("", {})).setdefault(variable, content)
    message.setdefault(lowered, value)


def _events(messages: Iterable[dict[str, Any]]) -> Iterator[Event]:
    at: float | None = None
    stamped = False
    for message in messages:
        variables = cast("Mapping[str, str]", message.pop("", {}))
        if not message.get("event"):
            continue
        stamp = _stamp(message)
        if stamp is not None:
            at, stamped = stamp, True
        elif at is None:
            at = _first_second(message)
        elif not stamped:
            at += STEP
        yield Event(message["event"], at or 0.0, message, variables)


def _stamp(message: Mapping[str, Any]) -> float | None:
    try:
        stamp = float(message["timestamp"])
    except (KeyError, ValueError):
        return None
    return stamp if 0.0 < stamp < 1e11 else None


def _first_second(message: Mapping[str, Any]) -> float | None:
    for header in ("uniqueid", "destuniqueid", "localoneuniqueid"):
        if found := _EPOCH.search(str(message.get(header, ""))):
            return float(found[1])
    return None
