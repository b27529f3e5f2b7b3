"""Permanent redirects: accepted after three confirmations over a day, and only if a feed is there."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from aggregator.core.model import FeedState

CONFIRMATIONS = 3
CONFIRMED_OVER = timedelta(hours=24)
PERMANENT = frozenset({301, 308})


class RedirectMemory(NamedTuple):
    """A remembered move; `url` is where the feed is fetched from now on."""

    url: str
    move_url: str | None = None
    move_count: int = 0
    move_since: datetime | None = None


def permanent_target(hops: Sequence[tuple[int, str]], final: str) -> str | None:
    """Return where the unbroken run of permanent redirects at the start of `hops` leads, if anywhere.

    `hops` are (status, URL that answered with it), `final` is the URL that gave the document.
    """
    for index, (status, _) in enumerate(hops):
        if status not in PERMANENT:
            return hops[index][1] if index else None
    return final if hops else None


def unchanged(state: FeedState) -> RedirectMemory:
    """Keep what is remembered, without a new answer."""
    return RedirectMemory(state.url, state.move_url, state.move_count, state.move_since)


def follow(state: FeedState, hops: Sequence[tuple[int, str]], final: str, now: datetime) -> RedirectMemory:
    """Update the memory of a move after a successful poll: begun, counted, confirmed or over."""
    target = permanent_target(hops, final)
    if target is None or target == state.url:
        return RedirectMemory(state.url)
    if target != state.move_url or state.move_since is None:
        return RedirectMemory(state.url, target, 1, now)
    count = state.move_count + 1
    if count >= CONFIRMATIONS and now - state.move_since >= CONFIRMED_OVER:
        return RedirectMemory(target)
    return RedirectMemory(state.url, target, count, state.move_since)
