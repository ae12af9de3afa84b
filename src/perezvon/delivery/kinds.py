"""What each kind of step is at the portal: its method, what it needs, how its answer reads, and how to find out whether it
was done when that is not known. A new kind is one more entry of `KINDS`.

Sources: contract.json, methods.telephony.externalCall.*; bitrix24/README "Gotchas" 1 to 7.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from perezvon.bitrix24 import methods
from perezvon.bitrix24.errors import Ambiguous
from perezvon.bitrix24.values import Json, mapping, rows, text
from perezvon.rules.vocabulary import Kind, Reason

# A parameter that names a file of ours; it never leaves (prepare.py puts its content or an upload in its place).
FILE = "@file"

# A parameter that names a recording of ours (`subject_of`), to which the portal gets an address, made when it is sent.
LINK = "@link"

# A parameter that names the address of the call's recording, for other texts that name it (recording_link.py).
HEARD_AT = "@heard_at"

OVER_ALREADY = Reason("the call was over at the portal already")
NO_LEAD = Reason("the portal made no lead: {error}")
REMARKS = Reason("the portal remarks: {error}")


@dataclass(frozen=True, slots=True)
class Read:
    """A successful answer: what is kept of it, and what was odd."""

    result: Json
    note: Reason | None = None


@dataclass(frozen=True, slots=True)
class KindRules:
    """`needs`: kinds whose step in the same lane must not have failed, besides those referred to.

    `repeatable`: sent twice, it has the effect of the last time; so it may simply be sent again, in order.
    `aside`: nothing waits for it, and it waits for nothing but its finish; it is read before it is written (activity.py).
    `task`: it takes several requests, one after the other (tasks.py); `method` is that of the last. `asks`: so does this,
    beside the lane (after.py).
    `substitutable`: the portal refuses an employee who is unknown or not active, and another can take his place.
    `read` raises Ambiguous for an answer that does not say what it must.
    """

    method: str
    read: Callable[[Json], Read]
    needs: frozenset[Kind] = frozenset()
    repeatable: bool = False
    aside: bool = False
    substitutable: bool = False
    task: bool = False
    asks: bool = False


def _read_register(result: Json) -> Read:
    told = methods.read_registered(result)
    return Read(result, Reason(NO_LEAD.text, {"error": told.lead_error}) if told.lead_error else None)


def _read_card(result: Json) -> Read:
    """False, with HTTP 200: no live call has this id."""
    return Read(result, None if result else OVER_ALREADY)


def _read_finish(result: Json) -> Read:
    """A call without any CRM object gets no activity: ERRORS says so, and the call is finished all the same."""
    told = "; ".join(_words(mapping(result).get("ERRORS")))
    return Read(result, Reason(REMARKS.text, {"error": told}) if told else None)


def _words(value: Json) -> list[str]:
    """The texts inside nested maps and lists."""
    inner = rows(value)
    return [word for one in inner for word in _words(one)] if inner else [told] if (told := text(value)) else []


def _read_attached(result: Json) -> Read:
    if not methods.read_file_id(result):
        raise Ambiguous(f"{methods.ATTACH_RECORD}: the answer has no FILE_ID", method=methods.ATTACH_RECORD)
    return Read(result)


def _read_described(result: Json) -> Read:
    if not result:
        raise Ambiguous(
            f"{methods.UPDATE_ACTIVITY}: the portal does not say that it was done", method=methods.UPDATE_ACTIVITY
        )
    return Read(result)


KINDS: Mapping[Kind, KindRules] = {
    Kind.REGISTER: KindRules(methods.REGISTER, _read_register, substitutable=True),
    Kind.SHOW: KindRules(methods.SHOW, _read_card, repeatable=True),
    Kind.HIDE: KindRules(methods.HIDE, _read_card, repeatable=True),
    Kind.FINISH: KindRules(methods.FINISH, _read_finish, substitutable=True),
    Kind.DESCRIBE: KindRules(
        methods.UPDATE_ACTIVITY, _read_described, needs=frozenset({Kind.FINISH}), repeatable=True, aside=True
    ),
    Kind.ENTITY: KindRules(methods.UPDATE_ITEM, Read, needs=frozenset({Kind.FINISH}), repeatable=True, aside=True),
    Kind.ATTACH_RECORD: KindRules(methods.ATTACH_RECORD, _read_attached, needs=frozenset({Kind.FINISH}), repeatable=True),
    Kind.MISSED_TASK: KindRules(methods.ADD_TASK, Read, task=True),
    Kind.CLOSE_TASK: KindRules(methods.COMPLETE_TASK, Read, task=True),
    Kind.REMIND_TASK: KindRules(methods.UPDATE_TASK, Read, task=True),
    Kind.FILL: KindRules("crm.lead.update", Read, aside=True, asks=True),
    Kind.BIND: KindRules(methods.BIND_ACTIVITY, Read, aside=True, asks=True),
    Kind.ANNOUNCE: KindRules(methods.ADD_MESSAGE, Read, aside=True, asks=True),
    Kind.TRIGGER: KindRules(methods.EXECUTE_TRIGGER, Read),
    Kind.ROBOT_ANSWER: KindRules(methods.ANSWER_ROBOT, Read),
}


@dataclass(frozen=True, slots=True)
class Probe:
    """Looks for a finished call in the statistics, by the portal's id or by ours."""

    call_id: str = ""
    external_call_id: str = ""

    method = methods.STATISTIC

    @property
    def params(self) -> dict[str, Any]:
        return methods.statistic_filter(call_id=self.call_id, external_call_id=self.external_call_id)

    def found(self, result: Json) -> dict[str, Json] | None:
        """The call's row, or None. The portal drops a filter that it does not know: a foreign row is never ours."""
        for row in map(mapping, rows(result)):
            for told in methods.read_statistic([row]):
                if told.call_id and (told.call_id == self.call_id or told.external_call_id == self.external_call_id != ""):
                    return dict(row)
        return None
