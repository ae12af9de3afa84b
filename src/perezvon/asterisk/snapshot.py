"""Asks a PBX for its whole state. The live events go on waiting in the session meanwhile and are to be applied afterwards.

So nothing is lost: an event from before the dump says what the dump says too, one from after it says more. What nobody can
say is who dialled whom; the tracker infers it (linkedid, channel state, bridge, application).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from perezvon.asterisk.errors import ActionRefused
from perezvon.asterisk.message import LATEST, Headers, Message
from perezvon.asterisk.session import Session
from perezvon.calls import Snapshot
from perezvon.calls.wanted import SNAPSHOT_VARIABLES


@dataclass(frozen=True, slots=True)
class Dump:
    """`startup` is when Asterisk was started, in the PBX's own words (`2026-11-21 07:54:24`, its local time): only good for
    telling whether it has been restarted. `asterisk` is the version."""

    snapshot: Snapshot
    startup: str
    asterisk: str


async def take_snapshot(session: Session, *, startup: str = "", timeout: float = 30.0) -> Dump:
    """The state of the PBX at one moment (its own clock). `startup`: what the last Dump said, "" when there was none.

    Channels are the `CoreShowChannel` entries completed with those of `Status`, and with the wanted channel variables that
    are set as keys like `variable.MIXMONITOR_FILENAME`. `timeout`: seconds for each of the three lists.
    Raises ActionRefused (the message names the right that is missing), ActionTimeout, ConnectionLost.
    """
    pong = await session.action("Ping")
    core = await _permitted(session, "CoreStatus")
    settings = await _permitted(session, "CoreSettings")
    shown = await _list(session, "CoreShowChannels", [], timeout)
    statuses = await _list(session, "Status", [("Variables", ",".join(sorted(SNAPSHOT_VARIABLES)))], timeout)
    queues = await _queues(session, timeout)

    channels: dict[str, dict[str, str]] = {}
    for entry in (*_only(shown, "CoreShowChannel"), *_only(statuses, "Status")):
        channel = channels.setdefault(entry["Uniqueid"], {})
        for name, value in entry.headers.items():
            channel.setdefault(name, value)
        for pair in entry.all("Variable"):
            name, _, value = pair.partition("=")
            if value not in {"", "(null)"}:
                channel[f"variable.{name}"] = value

    now = _startup(core)
    snapshot = Snapshot(
        at=_clock(pong),
        channels=tuple(channels.values()),
        bridges=_bridges(channels.values()),
        waiting=queues,
        restarted=bool(startup) and startup != now,
    )
    return Dump(snapshot, now, settings["AsteriskVersion"])


def _startup(core: Message) -> str:
    return f"{core['CoreStartupDate']} {core['CoreStartupTime']}".strip()


def _clock(pong: Message) -> float:
    """Seconds; a PBX that does not say its time (before Asterisk 1.8) gives 0, i.e. older than any event."""
    try:
        at = float(pong["Timestamp"])
    except ValueError:
        return 0.0
    return at if 0.0 < at < LATEST else 0.0


def _bridges(channels: Iterable[Mapping[str, str]]) -> dict[str, tuple[str, ...]]:
    """Every channel entry names its bridge, so that one list tells it all; asking each bridge would be many, and later."""
    inside: dict[str, list[str]] = {}
    for channel in channels:
        if bridge := channel.get("bridgeid", ""):
            inside.setdefault(bridge, []).append(channel.get("channel", ""))
    return {bridge: tuple(names) for bridge, names in inside.items()}


async def _queues(session: Session, timeout: float) -> dict[str, tuple[str, ...]]:
    try:
        entries = await session.collect("QueueStatus", timeout=timeout)
    except ActionRefused:  # app_queue is not loaded: nobody can wait in a queue
        return {}
    waiting: dict[str, list[str]] = {entry["Queue"]: [] for entry in _only(entries, "QueueParams")}
    for entry in _only(entries, "QueueEntry"):
        waiting.setdefault(entry["Queue"], []).append(entry["Channel"])
    return {queue: tuple(names) for queue, names in waiting.items()}


def _only(entries: Iterable[Message], event: str) -> list[Message]:
    return [entry for entry in entries if entry["Event"] == event]


async def _permitted(session: Session, action: str) -> Message:
    try:
        return await session.action(action)
    except ActionRefused as error:
        raise _explained(session, error) from error


async def _list(session: Session, action: str, headers: Headers, timeout: float) -> list[Message]:
    try:
        return await session.collect(action, headers, timeout=timeout)
    except ActionRefused as error:
        raise _explained(session, error) from error


def _explained(session: Session, error: ActionRefused) -> ActionRefused:
    return ActionRefused(
        error.action,
        f"{error.reason}. The AMI user {session.address.user!r} needs `reporting` in `write =` of manager.conf",
    )
