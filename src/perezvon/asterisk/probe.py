"""Finds out, for the doctor, what a PBX lets us see and do. Reads only: nothing on the PBX is changed, nobody is called."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from perezvon.asterisk.address import AmiAddress
from perezvon.asterisk.errors import ActionRefused, AmiError, CannotConnect
from perezvon.asterisk.message import Message
from perezvon.asterisk.session import Session
from perezvon.rules.vocabulary import Reason

NEEDED_ACTIONS: Mapping[str, str] = {
    "CoreSettings": "system or reporting",
    "CoreShowChannels": "system or reporting",
    "CoreStatus": "system or reporting",
    "Originate": "originate",
    "Redirect": "call",
    "Status": "system, call or reporting",
}
"""Action -> which rights in `write =` of manager.conf allow it."""

NEEDED_READ = ("agent", "call", "dialplan", "dtmf", "system", "user")
"""Classes of events in `read =`: `agent` for queues, `dialplan` for recordings' names (`VarSet`), `dtmf` for menu keys."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What was found. Where a question could not be asked, the answer is None.

    `problem` is "" when everything up to the login and the boot went well, else what went wrong (and the rest is empty).
    `missing_actions`: action -> the rights in `write =` that would allow it. `missing_read`: the event classes that
    `read =` lacks. `contexts`: dialplan context -> does it exist. `queues`: names, None without app_queue.
    `clock_offset`: seconds by which the PBX's clock is ahead of ours, good to half of `round_trip`.
    `timestamps`: does it put `Timestamp` on events (`timestampevents=yes`).
    """

    address: str
    reachable: bool
    logged_in: bool
    booted: bool
    problem: str | Reason = ""
    asterisk: str | None = None
    startup: str | None = None
    missing_actions: Mapping[str, str] | None = None
    missing_read: tuple[str, ...] | None = None
    contexts: Mapping[str, bool | None] = field(default_factory=dict[str, bool | None])
    queues: tuple[str, ...] | None = None
    clock_offset: float | None = None
    round_trip: float | None = None
    timestamps: bool | None = None


async def probe_pbx(address: AmiAddress, *, contexts: Iterable[str] = (), timeout: float = 10.0) -> Probe:
    """Never raises for what a PBX does: that is what it reports. `timeout`: seconds for the login, and for every answer."""
    where = str(address)
    try:
        session = await Session.open(address, wanted=frozenset(), timeout=timeout, boot_timeout=None)
    except CannotConnect as error:
        return Probe(where, reachable=False, logged_in=False, booted=False, problem=error.why)
    except AmiError as error:
        return Probe(where, reachable=True, logged_in=False, booted=False, problem=error.why)
    booted = False
    try:
        async with session:
            await session.wait_for_boot(timeout)
            booted = True
            return await _ask(session, list(contexts), timeout)
    except AmiError as error:
        return Probe(where, reachable=True, logged_in=True, booted=booted, problem=error.why)


async def _ask(session: Session, contexts: Iterable[str], timeout: float) -> Probe:
    offset, round_trip = await _clock(session, timeout)
    core = await _maybe(session, timeout, "CoreStatus")
    settings = await _maybe(session, timeout, "CoreSettings")
    user = await _command(session, timeout, f"manager show user {session.address.user}")
    manager = await _command(session, timeout, "manager show settings")
    timestamps = manager.get("timestamp events")
    return Probe(
        address=str(session.address),
        reachable=True,
        logged_in=True,
        booted=True,
        asterisk=settings["AsteriskVersion"] if settings else None,
        startup=f"{core['CoreStartupDate']} {core['CoreStartupTime']}" if core else None,
        missing_actions=await _missing_actions(session, timeout),
        missing_read=_missing_read(user.get("read perm")),
        contexts={context: await _exists(session, timeout, context) for context in contexts},
        queues=await _queues(session, timeout),
        clock_offset=offset,
        round_trip=round_trip,
        timestamps=None if timestamps is None else timestamps.lower() == "yes",
    )


async def _clock(session: Session, timeout: float) -> tuple[float | None, float]:
    """Ping's answer bears the PBX's time."""
    sent = time.time()
    pong = await session.action("Ping", timeout=timeout)
    received = time.time()
    try:
        offset = float(pong["Timestamp"]) - (sent + received) / 2
    except ValueError:
        offset = None
    return offset, received - sent


async def _missing_actions(session: Session, timeout: float) -> dict[str, str]:
    """`ListCommands` lists just those actions that the user may use."""
    allowed = await session.action("ListCommands", timeout=timeout)
    return {action: rights for action, rights in NEEDED_ACTIONS.items() if action not in allowed}


def _missing_read(permitted: str | None) -> tuple[str, ...] | None:
    if permitted is None:
        return None
    classes = {name.strip() for name in permitted.split(",")}
    return () if "all" in classes else tuple(name for name in NEEDED_READ if name not in classes)


async def _exists(session: Session, timeout: float, context: str) -> bool | None:
    try:
        await session.collect("ShowDialPlan", [("Context", context)], timeout=timeout)
    except ActionRefused as error:
        return False if "did not find" in error.reason.lower() else None
    return True


async def _queues(session: Session, timeout: float) -> tuple[str, ...] | None:
    try:
        entries = await session.collect("QueueStatus", timeout=timeout)
    except ActionRefused:
        return None
    return tuple(entry["Queue"] for entry in entries if entry["Event"] == "QueueParams")


async def _maybe(session: Session, timeout: float, action: str) -> Message | None:
    try:
        return await session.action(action, timeout=timeout)
    except ActionRefused:
        return None


async def _command(session: Session, timeout: float, command: str) -> dict[str, str]:
    """The `name: value` lines that a CLI command prints, names in lower case; empty without the right `command`."""
    try:
        answer = await session.action("Command", [("Command", command)], timeout=timeout)
    except ActionRefused:
        return {}
    return {
        name.strip().lower(): value.strip()
        for name, colon, value in (line.partition(":") for line in answer.all("Output"))
        if colon
    }
