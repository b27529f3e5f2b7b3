"""WebSub with a hub on loopback: the cases of the W3C's list for subscribers, and what else hubs do."""

import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from aggregator.core.model import FeedState
from aggregator.core.polling.websub import HubSubscription, SubscriptionState
from aggregator.core.settings import Feed
from aggregator.pipeline.websub import WebSub
from tests.support.loopback import Answer, Loopback, answer, redirect
from tests.support.poll_harness import PollHarness

pytestmark = pytest.mark.anyio

PUBLIC = "https://public.example/aggregator/"


@pytest.fixture
def anyio_backend() -> str:
    """The application speaks asyncio."""
    return "asyncio"


def document(*titles: str, head: str = "") -> bytes:
    items = "".join(f"<item><title>{title}</title><guid>http://n.example/{title}</guid></item>" for title in titles)
    return (
        "<rss version='2.0' xmlns:atom='http://www.w3.org/2005/Atom'><channel><title>N</title>"
        f"{head}{items}</channel></rss>"
    ).encode()


@dataclass
class World:
    """A feed at a site with a hub, the service that polls it, and what hubs talk to."""

    site: Loopback
    service: PollHarness
    names: list[str] = field(default_factory=list)
    public: str | None = PUBLIC

    @property
    def push(self) -> WebSub:
        service = self.service
        web = service.config.settings.web.model_copy(update={"public_url": self.public})
        settings = service.config.settings.model_copy(update={"web": web})
        return WebSub(
            service.context(settings),
            subscriptions=service.store.subscriptions,
            hub=service.fetcher,
            feeds=service.store.feeds,
            catalog=service.store.catalog,
            ingestor=service.intake,
            secret=self._name,
        )

    def _name(self) -> str:
        self.names.append(f"name{len(self.names)}")
        return self.names[-1]

    async def subscription(self) -> HubSubscription:
        (found,) = await self.service.store.subscriptions.all()
        return found

    async def state(self) -> FeedState:
        return await self.service.state("f")

    def asked(self, path: str = "/hub") -> dict[str, str]:
        """The last form that a hub was sent."""
        return dict(parse_qsl(self.site.heard(path)[-1].body.decode()))

    async def verify(self, **changes: str) -> str | None:
        """The hub asks back whether we mean it."""
        form = self.asked()
        question = {"hub.mode": "subscribe", "hub.topic": form["hub.topic"], "hub.challenge": "c"}
        question |= {"hub.lease_seconds": "86400"} | {f"hub.{name}": value for name, value in changes.items()}
        return await self.push.verify((await self.subscription()).callback, question)

    async def bring(self, body: bytes, *, method: str = "sha256", secret: str | None = None) -> str:
        """The hub pushes a document, signed."""
        subscription = await self.subscription()
        signed = hmac.new((secret or subscription.secret).encode(), body, method).hexdigest()
        return await self.receive(subscription.callback, body, f"{method}={signed}")

    async def receive(self, callback: str, body: bytes, signature: str) -> str:
        async def read() -> bytes:
            return body

        return await self.push.receive(callback, "application/rss+xml", signature, read)

    async def titles(self) -> set[str]:
        return {entry.title for entry in await self.service.entries("f")}


@asynccontextmanager
async def world(
    *hub: Answer, said: Answer | None = None, path: str = "/feed", public: str | None = PUBLIC
) -> AsyncIterator[World]:
    """A feed that was polled once and names a hub in its HTTP header, unless `said` says otherwise."""
    async with Loopback() as site:
        site.script("/hub", *(hub or (answer(202),)))
        url = site.script(path, said or answer(200, document("a"), Link=f'<{site.url("/hub")}>; rel="hub"'))
        async with PollHarness(Feed(url=url, id="f")) as service:
            await service.poll()
            yield World(site, service, public=public)


@asynccontextmanager
async def subscribed() -> AsyncIterator[World]:
    """The same with a verified subscription."""
    async with world() as made:
        assert await made.push.tick() == 1
        assert await made.verify() == "c"
        yield made


# --- discovery (100–104) ---------------------------------------------------------------------------


async def test_100_discovery_in_the_header() -> None:
    """Hub and self of the Link header are asked and named."""
    async with Loopback() as site:
        hub = site.script("/hub", answer(202))
        links = f'<{hub}>; rel="hub", <{site.url("/self")}>; rel="self"'
        async with PollHarness(
            Feed(url=site.script("/feed", answer(200, document("a"), Link=links)), id="f")
        ) as service:
            await service.poll()
            made = World(site, service)
            await made.push.tick()
            form = made.asked()
    assert (form["hub.mode"], form["hub.topic"]) == ("subscribe", site.url("/self"))
    assert form["hub.callback"].startswith(PUBLIC + "websub/")
    assert len(form["hub.secret"]) < 200


async def test_103_discovery_in_the_document() -> None:
    """An atom:link of an RSS document will do."""
    async with Loopback() as site:
        hub = site.script("/hub", answer(202))
        head = f"<atom:link rel='hub' href='{hub}'/><atom:link rel='self' href='{site.url('/named')}'/>"
        async with PollHarness(
            Feed(url=site.script("/feed", answer(200, document("a", head=head))), id="f")
        ) as service:
            await service.poll()
            made = World(site, service)
            await made.push.tick()
            assert made.asked()["hub.topic"] == site.url("/named")


async def test_104_the_header_comes_first() -> None:
    """Where header and document name different hubs, the header's is asked."""
    async with Loopback() as site:
        first, second = site.script("/first", answer(202)), site.script("/second", answer(202))
        body = document("a", head=f"<atom:link rel='hub' href='{second}'/>")
        url = site.script("/feed", answer(200, body, Link=f'<{first}>; rel="hub"'))
        async with PollHarness(Feed(url=url, id="f")) as service:
            await service.poll()
            await World(site, service).push.tick()
            assert (len(site.heard("/first")), len(site.heard("/second"))) == (1, 0)


# --- subscribing (200–205) -------------------------------------------------------------------------


async def test_201_a_temporary_redirect_of_the_topic() -> None:
    """Without a self link the topic is the configured address, not where a 302 led."""
    async with Loopback() as site:
        hub = site.script("/hub", answer(202))
        site.script("/moved", answer(200, document("a"), Link=f'<{hub}>; rel="hub"'))
        url = site.script("/feed", redirect(302, "/moved"))
        async with PollHarness(Feed(url=url, id="f")) as service:
            await service.poll()
            made = World(site, service)
            await made.push.tick()
            assert made.asked()["hub.topic"] == url


@pytest.mark.parametrize("status", [307, 308])
async def test_203_204_a_redirect_of_the_hub(status: int) -> None:
    """The same form is sent where the hub redirects to."""
    async with world(redirect(status, "/other")) as made:
        made.site.script("/other", answer(202))
        await made.push.tick()
        assert made.asked("/other") == made.asked("/hub")
        assert (await made.subscription()).standing is SubscriptionState.REQUESTED


async def test_a_permanent_redirect_of_the_hub_is_remembered() -> None:
    """Over a restart; a 307 is not; and where the new place fails, the next question goes to the old one."""
    async with world(redirect(308, "/middle")) as made:
        made.site.script("/middle", redirect(307, "/other"))
        made.site.script("/other", answer(202))
        made.site.script("/middle", answer(202), answer(202), answer(500), answer(202))
        await made.push.tick()
        assert await made.verify() == "c"
        assert (await made.subscription()).moved_to == made.site.url("/middle")
        made.service.clock.move(seconds=0.81 * 86400)
        await made.push.tick()  # a new Push each time: nothing is kept but rows
        assert (len(made.site.heard("/hub")), len(made.site.heard("/middle"))) == (1, 2)
        await made.verify()
        made.service.clock.move(seconds=0.81 * 86400)
        await made.push.tick()
        assert (await made.subscription()).moved_to is None
        made.service.clock.move(days=1)
        await made.push.tick()
        assert len(made.site.heard("/hub")) == 2


async def test_a_permanent_redirect_of_the_topic() -> None:
    """The topic is the new address as soon as the move is confirmed, and stays it."""
    async with Loopback() as site:
        hub = site.script("/hub", answer(202))
        site.script("/new", answer(200, document("a"), Link=f'<{hub}>; rel="hub"'))
        async with PollHarness(Feed(url=site.script("/feed", redirect(301, "/new")), id="f")) as service:
            made = World(site, service)
            for _ in range(4):
                await service.force()
                service.clock.move(hours=13)
            await made.push.tick()
            assert made.asked()["hub.topic"] == site.url("/new")


async def test_205_only_what_was_asked_for_is_confirmed() -> None:
    """Another topic, an unsubscription, another callback: not ours."""
    async with world() as made:
        await made.push.tick()
        assert await made.verify(topic="https://other.example/") is None
        assert await made.verify(mode="unsubscribe") is None
        assert await made.push.verify("guessed", {"hub.mode": "subscribe", "hub.challenge": "c"}) is None
        assert (await made.subscription()).standing is SubscriptionState.REQUESTED


async def test_a_hub_is_unsubscribed_when_the_feed_is_removed() -> None:
    """A feed that is removed is unsubscribed, once; the hub's question is confirmed, once, and only that one."""
    async with subscribed() as made:
        callback = (await made.subscription()).callback
        await made.service.store.feeds.sync([], made.service.clock.now())
        assert await made.push.tick() == 1
        form = made.asked()
        assert (form["hub.mode"], form["hub.callback"]) == ("unsubscribe", f"{PUBLIC}websub/{callback}")
        assert "hub.secret" not in form
        question = {"hub.mode": "unsubscribe", "hub.topic": form["hub.topic"], "hub.challenge": "bye"}
        assert await made.push.verify(callback, {**question, "hub.topic": "other"}) is None
        assert await made.push.verify(callback, {**question, "hub.mode": "subscribe"}) is None
        assert await made.push.verify(callback, question) == "bye"
        assert await made.push.verify(callback, question) is None
        assert await made.push.tick() == 0
        assert await made.receive(callback, b"", "") == "unknown"


async def test_a_feed_that_names_another_hub_leaves_the_old_one() -> None:
    """Also where the old hub does not answer any more: it is told once, and forgotten after a day."""
    async with subscribed() as made:
        other = made.site.script("/other", answer(202))
        made.site.script("/feed", answer(200, document("b"), Link=f'<{other}>; rel="hub"'))
        made.site.script("/hub", answer(503))
        await made.service.force()
        await made.push.tick()
        await made.push.tick()
        assert (made.asked()["hub.mode"], made.asked("/other")["hub.mode"]) == ("unsubscribe", "subscribe")
        assert len(made.site.heard("/hub")) == 2
        made.service.clock.move(days=1)
        await made.push.tick()
        assert await made.service.store.subscriptions.leaving() == ()


async def test_a_topic_that_moves_is_subscribed_anew() -> None:
    """A new self link means a new subscription with new names; the old callback is nobody's."""
    async with subscribed() as made:
        old = await made.subscription()
        links = f'<{made.site.url("/hub")}>; rel="hub", </new>; rel="self"'
        made.site.script("/feed", answer(200, document("b", "a"), Link=links))
        await made.service.force()
        assert await made.push.tick() == 1
        new = await made.subscription()
        assert new.topic == made.site.url("/new")
        assert new.callback != old.callback
        assert await made.receive(old.callback, b"", "") == "unknown"


async def test_a_hub_that_refuses_is_asked_again_after_a_day() -> None:
    """Its words are kept; polling goes on as if there were no hub."""
    async with world(answer(403)) as made:
        await made.push.tick()
        refused = await made.subscription()
        assert (refused.standing, refused.lease_until) == (SubscriptionState.DENIED, None)
        assert "403" in refused.reason
        assert (await made.state()).hub_until is None
        assert await made.push.tick() == 0
        made.service.clock.move(days=1)
        assert await made.push.tick() == 1


async def test_a_hub_that_denies() -> None:
    """A denial is acknowledged, ends the lease, and is asked about again after a day."""
    async with subscribed() as made:
        assert await made.verify(mode="denied", reason="closed") == ""
        denied = await made.subscription()
        assert (denied.standing, denied.reason, (await made.state()).hub_until) == (
            SubscriptionState.DENIED,
            "closed",
            None,
        )
        assert await made.bring(document("b")) == "ignored"
        assert await made.push.tick() == 0


async def test_a_lease_is_renewed() -> None:
    """At four fifths of it; the callback stays, and pushes under the old lease are taken meanwhile."""
    async with subscribed() as made:
        before = await made.subscription()
        made.service.clock.move(seconds=0.79 * 86400)
        assert await made.push.tick() == 0
        made.service.clock.move(seconds=0.02 * 86400)
        assert await made.push.tick() == 1
        assert (await made.subscription()).callback == before.callback
        assert await made.bring(document("b", "a")) == "taken"
        assert await made.verify() == "c"
        renewed = await made.subscription()
        assert renewed.lease_until == made.service.clock.now() + timedelta(days=1)


async def test_an_unverified_request_is_repeated() -> None:
    """After ten minutes of silence the hub is asked again."""
    async with world() as made:
        await made.push.tick()
        made.service.clock.move(minutes=9)
        assert await made.push.tick() == 0
        made.service.clock.move(minutes=1)
        assert await made.push.tick() == 1


async def test_without_a_public_url_there_are_no_hubs() -> None:
    """Nothing is asked, and what was asked before is forgotten."""
    async with world(public=None) as made:
        assert await made.push.tick() == 0
        assert made.site.heard("/hub") == []
    async with subscribed() as made:
        made.public = None
        await made.push.tick()
        assert await made.service.store.subscriptions.all() == ()
        assert (await made.state()).hub_until is None


async def test_a_feed_without_its_hub_is_polled_as_usual() -> None:
    """The hub is gone from the document: so is the subscription, and the slow polling."""
    async with subscribed() as made:
        made.site.script("/feed", answer(200, document("b", "a")))
        await made.service.force()
        await made.push.tick()
        assert await made.service.store.subscriptions.all() == ()
        made.site.script("/feed", answer(200, document("c", "b", "a")))
        await made.service.force()
        assert await made.service.wait_s("f") < 1000


# --- content distribution (300–303) ----------------------------------------------------------------


@pytest.mark.parametrize("method", ["sha1", "sha256", "sha384", "sha512"])
async def test_300_a_push_is_taken_in(method: str) -> None:
    """Signed by any method: by the same keys as a poll, so that neither repeats the other."""
    async with subscribed() as made:
        assert await made.bring(document("b", "a"), method=method) == "taken"
        assert await made.titles() == {"a", "b"}
        made.site.script("/feed", answer(200, document("b", "a"), Link=f'<{made.site.url("/hub")}>; rel="hub"'))
        (polled,) = await made.service.force()
        assert polled.entries == ()
        assert await made.bring(document("b", "a")) == "taken"
        assert len(await made.titles()) == 2


async def test_301_302_bad_signatures() -> None:
    """None, another secret, another method's name, a body that was touched: acknowledged and ignored."""
    async with subscribed() as made:
        known = (await made.subscription()).callback
        assert await made.receive(known, document("b"), "") == "ignored"
        assert await made.receive(known, document("b"), "sha256=abc") == "ignored"
        assert await made.bring(document("b"), secret="guessed") == "ignored"
        assert await made.bring(document("b"), method="md5") == "ignored"
        assert await made.titles() == {"a"}


async def test_an_unverified_subscription_takes_nothing() -> None:
    """Before the hub has asked back, and after the lease ran out, pushes are ignored."""
    async with world() as made:
        await made.push.tick()
        assert await made.bring(document("b")) == "ignored"
        await made.verify()
        made.service.clock.move(days=1)
        assert await made.bring(document("b")) == "ignored"
        assert await made.titles() == {"a"}


async def test_an_unknown_callback_is_gone_unread() -> None:
    """Nobody's body is read for nobody's callback."""
    async with subscribed() as made:

        async def read() -> bytes:
            raise AssertionError("the body was read")

        assert await made.push.receive("guessed", "text/xml", "sha256=x", read) == "unknown"


@pytest.mark.parametrize("body", [b"", b"ping", b"<html><body>no feed</body></html>"])
async def test_a_push_without_a_feed_makes_a_poll(body: bytes) -> None:
    """What cannot be read changes nothing but the time of the next poll."""
    async with subscribed() as made:
        before = await made.state()
        assert await made.bring(body) == "taken"
        after = await made.state()
        assert (after.health, after.failures) == (before.health, 0)
        assert after.next_poll_at == made.service.clock.now()


async def test_a_push_while_the_feed_is_polled() -> None:
    """Where the feed's lease is somebody's, the feed is due as soon as it is free."""
    async with subscribed() as made:
        now = made.service.clock.now()
        await made.service.store.feeds.claim_due(now, owner="other", lease_s=60, limit=1, ids=["f"], force=True)
        assert await made.bring(document("b", "a")) == "taken"
        assert (await made.state()).next_poll_at == now


async def test_a_paused_feed_takes_no_push() -> None:
    """A person's pause holds for hubs too."""
    async with subscribed() as made:
        await made.service.store.catalog.pause("f", True, made.service.clock.now())
        assert await made.bring(document("b", "a")) == "ignored"
        assert await made.titles() == {"a"}


async def test_a_feed_that_may_be_ending_the_service_takes_no_push() -> None:
    """A rest after deaths is not cut short by whoever pushes; one death is no reason."""
    async with subscribed() as made:
        feeds, upkeep = made.service.store.feeds, made.service.store.maintenance
        for owner in ("dead1", "dead2"):
            now = made.service.clock.now()
            await feeds.claim_due(now, owner=owner, lease_s=60, limit=1, ids=["f"], force=True)
            await feeds.begin("f", now, owner=owner)
            await upkeep.release_leases_of([owner], now)
        before = await made.titles()
        assert await made.bring(document("b", "a")) == "ignored"
        assert await made.titles() == before
        assert ((await made.state()).deaths, (await made.state()).lease_owner) == (2, None)


async def test_polling_is_the_backstop() -> None:
    """With a live hub once an hour; pushes in between do not put it off for ever; without one as before."""
    async with subscribed() as made:
        await made.service.force()
        assert 3600 <= await made.service.wait_s("f") <= 3960
        due = (await made.state()).next_poll_at
        for number in range(5):
            made.service.clock.move(minutes=5)
            await made.bring(document(f"n{number}", "a"))
        assert (await made.state()).next_poll_at == due
        made.service.clock.move(days=2)
        await made.service.force()
        assert await made.service.wait_s("f") < 1000


async def test_a_push_keeps_what_polls_know() -> None:
    """Validators, the number of entries and a move that awaits confirmation are not the hub's to change."""
    async with Loopback() as site:
        hub = site.script("/hub", answer(202))
        site.script("/new", answer(200, document("b", "a"), ETag='"1"', Link=f'<{hub}>; rel="hub"'))
        url = site.script("/feed", redirect(301, "/new"))
        async with PollHarness(Feed(url=url, id="f")) as service:
            await service.poll()
            made = World(site, service)
            await made.push.tick()
            await made.verify()
            before = await made.state()
            assert (before.move_count, before.items) == (1, 2)
            await made.bring(document("c"))
            after = await made.state()
            assert await made.titles() == {"a", "b", "c"}
            kept = ("validators", "items", "move_url", "move_count", "move_since", "body_hash", "hub", "url")
            assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]
            assert urlsplit(after.hub or "").path == "/hub"
