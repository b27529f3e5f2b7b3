"""Parameters of a feed's links that are other ones at each poll and name nothing."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("feeds", sa.Column("volatile", sa.Text()))
