"""The tables. Times are POSIX seconds, UTC (float); JSON is text. One schema for SQLite and PostgreSQL.

Order inside a lane is `step.sequence`; `step.state` is claimed by equality, never by a range over pending rows.
"""

from __future__ import annotations

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
    UniqueConstraint,
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

installation = Table(
    "installation",
    metadata,
    Column("id", String(32), primary_key=True, comment="random, made at the first start; part of every EXTERNAL_CALL_ID"),
    Column("created", Float, nullable=False),
)

owner = Table(
    "owner",
    metadata,
    Column("resource", String(200), primary_key=True, comment="service | pbx:NAME | portal:NAME"),
    Column("epoch", BigInteger, nullable=False, comment="raised at every take-over; an older owner cannot write"),
    Column("taken", Float, nullable=False),
    Column("holder", String(200), nullable=False),
)

setting_version = Table(
    "setting_version",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("who", String(200), nullable=False),
    Column("note", Text, nullable=False, default=""),
    Column("body", Text, nullable=False, comment="JSON; secrets sealed (settings/secrets.py)"),
)

token = Table(
    "token",
    metadata,
    Column("portal", String(100), primary_key=True),
    Column("sealed", LargeBinary, nullable=False, comment="JSON of the OAuth grant, encrypted"),
    Column("member_id", String(100), nullable=False, default=""),
    Column("updated", Float, nullable=False),
)

employee = Table(
    "employee",
    metadata,
    Column("portal", String(100), primary_key=True),
    Column("user_id", String(32), primary_key=True),
    Column("extension", String(32), nullable=False, default=""),
    Column("name", Text, nullable=False, default=""),
    Column("active", Boolean, nullable=False, default=True),
    Column("phones", Text, nullable=False, default="[]", comment="JSON list of E.164 numbers of the profile"),
    Column("refreshed", Float, nullable=False),
)

call = Table(
    "call",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("pbx", String(100), nullable=False),
    Column("portal", String(100), nullable=False, default=""),
    Column("direction", String(16), nullable=False),
    Column("client", String(100), nullable=False, default=""),
    Column("line", String(100), nullable=False, default=""),
    Column("started", Float, nullable=False),
    Column("answered", Float),
    Column("ended", Float),
    Column("outcome", String(32)),
    Column("duration", Float, nullable=False, default=0.0),
    Column("last_talker", String(64), nullable=False, default=""),
    Column("live", Boolean, nullable=False),
    Column("state", Text, nullable=False, comment="JSON: the tracker's state of a live call; the record when ended"),
    Column("plan", Text, nullable=False, default="{}", comment="JSON: the planner's state"),
    Index("ix_call_pbx_live", "pbx", "live"),
    Index("ix_call_started", "started"),
    Index("ix_call_client", "client"),
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
    Column("id", String(200), primary_key=True, comment="a call's id, or another thing whose steps keep their order"),
    Column("portal", String(100), nullable=False),
    Column("created", Float, nullable=False),
    Column("next_sequence", Integer, nullable=False, default=1),
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
    Column("params", Text, nullable=False, comment='JSON; a Ref is {"$ref": kind, "field": name}'),
    Column("priority", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("expires", Float),
    Column("state", String(16), nullable=False, comment="new | sending | done | skipped | dead"),
    Column("attempts", Integer, nullable=False, default=0),
    Column("not_before", Float, nullable=False, default=0.0),
    Column("finished", Float),
    Column("result", Text, comment="JSON: the portal's answer, or the error that the step ended with"),
    Column("error", Text, comment="the last error, in words"),
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
    Column("path", Text, nullable=False, comment="as the PBX names it"),
    Column("state", String(16), nullable=False, comment="new | ready | missing | failed"),
    Column("file", Text, nullable=False, default="", comment="our mp3"),
    Column("attempts", Integer, nullable=False, default=0),
    Column("not_before", Float, nullable=False, default=0.0),
    Column("created", Float, nullable=False),
    Column("error", Text, nullable=False, default=""),
    UniqueConstraint("call", "path"),
    Index("ix_recording_state", "state"),
)

click = Table(
    "click",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("portal", String(100), nullable=False),
    Column("portal_call", String(100), nullable=False, comment="the portal's CALL_ID"),
    Column("user_id", String(32), nullable=False),
    Column("number", String(100), nullable=False),
    Column("line", String(100), nullable=False, default=""),
    Column("received", Float, nullable=False),
    Column("uniqueid", String(150), nullable=False, default="", comment="ChannelId of our Originate"),
    Column("call", String(200), nullable=False, default=""),
    Column("state", String(16), nullable=False, comment="new | dialling | calling | finished | dropped"),
    Column("error", Text, nullable=False, default=""),
    UniqueConstraint("portal", "portal_call"),
    Index("ix_click_state", "state"),
    Index("ix_click_uniqueid", "uniqueid"),
)

counter = Table(
    "counter",
    metadata,
    Column("name", String(200), primary_key=True, comment="e.g. unmapped:main:105"),
    Column("value", BigInteger, nullable=False),
    Column("last", Float, nullable=False),
)
