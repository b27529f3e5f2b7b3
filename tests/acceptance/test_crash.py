"""Kill -9: nothing that was published is lost, and nothing is sent more often than there were kills.

benchmarks/crash.py does the same a thousand times, with a table.
"""

from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.crash import PLACES, Ground
from tests.support.fault_injection import CLUSTER_POINTS
from tests.support.postgres import PostgresServer, postgres

__all__ = ["postgres"]


@pytest.mark.slow
def test_a_kill_at_every_point_loses_nothing(tmp_path: Path) -> None:
    """Killed at random and at each named point in turn: all is told, repeats are rare and marked."""
    with closing(Ground(tmp_path, "a kill at every point")) as ground:
        for point in PLACES:
            ground.kill(point)
        ground.peace()
        account = ground.account("all")
    assert account.kills == len(PLACES)
    assert account.published >= len(PLACES)
    assert account.kept, account


@pytest.mark.postgres
@pytest.mark.slow
def test_a_kill_at_every_point_of_a_cluster_loses_nothing(tmp_path: Path, postgres: PostgresServer) -> None:
    """The same on PostgreSQL: in the planner, as a job begins, between fetch and commit, while hits are routed."""
    with closing(Ground(tmp_path, "a cluster", database=postgres.create())) as ground:
        for point in CLUSTER_POINTS:
            ground.kill(point)
        ground.peace()
        account = ground.account("all")
    assert account.kills == len(CLUSTER_POINTS)
    assert account.kept, account
