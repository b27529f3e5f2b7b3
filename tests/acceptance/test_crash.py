"""Kill -9: nothing that was published is lost, and nothing is sent more often than there were kills.

benchmarks/crash.py does the same a thousand times, with a table.
"""

from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.crash import PLACES, Ground


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
