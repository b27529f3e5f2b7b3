"""Alembic's entry: runs the scripts on the connection that maintenance holds, inside its transaction."""

from alembic import context

import aggregator.store.cluster_schema  # noqa: F401 - adds its tables
from aggregator.store.partial_indexes import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
