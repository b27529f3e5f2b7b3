"""Signed links in alerts: they open one alert for a while, and nothing that was changed in them does."""

from datetime import UTC, datetime, timedelta

import pytest

from aggregator.core.delivery import action_token, delivery_of
from aggregator.core.delivery.links import LIFE

KEY, NOW = b"k" * 32, datetime(2026, 3, 5, tzinfo=UTC)


def test_a_token_names_its_delivery_until_it_ends() -> None:
    """Two weeks, and not a second more."""
    token = action_token(KEY, "d-1_x", NOW)
    assert delivery_of(KEY, token, NOW) == "d-1_x"
    assert delivery_of(KEY, token, NOW + LIFE - timedelta(seconds=1)) == "d-1_x"
    assert delivery_of(KEY, token, NOW + LIFE) is None


@pytest.mark.parametrize("change", ["other", "later", "signature", "empty", "long", "unicode", "dots"])
def test_a_token_that_was_changed_opens_nothing(change: str) -> None:
    """Another delivery, another end, another signature, another key, no key."""
    delivery, ends, signature = action_token(KEY, "d1", NOW).split(".")
    changed = {
        "other": f"d2.{ends}.{signature}",
        "later": f"{delivery}.{int(ends, 16) + 1:x}.{signature}",
        "signature": f"{delivery}.{ends}.{'A' * 43}",
        "empty": "",
        "long": "x" * 100_000,
        "unicode": f"{delivery}.{ends}.{signature[:-1]}é",
        "dots": f"{delivery}.{ends}.{signature}.",
    }[change]
    assert delivery_of(KEY, changed, NOW) is None
    assert delivery_of(b"other", action_token(KEY, "d1", NOW), NOW) is None
    assert delivery_of(b"", action_token(b"", "d1", NOW), NOW) is None
