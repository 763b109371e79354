"""Alembic's entry: runs on the connection that ``wallet_core.storage.migrate`` hands over."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
