"""Which part of the joined recording of its call each recording is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("recording", sa.Column("began", sa.Float(), nullable=True))
    op.add_column("recording", sa.Column("closed", sa.Float(), nullable=True))
    op.add_column("recording", sa.Column("joined", sa.Text(), nullable=True))
    op.add_column("recording", sa.Column("mark", sa.Float(), nullable=True))
    op.add_column("recording", sa.Column("talkers", sa.Text(), nullable=True))
