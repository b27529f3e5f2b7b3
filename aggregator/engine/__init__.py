"""The engine that dispatches a cluster's jobs: Procrastinate, in the extra `scale`.

Nothing of it is imported before it is used, and on SQLite it never is.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from aggregator import DISTRIBUTION
from aggregator.core.errors import StoreError

if TYPE_CHECKING:
    from aggregator.ports.jobs import Jobs

__all__ = ["MISSING", "is_available", "open_jobs", "schema_steps"]

MISSING = f"PostgreSQL needs the engine of the extra scale, which is not installed; pip install '{DISTRIBUTION}[scale]'"


def is_available() -> bool:
    """Tell whether the extra is installed."""
    return find_spec("procrastinate") is not None


def open_jobs(url: str, places: int) -> "Jobs":
    """Return the jobs in a database; `places`: how many this process works on at most. Raises StoreError."""
    if not is_available():
        raise StoreError(MISSING)
    from aggregator.engine.procrastinate import ProcrastinateJobs

    return ProcrastinateJobs(url, places)


def schema_steps() -> Sequence[tuple[str, str]]:
    """Return the engine's schema: (version, SQL) of its migrations in order, behind ("", SQL that makes it new).

    Raises StoreError.
    """
    if not is_available():
        raise StoreError(MISSING)
    from aggregator.engine.procrastinate import schema_steps

    return schema_steps()
