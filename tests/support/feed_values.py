"""Feeds and states, short to write."""

from typing import Any

from msgspec.structs import replace

from aggregator.core.model import FeedState
from aggregator.core.settings import Feed


def feed(url: str, id: str = "f", **more: Any) -> Feed:
    """A configured feed."""
    return Feed.model_validate({"url": url, "id": id, **more})


def state_of(url: str, **more: Any) -> FeedState:
    """The state of a feed that was never polled, or what `more` says."""
    return replace(FeedState(id="f", url=url, configured_url=url), **more)
