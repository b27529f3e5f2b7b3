"""Masking of secrets in the catalog: a feed's address may hold a key or a password."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from aggregator.core.model import FeedState, FeedSummary, Health
from aggregator.core.redaction import Redactor, hide_logins
from aggregator.ports import Catalog

TEXTS = ("url", "configured_url", "title", "last_error", "move_url", "hub", "self_url")


def masked_catalog(catalog: Catalog, redact: Redactor) -> Catalog:
    """Return the same catalog, with every login and known secret in its feeds replaced by `***`."""
    return cast(Catalog, _MaskedCatalog(catalog, redact))


class _MaskedCatalog:
    """A catalog that masks the listing of feeds, the one place where configured addresses are returned."""

    def __init__(self, catalog: Catalog, redact: Redactor) -> None:
        self._catalog, self._redact = catalog, redact

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalog, name)

    async def feeds(
        self, ids: Sequence[str] | None = None, *, after: str = "", limit: int = 0
    ) -> tuple[FeedSummary, ...]:
        return self._all_masked(await self._catalog.feeds(ids, after=after, limit=limit))

    async def feed_page(
        self, *, health: Health | None = None, offset: int = 0, limit: int = 50
    ) -> tuple[FeedSummary, ...]:
        return self._all_masked(await self._catalog.feed_page(health=health, offset=offset, limit=limit))

    def _all_masked(self, found: Sequence[FeedSummary]) -> tuple[FeedSummary, ...]:
        return tuple(replace(one, state=_masked(one.state, self._redact)) for one in found)


def shown(text: str, redact: Redactor) -> str:
    """Mask every known secret in a text, and every login, also one written directly in the YAML."""
    return hide_logins(redact(text))


def _masked(state: FeedState, redact: Redactor) -> FeedState:
    texts: dict[str, Any] = {name: shown(text, redact) for name in TEXTS if (text := getattr(state, name))}
    return replace(state, **texts)
