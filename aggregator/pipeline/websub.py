"""WebSub: hubs are asked to push, their pushes are ingested like polls, and in the end they are asked to stop.

A push is answered when it is stored; one that cannot be stored at the moment makes its feed due,
so that the next poll finds the entry.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

from aggregator.core.errors import FetchError, StoreError
from aggregator.core.model import FeedState, Fetched, Health
from aggregator.core.polling import websub
from aggregator.core.polling.schedule import rests_after_deaths
from aggregator.core.polling.websub import HubSubscription, Offer, Unsubscription
from aggregator.pipeline.context import Context
from aggregator.pipeline.ingest import Ingestor
from aggregator.ports import Catalog, Feeds, Hub, Subscriptions

log = logging.getLogger(__name__)

PATH = "/websub/"
CONCURRENCY = 20  # of one tick: hubs are few, and each gets one request a second
REQUEST_TIMEOUT_S = 40.0  # the loop must report in time
LEASE_S = 120.0
MAX_ATTEMPTS, PAUSE_S = 10, 0.3  # to get a feed that is being polled at this moment

PushOutcome = Literal["taken", "ignored", "unknown"]


class WebSub:
    """Keeps subscriptions, answers hubs, ingests pushes. Disabled without a public URL."""

    def __init__(
        self,
        context: Context,
        *,
        subscriptions: Subscriptions,
        hub: Hub,
        feeds: Feeds,
        catalog: Catalog,
        ingestor: Ingestor,
        secret: Callable[[], str],
    ) -> None:
        self._context = context
        self._subscriptions = subscriptions
        self._hub = hub
        self._feeds = feeds
        self._catalog = catalog
        self._ingestor = ingestor
        self._secret = secret

    def _site(self) -> str | None:
        web = self._context.active.config.settings.web
        return web.public_url.rstrip("/") if web.enabled and web.public_url else None

    # --- asking ----------------------------------------------------------------------------------

    async def tick(self) -> int:
        """Ask hubs that are due, forget what nobody offers any more; return how many were asked."""
        site = self._site()
        known = {one.feed: one for one in await self._subscriptions.all()}
        offers = await self._subscriptions.offers() if site else ()
        for feed in sorted(known.keys() - {offer.feed for offer in offers}):
            await self._end(known[feed])
        due = websub.unanswered(offers, known, self._context.now())[:CONCURRENCY]
        untold = await self._pending_unsubscriptions() if site else []
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                outcomes = await asyncio.gather(
                    *(self._ask(offer, known.get(offer.feed), site or "") for offer in due),
                    *(self._unsubscribe(leaving, site or "") for leaving in untold),
                    return_exceptions=True,
                )
        except TimeoutError:  # those that were not reached count as asked, and are asked again
            log.warning("hubs responded slowly; some will be retried in ten minutes")
            outcomes = []
        if failed := [error for error in outcomes if isinstance(error, BaseException)]:
            raise failed[0]
        return len(due) + len(untold)

    async def _end(self, subscription: HubSubscription) -> None:
        """End a subscription: nothing more is accepted from this hub for this feed; the hub is notified later."""
        leaving = websub.unsubscription(subscription, self._context.now())
        await self._subscriptions.remove([subscription.feed], [leaving] if leaving else [])

    async def _pending_unsubscriptions(self) -> list[Unsubscription]:
        """Return unsubscriptions to be sent; those that had time enough to ask back are forgotten."""
        leaving, now = await self._subscriptions.leaving(), self._context.now()
        if over := [one.callback for one in leaving if websub.is_over(one, now)]:
            await self._subscriptions.forget(over)
        return [one for one in leaving if not one.requested and not websub.is_over(one, now)][:CONCURRENCY]

    async def _unsubscribe(self, leaving: Unsubscription, site: str) -> None:
        """Unsubscribe once: a hub that misses it finds nobody at the callback, and its lease runs out."""
        await self._subscriptions.mark_requested(leaving.callback)
        try:
            await self._hub.unsubscribe(leaving, f"{site}{PATH}{leaving.callback}")
        except FetchError as error:
            log.info("unsubscribing from a hub failed: %s", error, extra={"hub": leaving.hub})
        except Exception:  # a bug concerns this hub, and no other
            log.exception("unsubscribing from a hub failed", extra={"hub": leaving.hub})

    async def _ask(self, offer: Offer, known: HubSubscription | None, site: str) -> None:
        """Ask a hub, for the first time or again. It may verify before it has answered, so the row comes first."""
        now = self._context.now()
        if known and websub.is_for(known, offer):
            asked = websub.asked_again(known, now)
        else:
            if known:
                await self._end(known)
            asked = HubSubscription(
                feed=offer.feed,
                hub=offer.hub,
                topic=offer.topic,
                callback=self._secret(),
                secret=self._secret(),
                asked_at=now,
            )
        await self._subscriptions.save(asked)
        try:
            feed = self._context.active.feeds.get(offer.feed)
            home = feed.url if feed else None
            moved_to = await self._hub.subscribe(asked, f"{site}{PATH}{asked.callback}", home=home)
            if moved_to:
                await self._subscriptions.moved(asked.feed, moved_to)
        except FetchError as error:
            log.info("subscription failed: %s", error, extra={"feed": offer.feed})
            await self._subscriptions.save(websub.refused(asked, str(error), now))
        except StoreError:
            raise
        except Exception as error:  # a bug concerns this hub, and no other: it rests for a day, as if it had refused
            log.exception("subscribing to a hub failed", extra={"feed": offer.feed, "hub": offer.hub})
            await self._subscriptions.save(websub.refused(asked, type(error).__name__, now))

    # --- answering -------------------------------------------------------------------------------

    async def verify(self, callback: str, query: Mapping[str, str]) -> str | None:
        """Answer a hub that asks whether we mean it; None: we do not."""
        subscription = await self._subscriptions.of(callback) if self._site() else None
        if subscription is None:
            return await self._release(callback, query)
        verdict = websub.verify(subscription, query, self._context.now())
        if verdict.subscription != subscription:
            await self._subscriptions.save(verdict.subscription)
            log.info("hub: %s", verdict.subscription.standing.value, extra={"feed": subscription.feed})
        return verdict.reply

    async def _release(self, callback: str, query: Mapping[str, str]) -> str | None:
        for leaving in await self._subscriptions.leaving() if self._site() else ():
            if leaving.callback == callback and (reply := websub.release(leaving, query)):
                await self._subscriptions.forget([callback])
                return reply
        return None

    async def receive(
        self, callback: str, content_type: str, signature: str, read: Callable[[], Awaitable[bytes]]
    ) -> PushOutcome:
        """Ingest what was pushed to a callback. The body is read only if the callback is known.

        Raises StoreError: then the hub should come again.
        """
        subscription = await self._subscriptions.of(callback) if self._site() else None
        if subscription is None:
            return "unknown"
        body = await read()
        if not websub.is_live(subscription, self._context.now()) or not websub.is_genuine(
            subscription, signature, body
        ):
            log.warning("ignored a push without a lease or a valid signature", extra={"feed": subscription.feed})
            return "ignored"
        state = await self._claim(subscription.feed)
        if state is None:
            await self._catalog.poll_soon(subscription.feed, self._context.now())
        elif state.health is Health.PAUSED:
            await self._feeds.release([state.id], owner=self._context.owner)
            return "ignored"
        elif rests_after_deaths(state, self._context.now()):
            log.warning(
                "a push for a feed that may be crashing the service is left to its next poll", extra={"feed": state.id}
            )
            await self._feeds.release([state.id], owner=self._context.owner)
            return "ignored"
        else:
            await self._take(state, websub.pushed(subscription, body, content_type))
        return "taken"

    async def _claim(self, feed: str) -> FeedState | None:
        """Claim the feed's lease; None if somebody kept it all the while, or its host rests."""
        for _ in range(MAX_ATTEMPTS):
            claimed = await self._feeds.claim_due(
                self._context.now(), owner=self._context.owner, lease_s=LEASE_S, limit=1, ids=[feed], force=True
            )
            if claimed:
                return claimed[0]
            await asyncio.sleep(PAUSE_S)
        return None

    async def _take(self, state: FeedState, document: Fetched) -> None:
        polled = await self._ingestor.receive(state, document)
        if isinstance(polled.error, StoreError):
            raise polled.error
        if polled.error is not None:  # an empty ping, or something else: the feed itself will tell
            await self._catalog.poll_soon(state.id, self._context.now())
