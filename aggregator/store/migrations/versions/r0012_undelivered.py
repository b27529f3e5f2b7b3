"""Recipients who do not know of a story, because the alert about it was given up."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "undelivered",
        sa.Column("story", sa.Text(), sa.ForeignKey("stories.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("channel", sa.Text(), primary_key=True),
        sa.Column("recipient", sa.Text(), primary_key=True),
        sqlite_with_rowid=False,
    )
