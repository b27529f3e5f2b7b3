"""Articles that are still to be read."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

INSTANT = sa.BigInteger()
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "wanted_texts",
        sa.Column("entry", NUMBER, sa.ForeignKey("entries.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", INSTANT, nullable=False),
    )
    op.create_index("wanted_texts_next", "wanted_texts", ["next_at"])
