"""What actions record themselves under."""

from datetime import UTC, datetime

from aggregator.pipeline.triage import new_undo


def test_ids_of_undos_are_no_options() -> None:
    """One in 64 began with a hyphen, and `aggregator undo` answered "No such option"."""
    ids = {new_undo("seen", datetime(2026, 3, 1, tzinfo=UTC)).id for _ in range(300)}
    assert len(ids) == 300
    assert all(name.isalnum() and len(name) == 24 for name in ids)
