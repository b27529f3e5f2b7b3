"""May files replace the configuration in force?"""

from datetime import UTC, datetime

import pytest

from aggregator.core.model import ConfigVersion
from aggregator.core.versions import is_older, oldest_program, pusher, rollback, verdict

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


@pytest.mark.parametrize(
    ("version", "than", "older"),
    [
        ("0.9.1", "0.10.0", True),
        ("1.0.0", "1.0.0", False),
        ("1.0.0rc1", "1.0.0", True),
        ("1.0.0+local", "1.0.0", False),
        ("1.2", "", False),
        ("1.2", "one", False),
    ],
)
def test_versions_are_compared_by_their_numbers(version: str, than: str, older: bool) -> None:
    """A pre-release comes before its release; what is no version keeps nobody out."""
    assert is_older(version, than) is older


@pytest.mark.parametrize(
    ("declared", "version", "before", "oldest"),
    [
        (["", "0.3.0", "0.2.0"], "0.5.0", "", "0.3.0"),  # the most demanding migration decides
        (["0.6.0"], "0.5.0", "", "0.5.0"),  # on the way to 0.6.0
        (["0.3.0"], "0.5.0", "0.4.0", "0.4.0"),  # it never goes back
        ([], "0.5.0", "0.4.0", "0.4.0"),
    ],
)
def test_oldest_program_after_an_upgrade(declared: list[str], version: str, before: str, oldest: str) -> None:
    """What migrations declare, what was so before, and never more than the program that upgrades."""
    assert oldest_program(declared, version, before) == oldest
