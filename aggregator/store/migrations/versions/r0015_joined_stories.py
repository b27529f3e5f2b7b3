"""Stories that turned out to be part of another one, and the deliveries about a story."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("stories", sa.Column("joined", sa.Text()))
    op.create_index("deliveries_story", "deliveries", ["story"])
