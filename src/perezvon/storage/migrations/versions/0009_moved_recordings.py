"""Where a hook has found a recording."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("recording", sa.Column("found", sa.Text(), nullable=True))
