"""An index that holds all that a rule's figures are made of; words of links in the full text.

Entries stay findable by their other words until their turn to be indexed again has come.
"""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.drop_index("hits_rule_state", "hits")
    op.create_index("hits_rule_state", "hits", ["rule", "state", "created_at", "mark"])
    op.execute("INSERT INTO unindexed (entry) SELECT id FROM entries WHERE true ON CONFLICT DO NOTHING")
