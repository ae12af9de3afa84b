"""What fields the portal's leads, contacts, companies, deals and activities have, and whether it has leads at all.

Source: contract.json, methods crm.lead.fields (and its like), crm.settings.mode.get, crm.status.entity.items; the entries
of a list (`items`, of fields that the portal's owner made) as the portal's documentation of user fields shows them.
"""

from __future__ import annotations

from collections.abc import Iterable

from perezvon.bitrix24 import methods
from perezvon.bitrix24.client import Portal
from perezvon.bitrix24.encoding import Command
from perezvon.bitrix24.errors import PortalError
from perezvon.bitrix24.values import Json, flag, mapping, rows, text, whole
from perezvon.rules.field_check import CrmKnown
from perezvon.rules.field_values import FieldType

_MODE = "mode"


async def known_crm(portal: Portal, objects: Iterable[str]) -> CrmKnown:
    """One batch. Raises a PortalError, also for a single one of the questions: half a list of fields would be wrong."""
    wanted = list(dict.fromkeys(objects))
    questions = [Command(_MODE, methods.CRM_MODE, {})]
    questions += [Command(of, f"{methods.OBJECT.get(of, f'crm.{of}')}.fields", {}) for of in wanted]
    answers = await portal.batch(questions)
    types: dict[str, dict[str, FieldType]] = {}
    mode = 0
    for question, answer in zip(questions, answers, strict=True):
        if isinstance(answer, PortalError):
            raise answer
        if question.key == _MODE:
            mode = whole(answer.result) or 0
        else:
            types[question.key] = read_fields(answer.result)
    return CrmKnown(mode, types)


async def known_sources(portal: Portal) -> dict[str, str]:
    """Where leads come from: names by STATUS_ID. Raises a PortalError."""
    told = rows((await portal.call(methods.STATUSES, {"entityId": "SOURCE"})).result)
    return {text(one.get("STATUS_ID")): text(one.get("NAME")) for one in map(mapping, told) if text(one.get("STATUS_ID"))}


def read_fields(result: Json) -> dict[str, FieldType]:
    return {name: _type(mapping(told)) for name, told in mapping(result).items()}


def _type(told: dict[str, Json] | Json) -> FieldType:
    items = {text(mapping(one).get("ID")): text(mapping(one).get("VALUE")) for one in rows(told.get("items"))}
    titles = (text(told.get(name)) for name in ("listLabel", "formLabel", "title"))
    return FieldType(
        kind=text(told.get("type")),
        many=flag(told.get("isMultiple")),
        read_only=flag(told.get("isReadOnly")),
        title=next(filter(None, titles), ""),
        items={key: value for key, value in items.items() if key},
    )
