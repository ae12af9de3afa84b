"""How far the events of each PBX have been dealt with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "progress",
        sa.Column("pbx", sa.String(length=100), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.Column("startup", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("pbx", name=op.f("pk_progress")),
    )
