"""Scenarios and codes kept here, and the last answers of the company's databases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "menu",
        sa.Column("line", sa.String(length=100), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("intro", sa.Text(), nullable=False),
        sa.Column("updated", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("line", name=op.f("pk_menu")),
    )
    op.create_table(
        "menu_button",
        sa.Column("menu", sa.String(length=100), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=20), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["menu"], ["menu.line"], name=op.f("fk_menu_button_menu_menu"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("menu", "position", name=op.f("pk_menu_button")),
    )
    op.create_table(
        "conference_code",
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("phone", sa.String(length=100), nullable=False),
        sa.Column("updated", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_conference_code")),
    )
    op.create_table(
        "company_answer",
        sa.Column("question", sa.String(length=64), nullable=False),
        sa.Column("value", sa.String(length=100), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("question", "value", name=op.f("pk_company_answer")),
    )
