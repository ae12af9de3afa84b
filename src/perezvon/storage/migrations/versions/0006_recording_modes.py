"""What is to become of each recording: decided when its call ended."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("recording", sa.Column("mode", sa.String(length=8), nullable=False, server_default="upload"))
