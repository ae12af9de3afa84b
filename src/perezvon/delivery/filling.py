"""How the fields of one object of a call are filled: it is read first, so that what stands there may stay. Pure.

find (a deal of the client's) -> recording (its address, for texts that name it) -> read -> write

Several values are extended, never replaced; they are read once more afterwards, because another call of the same client may
have written them in the same moment. A field that the portal refuses is left out: the request is halved until it is
found, and the rest goes through. Reading before each writing makes it harmless to do it again.

Source: contract.json, crm.lead.get, update (and those of contacts, companies, deals, activities); crm.deal.list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from perezvon.bitrix24 import methods
from perezvon.bitrix24.answers import Answer
from perezvon.bitrix24.errors import MethodNotFound, NotFound, Permanent, PortalError
from perezvon.bitrix24.values import Json, mapping, real, rows, text, whole
from perezvon.delivery import recording_link
from perezvon.delivery.after import (
    NO_OBJECT,
    NOT_NEW,
    Ask,
    Next,
    Told,
    dead,
    done,
    failed,
    fresh,
    go_on,
    progress_of,
    refused,
    skipped,
)
from perezvon.delivery.objects import CallObjects, address, made_by_call, objects_of
from perezvon.delivery.weather import METHOD_WIDE
from perezvon.rules.after_call import ALL, NEW, OLD
from perezvon.rules.field_values import MULTIFIELDS, FieldType, Refused, converted
from perezvon.rules.templates import finished
from perezvon.rules.vocabulary import Reason
from perezvon.storage.steps import Step

FILLED = Reason("the fields were filled: {fields}")
KEPT = Reason("nothing to fill: the fields have values, or none was meant for this object")
PARTLY = Reason("filled without {fields}, which the portal refuses: {error}")
GONE = Reason("not sent: the {object} has been deleted in the portal")

FIND, READ, WRITE = "find", "read", "write"
ACTIVITY = "activity"
_CLIENTS = {"CONTACT": "CONTACT_ID", "COMPANY": "COMPANY_ID"}
_NUMBERS = frozenset({"double", "integer", "money", "boolean", "char"})
_NOTHING = frozenset({"", "N"})
_LONGEST_ERROR = 300
_MOST_LOOKS = 3


def next_of(step: Step, steps: Sequence[Step], now: float) -> Next:
    of = text(step.params.get("object"))
    finish = text(step.params.get("finish"))
    objects = objects_of(steps, finish)
    if objects is None:
        return None
    progress = progress_of(step)
    found = text(progress.get("id")) or _id(of, objects)
    if not found:
        if of == "deal" and objects.main[0] in _CLIENTS and FIND not in progress and _for(step, new=False):
            wanted = {_CLIENTS[objects.main[0]]: objects.main[1], "CLOSED": "N"}
            return Ask(FIND, methods.LIST_DEALS, {"filter": wanted, "order": {"ID": "DESC"}, "select": ["ID"]})
        return Reason(NO_OBJECT.text, {"object": of})
    new = _is_new(of, objects, progress)
    if new is not None and not _for(step, new=new):
        return NOT_NEW
    texts = (one.get("parts") for one in _entries(step))
    if (first := recording_link.wanted(texts, step, steps, finish, now)) is not None:
        return first
    if progress.get("todo") and fresh(step, now):
        return Ask(WRITE, _method(of, "update"), {"id": found, "fields": _of_group(progress)})
    return Ask(READ, _method(of, "get"), {"id": found})


def told(step: Step, asked: Ask, answer: Answer | PortalError, steps: Sequence[Step]) -> Told:
    progress = progress_of(step)
    if isinstance(answer, PortalError):
        return _failed(step, asked, answer, progress)
    match asked.stage:
        case recording_link.STAGE:
            return go_on(step, progress, url=recording_link.read(asked, answer.result))
        case "find":
            first = next((text(mapping(row).get("ID")) for row in rows(answer.result)), "")
            return go_on(step, progress, **{FIND: True}, id=first)
        case "write":
            written = [*_texts(progress.get("written")), *_group(progress)]
            return _written(step, {**progress, "written": written})
        case _:
            return _read(step, asked, mapping(answer.result), progress, steps)


def _read(step: Step, asked: Ask, found: Mapping[str, Json], progress: dict[str, Json], steps: Sequence[Step]) -> Told:
    of = text(step.params.get("object"))
    objects = objects_of(steps, text(step.params.get("finish")))
    assert objects is not None
    new = _is_new(of, objects, progress)
    if new is None:
        new = made_by_call(found.get("DATE_CREATE"), step)
    number = text(asked.params.get("id"))
    places = {
        "recording": text(progress.get("url")) or recording_link.given(steps),
        "link": address(text(step.params.get("portal")), "" if of == ACTIVITY else of, number),
    }
    values, wrong = _changes(_for(step, new=new), found, places)
    known = {**mapping(progress.get("refused")), **wrong}
    values = {name: value for name, value in values.items() if name not in known}
    todo = [list(values)] if values else []
    return _written(step, {**progress, "id": number, "new": new, "todo": [[], *todo], "values": values, "refused": known})


def _written(step: Step, progress: dict[str, Json]) -> Told:
    """The first group is done with."""
    todo = rows(progress.get("todo"))[1:]
    if todo:
        return go_on(step, progress, todo=todo)
    looks = whole(progress.get("looks")) or 0
    several = any(isinstance(value, list) for value in mapping(progress.get("values")).values())
    if several and looks < _MOST_LOOKS:
        return go_on(step, progress, todo=[], values={}, looks=looks + 1)
    wrong = mapping(progress.get("refused"))
    written = _texts(progress.get("written"))
    kept = {"id": progress.get("id"), "written": written, "refused": dict(wrong)}
    if wrong:
        args = {"fields": ", ".join(wrong), "error": "; ".join(map(text, wrong.values()))[:_LONGEST_ERROR]}
        return done(step, kept, Reason(PARTLY.text, args))
    return done(step, kept, Reason(FILLED.text, {"fields": ", ".join(dict.fromkeys(written))}) if written else KEPT)


def _failed(step: Step, asked: Ask, error: PortalError, progress: dict[str, Json]) -> Told:
    if not refused(error):
        return failed(step, progress, error)
    if asked.stage == recording_link.STAGE:
        return go_on(step, progress, url="")
    if asked.stage == FIND and not isinstance(error, METHOD_WIDE):
        return go_on(step, progress, **{FIND: True})
    if asked.stage == READ and isinstance(error, NotFound) and not isinstance(error, MethodNotFound):
        return skipped(step, Reason(GONE.text, {"object": text(step.params.get("object"))}))
    if asked.stage != WRITE or not isinstance(error, Permanent) or isinstance(error, METHOD_WIDE):
        return dead(step, progress, error)
    group, others = _group(progress), rows(progress.get("todo"))[1:]
    if len(group) > 1:
        half = len(group) // 2
        return go_on(step, progress, todo=[group[:half], group[half:], *others])
    wrong = {**mapping(progress.get("refused")), group[0]: str(error)[:_LONGEST_ERROR]}
    return _written(step, {**progress, "refused": wrong})


# ---- values


def _changes(
    entries: Sequence[Mapping[str, Json]], found: Mapping[str, Json], places: Mapping[str, str]
) -> tuple[dict[str, Json], dict[str, Json]]:
    """What is to be written, by field, and what cannot be, with the reason."""
    values: dict[str, Json] = {}
    wrong: dict[str, Json] = {}
    for entry in entries:
        name, type_ = text(entry.get("name")), FieldType.from_json(mapping(entry.get("type")))
        value = entry.get("value")
        if "parts" in entry:
            told_ = finished(rows(entry.get("parts")), places)
            value = converted(told_, type_, name) if told_ else None
        if isinstance(value, Refused):
            wrong[name] = str(value.why)
        elif value not in (None, ""):
            after = _after(values.get(name, found.get(name)), value, name, type_, text(entry.get("existing")))
            if after is not None:
                values[name] = after
    return values, wrong


def _after(there: Json, value: Json, name: str, type_: FieldType, existing: str) -> Json | None:
    """The field's new value; None: it stays as it is."""
    if name in MULTIFIELDS:
        known = {_plain(mapping(row).get("VALUE"), name) for row in rows(there)}
        return None if _plain(value, name) in known else [{"VALUE": value, "VALUE_TYPE": _value_type(name)}]
    if type_.many or isinstance(there, list):
        values = rows(there) if isinstance(there, (list, dict)) else [there] if text(there) else []
        return None if text(value) in map(text, values) else [*values, value]
    present = text(there).strip()
    if existing == "add" and present:
        return None if _flat(value) in _flat(present) else f"{present}\n{value}"
    empty = not present or (type_.kind in _NUMBERS and (present in _NOTHING or real(present.partition("|")[0]) == 0.0))
    if not empty and (existing != "overwrite" or present == text(value)):
        return None
    return value


def _plain(value: Json, name: str) -> str:
    said = text(value).strip().casefold()
    return "".join(char for char in said if char.isdigit())[-10:] if name == "PHONE" else said


def _value_type(name: str) -> str:
    return "OTHER" if name in ("IM", "LINK") else "WORK"


def _flat(value: Json) -> str:
    return " ".join(text(value).split())


# ---- what the step is about


def _id(of: str, objects: CallObjects) -> str:
    return objects.activity if of == ACTIVITY else objects.of(of.upper())


def _is_new(of: str, objects: CallObjects, progress: Mapping[str, Json]) -> bool | None:
    if of == ACTIVITY:
        return True
    if "new" in progress:
        return bool(progress["new"])
    return False if FIND in progress else objects.new(of.upper())


def _entries(step: Step) -> list[Mapping[str, Json]]:
    return [mapping(one) for one in rows(step.params.get("fields"))]


def _for(step: Step, *, new: bool) -> list[Mapping[str, Json]]:
    meant = (ALL, NEW) if new else (ALL, OLD)
    return [one for one in _entries(step) if text(one.get("objects")) in meant]


def _group(progress: Mapping[str, Json]) -> list[str]:
    groups = rows(progress.get("todo"))
    return _texts(groups[0]) if groups else []


def _of_group(progress: Mapping[str, Json]) -> dict[str, Json]:
    values = mapping(progress.get("values"))
    return {name: values[name] for name in _group(progress) if name in values}


def _texts(value: Json) -> list[str]:
    return [cast("str", one) for one in rows(value)]


def _method(of: str, verb: str) -> str:
    if of == ACTIVITY:
        return methods.GET_ACTIVITY if verb == "get" else methods.UPDATE_ACTIVITY
    return f"{methods.OBJECT[of]}.{verb}"
