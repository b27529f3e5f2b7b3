"""How each source is read, to notice when that changes; empty for feeds."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("feeds", sa.Column("reading", sa.Text(), nullable=False, server_default=""))
