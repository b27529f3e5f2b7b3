"""An index of the hits that were there at a first poll and were not sent."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    where = sa.text("reason = 'baseline'")
    op.create_index("hits_baseline", "hits", ["rule"], sqlite_where=where, postgresql_where=where)
