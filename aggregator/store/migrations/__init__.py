"""The schema's history, oldest first; alembic's scripts are in versions/."""

REVISIONS = (
    "0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0011", "0012", "0014", "0015", "0016", "0017",
    "0018", "0019", "0020", "0021", "0022", "0023", "0024",
)  # fmt: skip
