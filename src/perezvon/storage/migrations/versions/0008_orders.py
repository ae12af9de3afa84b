"""Calls that a robot of the portal or a callback form has ordered, and the call list that a click belongs to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("click", sa.Column("call_list", sa.String(length=32), nullable=True))
    op.create_table(
        "call_order",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("portal", sa.String(length=100), nullable=False),
        sa.Column("key", sa.String(length=150), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("received", sa.Float(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.Float(), nullable=False),
        sa.Column("uniqueid", sa.String(length=150), nullable=False),
        sa.Column("call", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_call_order")),
        sa.UniqueConstraint("portal", "key", name=op.f("uq_call_order_portal_key")),
    )
    op.create_index("ix_call_order_portal_state", "call_order", ["portal", "state"])
    op.create_index("ix_call_order_portal_digest", "call_order", ["portal", "digest"])
