"""Alembic's entry. The connection comes from `storage.upgrade`, in whose transaction everything happens."""

from __future__ import annotations

from alembic import context

from perezvon.storage.schema import metadata

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("run migrations through perezvon.storage.upgrade: it holds the lock and keeps a copy")

context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
