"""Keys of stories in one tree, the latest of each key together: a third of the space, and of the time to write them."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
oldest_program = "0.3.0"


def upgrade() -> None:
    op.create_table(
        "story_keys_by_time",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("at", sa.BigInteger(), primary_key=True),
        sa.Column("story", sa.Text(), primary_key=True),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO story_keys_by_time (key, at, story) SELECT key, at, story FROM story_keys ORDER BY key, at, story"
    )
    op.drop_table("story_keys")
    op.rename_table("story_keys_by_time", "story_keys")
