"""Alembic's environment: runs the revisions on the connection that it is handed.

`warnsvc.store.migrate` opens the connection, holds the lock and commits; this file never does. One
revision serves both databases; on SQLite, tables are rebuilt where ALTER cannot do it (batch mode),
and the whole upgrade is one transaction on both.
"""

from alembic import context
from sqlmodel import SQLModel

from warnsvc.store import table

assert table  # Imported for the metadata that it fills.

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
