"""Counts that triggers keep, and an index of hits that answers the first page alone.

Triggers, because hits and entries come, go and change in a dozen places, by cascades too, and in a cluster through
older programs. SQLite, which has one writer, counts in place. In PostgreSQL a row that everybody counts in would make
writers wait for each other, or deadlock: there, each change is a row of its own, and upkeep adds them up.

A migration that makes one of these tables anew has to make its triggers again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
oldest_program = "0.3.0"

SPLIT = "CASE WHEN substr({row}.reason, 1, 12) = 'split from: ' THEN 'split' ELSE '' END"
PART = f"{{row}}.state || '/' || coalesce({{row}}.mark, '') || '/' || {SPLIT}"
# Of each table: what is counted (kind, name, part), and the columns whose change is one of these.
COUNTED = {
    "entries": ([("entries", "{row}.feed", "''")], ()),
    "hits": ([("hits", "{row}.feed", "''"), ("rule", "{row}.rule", PART)], ("rule", "feed", "state", "mark", "reason")),
    "deliveries": ([("deliveries", "{row}.state", "''")], ("state",)),
}


def upgrade() -> None:
    op.create_table(
        "counts",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
    )
    op.create_index("counts_name", "counts", ["kind", "name", "part"])
    sqlite = op.get_bind().dialect.name == "sqlite"
    for table, (counted, columns) in COUNTED.items():
        if sqlite:
            _in_place(table, counted, columns)
        else:
            _apart(table, counted, columns)
        # Behind the triggers: making them waits for those who still write without, and holds up all others.
        for kind, name, part in counted:
            what = f"'{kind}', {name}, {part}".format(row=table)
            op.execute(f"INSERT INTO counts (kind, name, part, n) SELECT {what}, count(*) FROM {table} GROUP BY 2, 3")  # noqa: S608 - all written above
    op.drop_index("hits_dated", "hits")
    op.create_index("hits_dated", "hits", ["dated_at", "id", "state", "mark", "story", "entry"])


def _in_place(table: str, counted: list[tuple[str, str, str]], columns: tuple[str, ...]) -> None:
    def step(row: str, by: int) -> str:
        steps = []
        for kind, name, part in counted:
            name, part = name.format(row=row), part.format(row=row)
            steps.append(f"UPDATE counts SET n = n + {by} WHERE kind = '{kind}' AND name = {name} AND part = {part};")  # noqa: S608
            steps.append(f"INSERT INTO counts SELECT '{kind}', {name}, {part}, {by} WHERE changes() = 0;")
        return " ".join(steps)

    op.execute(f"CREATE TRIGGER {table}_come AFTER INSERT ON {table} BEGIN {step('new', 1)} END")
    op.execute(f"CREATE TRIGGER {table}_go AFTER DELETE ON {table} BEGIN {step('old', -1)} END")
    if columns:
        changed = " OR ".join(f"old.{column} IS NOT new.{column}" for column in columns)
        change = f"AFTER UPDATE OF {', '.join(columns)} ON {table} WHEN {changed}"
        op.execute(f"CREATE TRIGGER {table}_change {change} BEGIN {step('old', -1)} {step('new', 1)} END")


def _apart(table: str, counted: list[tuple[str, str, str]], columns: tuple[str, ...]) -> None:
    def step(row: str, by: int) -> str:
        rows = ", ".join(f"('{kind}', {name}, {part}, {by})" for kind, name, part in counted).format(row=row)
        return f"INSERT INTO counts (kind, name, part, n) VALUES {rows};"  # noqa: S608

    op.execute(
        f"CREATE FUNCTION count_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF TG_OP <> 'INSERT' THEN {step('old', -1)} END IF; IF TG_OP <> 'DELETE' THEN {step('new', 1)} END IF;"
        " RETURN NULL; END $$"
    )
    each = f"ON {table} FOR EACH ROW"
    op.execute(f"CREATE TRIGGER {table}_come_go AFTER INSERT OR DELETE {each} EXECUTE FUNCTION count_{table}()")
    if columns:
        changed = " OR ".join(f"old.{column} IS DISTINCT FROM new.{column}" for column in columns)
        change = f"AFTER UPDATE OF {', '.join(columns)} {each} WHEN ({changed})"
        op.execute(f"CREATE TRIGGER {table}_change {change} EXECUTE FUNCTION count_{table}()")
