"""An index of the hits that a person took out of a story."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
oldest_program = "0.3.0"


def upgrade() -> None:
    where = sa.text("substr(reason, 1, 12) = 'split from: '")
    op.create_index("hits_split", "hits", ["rule"], sqlite_where=where, postgresql_where=where)
