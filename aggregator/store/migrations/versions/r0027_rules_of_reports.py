"""The rules that alerted on each report; null for those from before, which are known to all rules of their story."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
oldest_program = "0.3.0"


def upgrade() -> None:
    op.add_column("reports", sa.Column("alerted_rules", sa.Text()))
