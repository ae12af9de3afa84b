"""A recording on its way to a finished call: judged to be sound, kept, linked to the statistics and the activity."""

from __future__ import annotations

from typing import Any

import aiohttp

from perezvon.sandbox.portal.audio import examine
from perezvon.sandbox.portal.calls import PortalCall, Recording
from perezvon.sandbox.portal.registry import RestError
from perezvon.sandbox.portal.state import PortalState

Json = Any
EXTENSIONS = (".wav", ".mp3")
FETCH_TIMEOUT = 60.0
"""Seconds: a cloud portal's limit for one request."""


def check_name(name: str) -> None:
    if not name:
        raise RestError("ERROR_CORE", "File name is empty")
    if not name.lower().endswith(EXTENSIONS):
        raise RestError("ERROR_CORE", "Wrong file extension. Only wav and mp3 are allowed")


def attach(portal: PortalState, call: PortalCall, name: str, content: bytes, mode: str) -> int:
    """Keep the file and link it; an earlier one is replaced. Gives FILE_ID.

    A real portal takes any bytes. Here what would not play is refused (SANDBOX_NOT_AUDIO): it is always a mistake.
    """
    check_name(name)
    if not content:
        raise RestError("ERROR_CORE", "File content is empty.")
    audio = examine(name, content)
    if audio.problem and portal.config.strict_params:
        raise RestError("SANDBOX_NOT_AUDIO", f"{name} ({len(content)} bytes) would not play: {audio.problem}")
    times = 1
    if call.recording is not None:
        times = call.recording.times + 1
        portal.files.remove(call.recording.file_id)
    file = portal.files.add(name, content, portal.now(), call.finish["user_id"])
    call.recording = Recording(
        file_id=file.id,
        name=name,
        size=len(content),
        duration=round(audio.duration, 3),
        decodes=not audio.problem,
        problem=audio.problem,
        mode=mode,
        attached_at=portal.now(),
        times=times,
    )
    row = portal.book.row_of(call)
    row["RECORD_FILE_ID"] = file.id
    row["CALL_RECORD_URL"] = portal.base_url + file.path
    activity = portal.crm.get("ACTIVITY", call.activity_id)
    if activity is not None:
        files = [{"id": file.id, "url": portal.base_url + file.path}]
        portal.crm.update(activity, {"FILES": files, "STORAGE_TYPE_ID": "3", "STORAGE_ELEMENT_IDS": [file.id]})
    portal.publish("call.recorded", call=call.as_json(), url=file.path)
    return file.id


async def fetch(url: str) -> bytes:
    """What the portal does with RECORD_URL: it downloads within the request. Anything but 200 is an error that names the
    status."""
    timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as http, http.get(url) as answer:
            if answer.status != 200:
                raise RestError("ERROR_CORE", f"Server returns HTTP error code {answer.status}")
            return await answer.read()
    except (aiohttp.ClientError, TimeoutError, ValueError) as problem:
        raise RestError("ERROR_CORE", f"SERVER_NOT_AVAILABLE: {problem}") from problem
