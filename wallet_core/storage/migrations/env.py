"""Alembic's entry: runs on the connection that ``wallet_core.storage.migrate`` hands over."""

from alembic import context

from wallet_core.storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
