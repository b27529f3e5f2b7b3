"""The example configuration finds what a desk wants, in the languages that it reads, and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from aggregator.config import load
from aggregator.core.rules import Document, RuleIndex

ROOT = Path(__file__).parent.parent.parent
HEADLINES = yaml.load((ROOT / "tests/data/headlines.yaml").read_text(encoding="utf-8"), Loader=yaml.CBaseLoader)
TAGS = ("news", "security")


@pytest.fixture(scope="module")
def index() -> RuleIndex:
    return RuleIndex(load(ROOT / "config", {}).rules)


def wanted() -> Iterator[tuple[str, str]]:
    return ((rule, headline) for rule, headlines in HEADLINES["wanted"].items() for headline in headlines)


def found(index: RuleIndex, headline: str) -> list[str]:
    return [match.rule for match in index.match(Document(title=headline, feed_tags=TAGS))]


def test_there_are_enough_headlines() -> None:
    """There are enough headlines."""
    assert len([*wanted()]) >= 120
    assert len(HEADLINES["unwanted"]) >= 60


def test_wanted_headlines_are_found_by_their_rule(index: RuleIndex) -> None:
    """Recall of at least 0.95 over all; what is missed is named."""
    missed = [f"{rule}: {headline}" for rule, headline in wanted() if rule not in found(index, headline)]
    assert len(missed) <= 0.05 * len([*wanted()]), missed


def test_unwanted_headlines_alert_nobody(index: RuleIndex) -> None:
    """Unwanted headlines alert nobody."""
    alarms = {headline: rules for headline in HEADLINES["unwanted"] if (rules := found(index, headline))}
    assert not alarms
