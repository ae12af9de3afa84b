"""Indexes for the report of missed calls: the missed ones alone, and of each client the talks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0012"
branch_labels = None
depends_on = None

MISSED = sa.text("outcome = 'missed'")


def upgrade() -> None:
    op.drop_index("ix_call_client", "call")
    op.create_index("ix_call_client", "call", ["client", "started", "outcome", "last_talker"])
    columns = ["portal", "started", "client", "line"]
    op.create_index("ix_call_missed", "call", columns, sqlite_where=MISSED, postgresql_where=MISSED)
