"""How far the wizard of the first run has come, and what was typed there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "setup_step",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("mark", sa.String(length=16), nullable=False),
        sa.Column("draft", sa.LargeBinary(), nullable=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_setup_step")),
    )
