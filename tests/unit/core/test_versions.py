"""May files replace the configuration in force?"""

from datetime import UTC, datetime

import pytest

from aggregator.core.model import ConfigVersion
from aggregator.core.versions import pusher, rollback, verdict

ME, OTHER = "desk:/etc/aggregator", "other:/etc/aggregator"


def head(by: str = ME, number: int = 5) -> ConfigVersion:
    return ConfigVersion(number=number, digest="five", by=by, at=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("by", "digest", "base", "said"),
    [
        (ME, "five", None, "same"),
        (OTHER, "five", None, "same"),
        (ME, "six", None, "push"),  # edited while nothing ran
        (OTHER, "six", None, "foreign"),  # perhaps another installation
        (OTHER, "six", 5, "push"),  # an edit of what is in force
        (OTHER, "six", 4, "foreign"),  # somebody else was faster
        (ME, "three", None, "stale"),  # a copy that stayed behind
        (ME, "three", 4, "stale"),
        (ME, "three", 5, "push"),  # an edit back to what was
        (rollback(ME, 3), "six", 4, "push"),  # the edit that repairs what was rolled back
        (rollback(ME, 3), "four", 4, "stale"),  # what was rolled back, as it was
    ],
)
def test_verdict(by: str, digest: str, base: int | None, said: str) -> None:
    """Only an edit of what is in force, or of the last who pushed, goes through by itself."""
    assert verdict(head(by), digest, ME, ["five", "four", "three"], base=base) == said


def test_first_configuration_is_pushed() -> None:
    """An empty database takes what the first node has."""
    assert verdict(None, "one", ME) == "push"


def test_rollback_names_who_may_go_on() -> None:
    """A rollback keeps the name of the one whose files they are."""
    assert pusher(rollback(ME, 3)) == ME
