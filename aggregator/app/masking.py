"""Masking of secrets in the catalog: a feed's address may hold a key or a password."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from aggregator.core.model import Attempt, Backlog, ChannelActivity, Delivery, FeedState, FeedSummary, Health, HitDetail
from aggregator.core.redaction import HIDDEN, Redactor, hide_url_secrets
from aggregator.ports import Catalog

if TYPE_CHECKING:
    from aggregator.core.settings import Feed

TEXTS = ("url", "configured_url", "title", "last_error", "move_url", "hub", "self_url")


def masked_catalog(catalog: Catalog, redact: Redactor) -> Catalog:
    """Return the same catalog, with every login and known secret in its feeds and recipients replaced by `***`."""
    return cast(Catalog, _MaskedCatalog(catalog, redact))


class _MaskedCatalog:
    """A catalog that masks what configured addresses are returned in: listings of feeds, recipients of deliveries."""

    def __init__(self, catalog: Catalog, redact: Redactor) -> None:
        self._catalog, self._redact = catalog, redact

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalog, name)

    async def feeds(
        self, ids: Sequence[str] | None = None, *, after: str = "", limit: int = 0, counted: bool = True
    ) -> tuple[FeedSummary, ...]:
        return self._all_masked(await self._catalog.feeds(ids, after=after, limit=limit, counted=counted))

    async def feed_page(
        self, *, health: Health | None = None, offset: int = 0, limit: int = 50, counted: bool = True
    ) -> tuple[FeedSummary, ...]:
        return self._all_masked(
            await self._catalog.feed_page(health=health, offset=offset, limit=limit, counted=counted)
        )

    async def deliveries(self, **asked: Any) -> tuple[Delivery, ...]:
        return tuple(map(self._delivery, await self._catalog.deliveries(**asked)))

    async def delivery(self, delivery_id: str) -> tuple[Delivery, tuple[Attempt, ...], tuple[HitDetail, ...]]:
        found, attempts, details = await self._catalog.delivery(delivery_id)
        masked = tuple(replace(one, detail=shown(one.detail, self._redact)) for one in attempts)
        return self._delivery(found), masked, details

    async def channel_activity(
        self, names: Sequence[str], now: datetime, *, limit: int = 5
    ) -> Mapping[str, ChannelActivity]:
        found = await self._catalog.channel_activity(names, now, limit=limit)
        return {name: replace(one, last=tuple(map(self._delivery, one.last))) for name, one in found.items()}

    async def backlog(self, now: datetime, *, brief: bool = False) -> Backlog:
        found = await self._catalog.backlog(now, brief=brief)
        unwell = tuple(_masked(state, self._redact) for state in found.unwell)
        return replace(found, broken=tuple(map(self._delivery, found.broken)), unwell=unwell)

    def _delivery(self, delivery: Delivery) -> Delivery:
        """Mask who gets it, and what was answered about him."""
        error = delivery.last_error and shown(delivery.last_error, self._redact)
        return replace(delivery, recipient=shown(delivery.recipient, self._redact), last_error=error)

    def _all_masked(self, found: Sequence[FeedSummary]) -> tuple[FeedSummary, ...]:
        states = [_masked(one.state, self._redact) for one in found]
        return tuple(
            one if one.state is state else replace(one, state=state) for one, state in zip(found, states, strict=True)
        )


def shown(text: str, redact: Redactor) -> str:
    """Mask every known secret in a text, and the login and keys of every URL, also if written directly in the YAML."""
    return hide_url_secrets(redact(text))


def masked_feeds(feeds: "Iterable[Feed]", redact: Redactor) -> "list[Feed]":
    """Return feeds whose names and addresses may be shown."""
    # Before anything is made of them: escaped or quoted, a secret is no longer recognised.
    return [
        feed.model_copy(update={"url": shown(feed.url, redact), "title": shown(feed.title, redact)}) for feed in feeds
    ]


def masked_recipients(names: Sequence[str], redact: Redactor) -> tuple[str, ...]:
    """Return the names of a channel's recipients for people: what came from `${…}` as `***`, numbered if several."""
    masked = [shown(name, redact) for name in names]
    return tuple(
        f"{name} {masked[: number + 1].count(name)}" if HIDDEN in name and masked.count(name) > 1 else name
        for number, name in enumerate(masked)
    )


def _masked(state: FeedState, redact: Redactor) -> FeedState:
    known = {name: text for name in TEXTS if (text := getattr(state, name))}
    texts: dict[str, Any] = {name: safe for name, text in known.items() if (safe := shown(text, redact)) != text}
    return replace(state, **texts) if texts else state
