"""The tables. Times are POSIX seconds, UTC (float); JSON is text. One schema for SQLite and PostgreSQL.

Order inside a lane is `step.sequence`. Lanes are claimed by equality on `lane.state`, never by a range over pending rows.
Every change here needs a migration (migrations/versions/); a test compares the two.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows by itself only in a column that is exactly INTEGER.
RowId = BigInteger().with_variant(Integer(), "sqlite")

_MISSED = text("outcome = 'missed'")


class Words(TypeDecorator[str]):
    """Text that comes from outside (callers' names, file names, errors): without NUL, which PostgreSQL refuses, and without
    halves of surrogate pairs, which have no UTF-8 form."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        if value is None or (value.isascii() and "\0" not in value):
            return value
        return value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


installation = Table(
    "installation",
    metadata,
    Column("id", String(32), primary_key=True, doc="random, made at the first start; part of every EXTERNAL_CALL_ID"),
    Column("created", Float, nullable=False),
)

owner = Table(
    "owner",
    metadata,
    Column("resource", String(200), primary_key=True, doc="service | pbx:NAME | portal:NAME"),
    Column("epoch", BigInteger, nullable=False, doc="raised at every take-over; an older owner cannot write"),
    Column("taken", Float, nullable=False),
    Column("holder", String(200), nullable=False),
)

setting_version = Table(
    "setting_version",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("who", String(200), nullable=False),
    Column("note", Words, nullable=False, default=""),
    Column("body", Text, nullable=False, doc="JSON; secrets sealed (settings/secrets.py)"),
)

token = Table(
    "token",
    metadata,
    Column("portal", String(100), primary_key=True),
    Column("sealed", LargeBinary, nullable=False, doc="JSON of the OAuth grant, encrypted"),
    Column("member_id", String(100), nullable=False, default=""),
    Column("updated", Float, nullable=False),
)

employee = Table(
    "employee",
    metadata,
    Column("portal", String(100), primary_key=True),
    Column("user_id", String(32), primary_key=True),
    Column("extension", Words, nullable=False, default=""),
    Column("name", Words, nullable=False, default=""),
    Column("active", Boolean, nullable=False, default=True),
    Column("phones", Text, nullable=False, default="[]", doc="JSON list of E.164 numbers of the profile"),
    Column("refreshed", Float, nullable=False),
)

call = Table(
    "call",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("pbx", String(100), nullable=False),
    Column("portal", String(100), nullable=False, default=""),
    Column("direction", String(16), nullable=False),
    Column("client", Words, nullable=False, default=""),
    Column("line", Words, nullable=False, default=""),
    Column("started", Float, nullable=False),
    Column("answered", Float),
    Column("ended", Float),
    Column("outcome", String(32)),
    Column("duration", Float, nullable=False, default=0.0),
    Column("last_talker", Words, nullable=False, default=""),
    Column("live", Boolean, nullable=False),
    Column("state", Text, nullable=False, doc="JSON: the tracker's state of a live call; the record when ended"),
    Column("plan", Text, nullable=False, default="{}", doc="JSON: the planner's state"),
    Index("ix_call_pbx_live", "pbx", "live"),
    # All that the list of calls is searched by, in its order: it is read instead of the table, whose rows are large.
    Index("ix_call_journal", "started", "id", "client", "line", "last_talker", "outcome", "direction", "live"),
    # Of a client, when somebody talked with him, and who.
    Index("ix_call_client", "client", "started", "outcome", "last_talker"),
    Index("ix_call_missed", "portal", "started", "client", "line", sqlite_where=_MISSED, postgresql_where=_MISSED),
)

fact = Table(
    "fact",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("call", String(200), ForeignKey("call.id", ondelete="CASCADE"), nullable=False),
    Column("at", Float, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("body", Text, nullable=False),
    Index("ix_fact_call", "call"),
)

lane = Table(
    "lane",
    metadata,
    Column("id", String(200), primary_key=True, doc="a call's id, or another thing whose steps keep their order"),
    Column("portal", String(100), nullable=False),
    Column("created", Float, nullable=False),
    Column("next_sequence", Integer, nullable=False, default=1),
    Column("state", String(16), nullable=False, doc="idle | ready | upload | waiting | busy (storage/lanes.py)"),
    Column("priority", Integer, nullable=False, doc="the most urgent of its pending steps; the whole lane hurries with it"),
    Column("since", Float, nullable=False, doc="when it became ready"),
    Column("not_before", Float, nullable=False, default=0.0, doc="of a waiting lane"),
    Index("ix_lane_work", "portal", "state", "priority", "since"),
    Index("ix_lane_waiting", "portal", "state", "not_before"),
)

step = Table(
    "step",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("portal", String(100), nullable=False),
    Column("lane", String(200), ForeignKey("lane.id", ondelete="CASCADE"), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("key", String(300), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("params", Text, nullable=False, doc='JSON; a Ref is {"$ref": kind, "field": name}'),
    Column("priority", Integer, nullable=False),
    Column("reason", Text, nullable=False, doc="JSON of a Reason: why it is asked for"),
    Column("created", Float, nullable=False),
    Column("expires", Float),
    Column("state", String(16), nullable=False, doc="new | sending | unsure | done | skipped | dead"),
    Column("attempts", Integer, nullable=False, default=0),
    Column("sent", Float, doc="when it was last sent"),
    Column("finished", Float),
    Column("result", Text, doc="JSON: the portal's answer, or its last error"),
    Column("error", Words, doc="the last error, in words"),
    Column("note", Text, doc="JSON of a Reason: why it was skipped, or what was odd about the answer"),
    UniqueConstraint("portal", "key"),
    UniqueConstraint("lane", "sequence"),
    Index("ix_step_portal_state", "portal", "state"),
)

recording = Table(
    "recording",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("call", String(200), ForeignKey("call.id", ondelete="CASCADE"), nullable=False),
    Column("pbx", String(100), nullable=False),
    Column("portal", String(100), nullable=False),
    Column("path", Words, nullable=False, doc="as the PBX names it"),
    Column(
        "state",
        String(16),
        nullable=False,
        doc="new | part | joined | ready | spare | missing | failed | erased (recordings.py)",
    ),
    Column("file", Text, nullable=False, default="", doc="our mp3 of this recording; empty when it is only in `joined`"),
    Column("seconds", Float, nullable=False, default=0.0, doc="length of our mp3"),
    Column("attempts", Integer, nullable=False, default=0),
    Column("not_before", Float, nullable=False, default=0.0),
    Column("created", Float, nullable=False),
    Column("error", Words, nullable=False, default=""),
    Column("began", Float, doc="the PBX's clock: when it told that it had begun to write it"),
    Column("closed", Float, doc="when the PBX's file was last changed"),
    Column("joined", Text, doc="our mp3 of which it is a part"),
    Column("mark", Float, doc="the second of `joined` at which it begins"),
    Column("talkers", Words, doc="JSON list: the extensions who talked with the client in it"),
    Column("mode", String(8), nullable=False, default="upload", server_default="upload", doc="upload | link"),
    Column("found", Words, doc="the name under which it was found, where that is not `path`"),
    UniqueConstraint("call", "path"),
    Index("ix_recording_state", "state"),
)

click = Table(
    "click",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("portal", String(100), nullable=False),
    Column("portal_call", Words, nullable=False, doc="the portal's CALL_ID"),
    Column("user_id", Words, nullable=False),
    Column("number", Words, nullable=False),
    Column("line", Words, nullable=False, default=""),
    Column("received", Float, nullable=False),
    Column("uniqueid", String(150), nullable=False, default="", doc="ChannelId of our Originate"),
    Column("call", String(200), nullable=False, default=""),
    Column("state", String(16), nullable=False, doc="new | dialling | calling | finished | dropped"),
    Column("error", Words, nullable=False, default=""),
    Column("call_list", String(32), doc="the portal's CALL_LIST_ID"),
    UniqueConstraint("portal", "portal_call"),
    Index("ix_click_state", "state"),
    Index("ix_click_uniqueid", "uniqueid"),
)

call_order = Table(
    "call_order",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("portal", String(100), nullable=False),
    Column("key", String(150), nullable=False),
    Column("digest", String(64), nullable=False, doc="the same for the same event, whichever way it came"),
    Column("received", Float, nullable=False),
    Column("body", Text, nullable=False, doc="JSON of rules/orders.py: who wants whom to be called"),
    Column("tries", Integer, nullable=False, default=0),
    Column("not_before", Float, nullable=False, default=0.0),
    Column("uniqueid", String(150), nullable=False, default="", doc="ChannelId of our last Originate for it"),
    Column("call", String(200), nullable=False, default=""),
    Column("state", String(16), nullable=False, doc="new | dialling | calling | finished | dropped"),
    Column("error", Words, nullable=False, default=""),
    UniqueConstraint("portal", "key"),
    Index("ix_call_order_portal_state", "portal", "state"),
    Index("ix_call_order_portal_digest", "portal", "digest"),
)

counter = Table(
    "counter",
    metadata,
    Column("name", String(200), primary_key=True, doc="e.g. unmapped:main:105"),
    Column("value", BigInteger, nullable=False),
    Column("last", Float, nullable=False),
)

progress = Table(
    "progress",
    metadata,
    Column("pbx", String(100), primary_key=True),
    Column("until", Float, nullable=False, doc="the PBX's clock: all that it told up to then is stored"),
    Column("startup", Words, nullable=False, default="", doc="when that PBX was started, in its own words"),
)

missed = Table(
    "missed",
    metadata,
    Column("portal", String(100), primary_key=True),
    Column("client", String(40), primary_key=True, doc="E.164"),
    Column("episode", Integer, primary_key=True, autoincrement=False, doc="from a missed call to the task's end"),
    Column("lane", String(200), nullable=False, doc="of the steps that keep its task"),
    Column("misses", Integer, nullable=False),
    Column("first", Float, nullable=False, doc="the first missed call that nobody has called back"),
    Column("last", Float, nullable=False),
    Column("task", String(40), nullable=False, default="", doc="the portal's id of the task, as far as it is known"),
    Column("responsible", String(40), nullable=False, default="", doc="the portal's user, when we last looked"),
    Column("called_back", Float, doc="the first successful call after that"),
    Column("closed", Float, doc="the episode is over"),
    Column("remind", Float, doc="when the task is to be brought to mind; empty: not, or done"),
    UniqueConstraint("lane"),
    Index("ix_missed_remind", "portal", "remind"),
    Index("ix_missed_called_back", "portal", "called_back"),
)

menu = Table(
    "menu",
    metadata,
    Column("line", String(100), primary_key=True, doc="the company's number, as ivr/numbers.py writes it"),
    Column("title", Words, nullable=False, default=""),
    Column("intro", Words, nullable=False, default="", doc="name of a recording"),
    Column("updated", Float, nullable=False),
)

menu_button = Table(
    "menu_button",
    metadata,
    Column("menu", String(100), ForeignKey("menu.line", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("key", String(20), nullable=False),
    Column("prompt", Words, nullable=False, default="", doc="name of a recording"),
    Column("target", Words, nullable=False, doc="number or extension"),
)

conference_code = Table(
    "conference_code",
    metadata,
    Column("code", String(32), primary_key=True),
    Column("phone", String(100), nullable=False),
    Column("updated", Float, nullable=False),
)

company_answer = Table(
    "company_answer",
    metadata,
    Column("question", String(64), primary_key=True, doc="what was asked of which database: a digest"),
    Column("value", String(100), primary_key=True, doc="for which number, or code"),
    Column("body", Text, nullable=False, doc="JSON: the rows"),
    Column("at", Float, nullable=False),
)

person = Table(
    "person",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("login", String(100), nullable=False, doc="lower case; what is typed when signing in"),
    Column("name", Words, nullable=False, default=""),
    Column("role", String(16), nullable=False, doc="administrator | supervisor | observer"),
    Column("password", Text, nullable=False, default="", doc="argon2; empty: none is set yet"),
    Column("totp", LargeBinary, doc="sealed: the key of the one-time codes; empty: none are wanted"),
    Column("totp_used", BigInteger, nullable=False, default=0, doc="the last half minute whose code was taken"),
    Column("recovery", Text, nullable=False, default="[]", doc="JSON list of digests of the codes that are left"),
    Column("active", Boolean, nullable=False, default=True),
    Column("created", Float, nullable=False),
    UniqueConstraint("login"),
)

web_session = Table(
    "web_session",
    metadata,
    Column("digest", String(64), primary_key=True, doc="SHA-256 of what the cookie holds"),
    Column("person", RowId, ForeignKey("person.id", ondelete="CASCADE"), nullable=False),
    Column("created", Float, nullable=False),
    Column("seen", Float, nullable=False),
    Column("peer", Words, nullable=False, default=""),
    Column("agent", Words, nullable=False, default=""),
    Index("ix_web_session_person", "person"),
)

api_token = Table(
    "api_token",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("digest", String(64), nullable=False, doc="SHA-256 of the token"),
    Column("person", RowId, ForeignKey("person.id", ondelete="CASCADE"), nullable=False, doc="whose rights bound it"),
    Column("name", Words, nullable=False),
    Column("scopes", Text, nullable=False, doc="JSON list of rights (web/rights.py)"),
    Column("created", Float, nullable=False),
    Column("expires", Float),
    Column("used", Float),
    UniqueConstraint("digest"),
    Index("ix_api_token_person", "person"),
)

invitation = Table(
    "invitation",
    metadata,
    Column("digest", String(64), primary_key=True, doc="SHA-256 of what the link holds"),
    Column("person", RowId, ForeignKey("person.id", ondelete="CASCADE"), doc="empty: whoever is the first administrator"),
    Column("expires", Float, nullable=False),
    Index("ix_invitation_person", "person"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("who", Words, nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", Words, nullable=False, default=""),
    Column("detail", Words, nullable=False, default=""),
    Column("peer", Words, nullable=False, default="", doc="from where"),
    Index("ix_audit_at", "at"),
)

setup_step = Table(
    "setup_step",
    metadata,
    Column("name", String(32), primary_key=True, doc="a step of the wizard of the first run"),
    Column("mark", String(16), nullable=False, default="", doc="done | skipped, as told by whoever goes through it"),
    Column("draft", LargeBinary, doc="sealed JSON: what was typed and not saved yet"),
    Column("at", Float, nullable=False),
)
