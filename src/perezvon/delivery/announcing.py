"""How a new lead, a missed call or a trouble of ours is told in a chat or to a person: once. Pure.

check (whether the call has made it) -> recording (its address) -> look -> send -> (verify)

To a person it goes as a notification with a tag: the portal replaces the one before with the same tag, so that sending it
again is harmless. A message in a chat has nothing by which the portal would know it again, and its methods do not read
messages. So the number of its messages is noted before sending (im.dialog.get); when the answer is lost, or we were killed,
it is looked at again. There are no more than those that we know to be ours, of other calls: the message is not there, and
is sent; there are more: it is taken for sent. Only where somebody else has written to the chat in that moment, and our
request was lost on its way too, it is missing then.

Source: contract.json, im.message.add, im.dialog.get, im.notify.personal.add.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from perezvon.bitrix24 import methods
from perezvon.bitrix24.answers import Answer
from perezvon.bitrix24.errors import PortalError
from perezvon.bitrix24.values import Json, mapping, number, rows, text, whole
from perezvon.delivery import recording_link
from perezvon.delivery.after import (
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
from perezvon.rules.templates import finished
from perezvon.rules.vocabulary import Reason
from perezvon.storage.steps import Settled, State, Step

SENT = Reason("announced")
ASSUMED = Reason("taken for announced: the answer was lost, and the chat has a newer message")

OF_NO_CALL = CallObjects({}, True, ("", ""), "")
"""Of a message that is about no call: it has `message`, `to`, `tag` and `always` alone (service/alerts.py)."""

CLIENT_ID = "perezvon"
SEND = "send"
PATIENCE = 10
"""Looks at a chat for which other announcements are under way too."""
PAUSE = 3.0
"""Seconds between them."""
_CHECK, _LOOK, _VERIFY, _NOTIFY = "check", "look", "verify", "notify"
_MADE = ("LEAD", "DEAL", "CONTACT", "COMPANY")


def next_of(step: Step, steps: Sequence[Step], now: float) -> Next:
    finish = text(step.params.get("finish"))
    objects = objects_of(steps, finish) if finish else OF_NO_CALL
    if objects is None:
        return None
    progress = progress_of(step)
    always = bool(step.params.get("always"))
    if not always and "made" not in progress and not any(type_ in objects.created for type_ in _MADE):
        type_, id_ = objects.main
        if objects.told or type_ not in _MADE:
            return NOT_NEW
        return Ask(_CHECK, f"{methods.OBJECT[type_.lower()]}.get", {"id": id_})
    if (first := recording_link.wanted([step.params.get("parts")], step, steps, finish, now)) is not None:
        return first
    to, message = text(step.params.get("to")), _message(step, steps, objects, progress)
    if not to.startswith("chat"):
        tag = {"TAG": f"PEREZVON|{text(step.params.get('tag'))}", "CLIENT_ID": CLIENT_ID}
        return Ask(_NOTIFY, methods.NOTIFY, {"USER_ID": to, "MESSAGE": message, **tag})
    looked = "last" in progress
    if step.state is State.UNSURE and looked and step.attempts > (whole(progress.get("sends")) or 0):
        return Ask(_VERIFY, methods.DIALOG, {"DIALOG_ID": to})
    if looked and fresh(step, now):
        return Ask(SEND, methods.ADD_MESSAGE, {"DIALOG_ID": to, "MESSAGE": message, "URL_PREVIEW": "N"})
    return Ask(_LOOK, methods.DIALOG, {"DIALOG_ID": to})


def told(step: Step, asked: Ask, answer: Answer | PortalError, steps: Sequence[Step]) -> Told:
    progress = progress_of(step)
    if isinstance(answer, PortalError):
        if asked.stage == recording_link.STAGE and refused(answer):
            return go_on(step, progress, url="")
        return dead(step, progress, answer) if refused(answer) else failed(step, progress, answer)
    match asked.stage:
        case "check":
            if not made_by_call(mapping(answer.result).get("DATE_CREATE"), step):
                return skipped(step, NOT_NEW)
            return go_on(step, progress, made=True)
        case recording_link.STAGE:
            return go_on(step, progress, url=recording_link.read(asked, answer.result))
        case "look":
            return _ready(step, progress, answer.result)
        case "verify":
            return _verified(step, progress, answer.result)
        case _:
            return done(step, {"message": number(answer.result)}, SENT)


def beside(step: Step, others: Sequence[Step]) -> Step:
    """`others`: announcements of all calls. Those in the same chat whose messages came after we looked are told apart:
    known to be there, and under way or doubtful themselves."""
    progress = progress_of(step)
    last = whole(progress.get("last")) or 0
    there = doubtful = 0
    for other in others:
        if other.id == step.id or other.params.get("to") != step.params.get("to"):
            continue
        there += other.state is State.DONE and (whole(mapping(other.result).get("message")) or 0) > last
        doubtful += other.state in (State.SENDING, State.UNSURE)
    return replace(step, result={**progress, "there": there, "doubtful": doubtful})


def _ready(step: Step, progress: Mapping[str, Json], result: Json) -> Told:
    """The message may be sent now."""
    dialog = mapping(result)
    last, count = whole(dialog.get("last_message_id")) or 0, whole(dialog.get("message_count")) or 0
    return go_on(step, progress, last=last, count=count, sends=step.attempts)


def _verified(step: Step, progress: Mapping[str, Json], result: Json) -> Told:
    dialog = mapping(result)
    last, count = whole(dialog.get("last_message_id")) or 0, whole(dialog.get("message_count")) or 0
    there, doubtful = whole(progress.get("there")) or 0, whole(progress.get("doubtful")) or 0
    more = count - (whole(progress.get("count")) or 0) - there
    if last == whole(progress.get("last")) or more <= 0:
        return _ready(step, progress, result)
    looks = whole(progress.get("looks")) or 0
    if more <= doubtful and looks < PATIENCE:  # they may be those of others
        kept = {**progress, "looks": looks + 1}
        return Told(Settled(step.id, State.UNSURE, kept, note=step.note), PAUSE)
    return done(step, progress, ASSUMED)


def _message(step: Step, steps: Sequence[Step], objects: CallObjects, progress: Mapping[str, Json]) -> str:
    if whole_text := text(step.params.get("message")):
        return whole_text
    type_ = next((one for one in _MADE if one in objects.created), objects.main[0])
    id_ = objects.of(type_)
    words = mapping(step.params.get("words"))
    places = {
        "recording": text(progress.get("url")) or recording_link.given(steps),
        "link": address(text(step.params.get("portal")), type_, id_),
        "object": text(words.get(type_)),
    }
    return finished(rows(step.params.get("parts")), places)
