"""The id that a service gave the message of a delivery, so that an update can answer it."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
oldest_program = "0.3.0"


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("message_id", sa.Text(), nullable=False, server_default=""))
