"""Calls as the portal knows them, with everything that happened to each: what tests and the face look at.

Pure data and questions about it; the rules of telephony.* are in `handlers/telephony*.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Json = Any


@dataclass(slots=True)
class Card:
    """A call card on one employee's screen. Times: POSIX seconds, portal's clock. `dropped`: the browser did not show
    it, another card was open. `shown_monotonic`: machine's monotonic clock, for measuring."""

    user_id: int
    shown_at: float
    shown_monotonic: float
    hidden_at: float | None = None
    hidden_by: str = ""
    dropped: bool = False
    pushes: int = 1

    @property
    def visible(self) -> bool:
        return self.hidden_at is None and not self.dropped


@dataclass(slots=True)
class Recording:
    """`mode`: url, inline, two_step or legacy (finish's RECORD_URL). `duration` in seconds, of the decoded audio.
    `times`: how often a file was attached; the last one counts."""

    file_id: int
    name: str
    size: int
    duration: float
    decodes: bool
    problem: str
    mode: str
    attached_at: float
    times: int = 1


@dataclass(slots=True)
class PortalCall:
    """A call from register (or a click) to whatever came after finish. `live` until finished.

    `type`: 1 outgoing, 2 incoming, 3 redirected, 4 callback, 5 info. `crm_*`: the primary object; `bindings`: all
    objects of the call as (type, id). `finish`: duration (seconds), status, reason, vote, cost, currency, add_to_chat,
    record_url and user_id, as finish got or derived them; empty while live.
    """

    id: str
    external_id: str
    app: str
    app_id: int
    app_name: str
    user_id: int
    phone: str
    type: int
    line: str
    started: float
    registered_at: float
    registered_monotonic: float
    source: str = ""
    internal: bool = False
    from_click: bool = False
    registration: dict[str, Json] = field(default_factory=dict[str, Json])
    """Parameters as the first register got them; empty for a click."""
    crm_type: str = ""
    crm_id: int = 0
    bindings: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    created: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    lead_error: str = ""
    registrations: int = 1
    cards: list[Card] = field(default_factory=list[Card])
    finished_at: float | None = None
    finish: dict[str, Json] = field(default_factory=dict[str, Json])
    statistics_id: int = 0
    activity_id: int = 0
    recording: Recording | None = None
    chat_message: str = ""
    transcripts: list[dict[str, Json]] = field(default_factory=list[dict[str, Json]])
    requests: list[int] = field(default_factory=list[int])
    """Numbers of the journal entries that named this call."""

    @property
    def live(self) -> bool:
        return self.finished_at is None

    def visible_to(self) -> list[int]:
        """Users who have the card on their screens now."""
        return [card.user_id for card in self.cards if card.visible]

    def card_of(self, user_id: int) -> Card | None:
        return next((card for card in reversed(self.cards) if card.user_id == user_id), None)

    @property
    def leftover_cards(self) -> list[int]:
        """Users whose card still hangs although the call is finished: always somebody's mistake."""
        return [] if self.live else self.visible_to()

    def as_json(self) -> dict[str, Json]:
        return {
            "id": self.id,
            "external_id": self.external_id,
            "app": self.app,
            "user_id": self.user_id,
            "phone": self.phone,
            "type": self.type,
            "line": self.line,
            "started": self.started,
            "registered_at": self.registered_at,
            "registration": self.registration,
            "registrations": self.registrations,
            "internal": self.internal,
            "from_click": self.from_click,
            "crm_type": self.crm_type,
            "crm_id": self.crm_id,
            "bindings": [{"type": type_, "id": id_} for type_, id_ in self.bindings],
            "created": [{"type": type_, "id": id_} for type_, id_ in self.created],
            "lead_error": self.lead_error,
            "live": self.live,
            "visible_to": self.visible_to(),
            "leftover_cards": self.leftover_cards,
            "cards": [_plain(card) for card in self.cards],
            "finished_at": self.finished_at,
            "finish": self.finish,
            "statistics_id": self.statistics_id,
            "activity_id": self.activity_id,
            "chat_message": self.chat_message,
            "recording": _plain(self.recording) if self.recording else None,
            "transcripts": self.transcripts,
            "requests": self.requests,
        }


def _plain(value: Card | Recording) -> dict[str, Json]:
    return {name: getattr(value, name) for name in value.__slots__}


@dataclass(slots=True)
class Line:
    """An external line of an application (or of a webhook, on a portal without strict application context)."""

    id: int
    app: str
    number: str
    name: str = ""
    crm_auto_create: bool = True


class CallBook:
    """All calls ever registered, all lines, and the statistics rows that finish wrote."""

    def __init__(self) -> None:
        self.calls: dict[str, PortalCall] = {}
        self.lines: list[Line] = []
        self.statistics: list[dict[str, Json]] = []
        self.on_screen: dict[int, dict[str, None]] = {}
        """Open cards: user -> ids of calls."""
        self.missed: dict[str, list[int]] = {}
        """Missed calls nobody called back: number -> ids of activities."""
        self._families: dict[tuple[str, str, int, int], list[PortalCall]] = {}
        self._last_line = 0
        self._last_transcript = 0

    def next_transcript(self) -> int:
        self._last_transcript += 1
        return self._last_transcript

    def add(self, call: PortalCall) -> None:
        self.calls[call.id] = call
        self._families.setdefault((call.app, call.phone, call.type, call.user_id), []).append(call)

    def alike(self, call: PortalCall, since: float) -> list[PortalCall]:
        """Live calls registered since then by the same application for the same number, type and user; newest first."""
        family = self._families.get((call.app, call.phone, call.type, call.user_id), [])
        return [other for other in reversed(family) if other.live and other.registered_at >= since]

    def live(self, call_id: str) -> PortalCall | None:
        call = self.calls.get(call_id)
        return call if call and call.live else None

    def finished(self, call_id: str) -> PortalCall | None:
        call = self.calls.get(call_id)
        return call if call and not call.live else None

    def row_of(self, call: PortalCall) -> dict[str, Json]:
        return self.statistics[call.statistics_id - 1]

    def line(self, app: str, number: str) -> Line | None:
        return next((line for line in self.lines if line.app == app and line.number == number), None)

    def add_line(self, app: str, number: str, name: str = "", crm_auto_create: bool = True) -> Line:
        self._last_line += 1
        line = Line(self._last_line, app, number, name, crm_auto_create)
        self.lines.append(line)
        return line

    def push_card(self, call: PortalCall, user_id: int, at: float, monotonic: float, *, one_a_user: bool) -> Card:
        """The portal pushes the card to a user's browser; it is dropped there when another card is open and
        `one_a_user`."""
        card = call.card_of(user_id)
        if card and card.visible:
            card.pushes += 1
            return card
        others = self.on_screen.setdefault(user_id, {})
        card = Card(user_id, at, monotonic, dropped=bool(one_a_user and others))
        call.cards.append(card)
        if not card.dropped:
            others[call.id] = None
        return card

    def pull_card(self, call: PortalCall, user_id: int, at: float, by: str) -> bool:
        """Take the card off a user's screen; False when it was not there. `by`: hide, finish or user."""
        card = call.card_of(user_id)
        if card is None or not card.visible:
            return False
        card.hidden_at, card.hidden_by = at, by
        self.on_screen[user_id].pop(call.id, None)
        return True
