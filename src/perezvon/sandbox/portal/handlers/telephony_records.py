"""telephony.externalCall.attachRecord (three ways) and telephony.call.attachTranscription: after finish only."""

from __future__ import annotations

import base64
import binascii
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.portal.params import Params, as_int, as_mapping
from perezvon.sandbox.portal.recording import attach, check_name, fetch
from perezvon.sandbox.portal.registry import Caller, RestError, expect_upload, method
from perezvon.sandbox.portal.state import PortalState

Json = Any


@method("telephony.externalCall.attachRecord", checks_itself=("FILENAME", "RECORD_URL"))
async def attach_record(portal: PortalState, who: Caller, params: Params) -> Json:
    url, name = params.text("RECORD_URL"), params.text("FILENAME")
    if "RECORD_URL" not in params and "FILENAME" not in params:
        raise RestError(
            "ERROR_CORE", "Required parameters are not set. Request should contain either URL or FILENAME parameter"
        )
    call = portal.book.finished(params.text("CALL_ID"))
    if call is None:
        raise RestError("ERROR_CORE", "Call is not found in the statistic table. It looks like it is not finished yet.")
    if url:
        name = name or PurePosixPath(unquote(urlsplit(url).path)).name
        check_name(name)
        return {"FILE_ID": attach(portal, call, name, await fetch(url), "url")}
    check_name(name)
    if "FILE_CONTENT" not in params:
        return expect_upload(
            portal, who, name, lambda given, content: _uploaded(portal, call, name, given, content), call.id
        )
    return {"FILE_ID": attach(portal, call, name, _decoded(params.text("FILE_CONTENT")), "inline")}


def _uploaded(portal: PortalState, call: PortalCall, name: str, given: str, content: bytes) -> Json:
    del given
    return {"FILE_ID": attach(portal, call, name, content, "two_step")}


def _decoded(text: str) -> bytes:
    if not text:
        raise RestError("ERROR_CORE", "File content is empty.")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as problem:
        raise RestError("ERROR_CORE", "File content is not properly encoded. Base64 encoding is expected.") from problem


@method("telephony.call.attachTranscription", checks_itself=("MESSAGES",))
async def attach_transcription(portal: PortalState, who: Caller, params: Params) -> Json:
    del who
    messages = params.get("MESSAGES")
    if not isinstance(messages, (list, dict)) or not messages:
        raise RestError("ERROR_CORE", "MESSAGES should be an array")
    rows = [as_mapping(item) for item in params.items_of("MESSAGES")]
    for index, row in enumerate(rows):
        place = f"MESSAGES[{index}]"
        if row.get("SIDE") not in {"User", "Client"}:
            raise RestError("ERROR_CORE", f"{place}[SIDE] should be either Client or User")
        if as_int(row.get("START_TIME"), -1) < 0:
            raise RestError("ERROR_CORE", f"{place}[START_TIME] should be greater or equal to zero")
        if as_int(row.get("STOP_TIME"), 0) <= 0:
            raise RestError("ERROR_CORE", f"{place}[STOP_TIME] should be greater than zero")
        if not row.get("MESSAGE"):
            raise RestError("ERROR_CORE", f"{place}[MESSAGE] is empty")
    call = portal.book.finished(params.text("CALL_ID"))
    if call is None:
        raise RestError("ERROR_CORE", f"Call {params.text('CALL_ID')} is not found. Is it finished?")
    transcript = portal.book.next_transcript()
    call.transcripts.append({"id": transcript, "messages": rows})
    portal.book.row_of(call).update(TRANSCRIPT_ID=str(transcript), TRANSCRIPT_PENDING="N")
    return {"TRANSCRIPT_ID": transcript}
