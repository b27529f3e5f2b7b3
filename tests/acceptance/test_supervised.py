"""One hostile input at a time beside a healthy feed and channel, under a supervisor: nobody is killed, starved or late.

A handful of the cases; all of them run with `python -m benchmarks.supervised`. The bounds are far from what is usual,
since the machine may be busy, and far from what was seen where the service failed: those never came back.
"""

from pathlib import Path

import pytest

from tests.acceptance.hostile_cases import CASES
from tests.acceptance.supervisor import trial

SHORT = (
    "2 title of no-break spaces",
    "3 endless body of a 500",
    "9 redirect to a..example",
    "B killed parse workers",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORT)
def test_a_hostile_input_beside_healthy_neighbours(name: str, tmp_path: Path) -> None:
    """No kill, alerts arrive, /healthz answers, memory is bounded, SIGTERM is obeyed, the culprit is named."""
    outcome = trial(name, CASES[name], tmp_path, seconds=8, healthz_s=8, delay_s=11, memory_bytes=2**29)
    assert outcome.passed, (outcome.faults, outcome)
