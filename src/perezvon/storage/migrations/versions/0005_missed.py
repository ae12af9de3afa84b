"""Clients whom nobody answered, and their tasks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "missed",
        sa.Column("portal", sa.String(length=100), nullable=False),
        sa.Column("client", sa.String(length=40), nullable=False),
        sa.Column("episode", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("lane", sa.String(length=200), nullable=False),
        sa.Column("misses", sa.Integer(), nullable=False),
        sa.Column("first", sa.Float(), nullable=False),
        sa.Column("last", sa.Float(), nullable=False),
        sa.Column("task", sa.String(length=40), nullable=False),
        sa.Column("responsible", sa.String(length=40), nullable=False),
        sa.Column("called_back", sa.Float(), nullable=True),
        sa.Column("closed", sa.Float(), nullable=True),
        sa.Column("remind", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("portal", "client", "episode", name=op.f("pk_missed")),
        sa.UniqueConstraint("lane", name=op.f("uq_missed_lane")),
    )
    op.create_index("ix_missed_remind", "missed", ["portal", "remind"])
    op.create_index("ix_missed_called_back", "missed", ["portal", "called_back"])
