"""What leaves for each service when a feed attacks it: the complete payload is inert, has the link, and fits."""

from collections.abc import Sequence
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from msgspec import structs
from pydantic import SecretStr

from aggregator.core.errors import DeliveryError
from aggregator.core.model import AlertKind
from aggregator.core.settings import Channel
from aggregator.notify import open_notifier
from benchmarks.alert_payloads import ATTACKS, LINK, SERVICES, Sent, Service, attacked, live, recording, send
from benchmarks.alert_samples import NOW, alerts, detail

pytestmark = pytest.mark.anyio
BY_NAME = {service.name: service for service in SERVICES}
HEADLINE = "Ankara receives a headline that stands alone"


@pytest.fixture
def anyio_backend() -> str:
    """The application speaks asyncio."""
    return "asyncio"


def texts(sent: Sequence[Sent]) -> list[str]:
    return [text for one in sent for text in one.texts()]


def test_there_are_enough_services() -> None:
    """The table is about the services that people use, and about every kind of attack."""
    assert len(SERVICES) >= 40
    assert len(ATTACKS) >= 36


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
async def test_attacks_leave_inert(service: Service) -> None:
    """No attack in a headline, sentence or feed title works in the payload as it leaves."""
    working = {}
    for attack in ATTACKS:
        sent = await send(service, attacked(attack.text))
        assert sent
        if found := live(service, attack, sent):
            working[attack.name] = found[0][:200]
    assert not working


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
async def test_the_link_and_the_headline_once(service: Service) -> None:
    """Every alert carries its evidence, and says its headline once beside the sentence that quotes it."""
    plain = structs.replace(attacked(HEADLINE), hits=(_named(HEADLINE, "Feed"),))
    found = [unescape(text) for one in await send(service, plain) for text in one.texts(service.plain)]
    assert any(LINK in text for text in found)
    mails = service.reads == {"html"}  # the document has a title of its own
    assert sum(text.count(HEADLINE) for text in found) == (2 if mails else 1)


def _named(title: str, feed: str) -> Any:
    first = attacked(title).hits[0]
    hit = structs.replace(first.hit, snippet="")
    return structs.replace(first, feed_title=feed, also_in=(), hit=hit, entry=structs.replace(first.entry, summary=""))


@pytest.mark.parametrize("name", ["Discord", "Guilded"])
async def test_discord_may_mention_nobody(name: str) -> None:
    """Whatever stands in the text, the service is told to look for no mention in it."""
    (sent,) = await send(BY_NAME[name], attacked("@everyone"))
    assert sent.document()["allowed_mentions"] == {"parse": []}


async def test_discord_mentions_whom_the_operator_names() -> None:
    """`ping=` of the channel's own address still works, for nobody else."""
    service = BY_NAME["Discord"]
    (sent,) = await send(replace(service, url=f"{service.url}?ping=@everyone"), attacked("quiet"))
    assert sent.document()["allowed_mentions"]["parse"] == ["everyone"]


@pytest.mark.parametrize(
    ("url", "visibility"),
    [
        ("mastodons://token@social.example", "private"),
        ("mastodons://token@social.example/@ann", "direct"),
        ("mastodons://token@social.example?visibility=public", "public"),
        ("misskeys://token@misskey.example", "followers"),
        ("misskeys://token@misskey.example?visibility=public", "public"),
    ],
)
async def test_nothing_is_public_unless_configured(url: str, visibility: str) -> None:
    """A watch list is nobody's business."""
    (sent,) = await send(replace(BY_NAME["Mastodon"], url=url), attacked("quiet"))
    assert sent.document()["visibility"] == visibility


LONG = {
    "Telegram": ("text", 4096),
    "Discord": ("content", 2000),
    "Rocket.Chat": ("text", 1000),
    "WeCom Bot": ("text", 2048),
    "Line": ("messages", 5000),
    "Mattermost": ("text", 4000),
}


@pytest.mark.parametrize("name", LONG)
@pytest.mark.parametrize("word", ["Анкара", "S-400 😀", "& < >"])
async def test_a_long_digest_is_sent_in_numbered_parts(name: str, word: str) -> None:
    """Every story of a digest of eighty arrives, in parts that are numbered and fit."""
    stories = tuple(_story(number, word) for number in range(80))
    night = structs.replace(alerts()["digest"], kind=AlertKind.DIGEST, hits=stories, more=0, page=None)
    sent = await send(BY_NAME[name], night)
    assert len(sent) > 1
    said = "\n".join(texts(sent))
    missing = [number for number in range(80) if f"number {number} end" not in said]
    assert not missing
    for number in range(1, len(sent) + 1):
        assert f"({number}/{len(sent)})" in said.replace("\\", "")


def _story(number: int, word: str) -> Any:
    first = detail(0)
    hit = structs.replace(first.hit, id=f"h{number}", story=f"s{number}", entry_key=str(number), spans=())
    entry = structs.replace(first.entry, key=str(number), title=f"{word} number {number} end")
    return structs.replace(first, hit=hit, entry=entry)


async def test_a_retry_goes_on_with_the_parts_that_are_missing() -> None:
    """Parts that were accepted are not sent again when a later one fails."""
    stories = tuple(_story(number, "Ankara") for number in range(80))
    night = structs.replace(alerts()["digest"], kind=AlertKind.DIGEST, hits=stories, more=0, page=None)
    channel = Channel(name="desk", url=(SecretStr(BY_NAME["Discord"].url),))
    notifier = open_notifier(_Clock())
    with recording({}) as sent:
        fails_from = 2
        refusing = {"errcode": 1, "errmsg": "busy"}

        class Answers(dict[str, Any]):
            def get(self, key: str, default: Any = None) -> Any:
                return refusing if key != "raw" and len(sent) > fails_from else default

        with pytest.raises(DeliveryError) as caught, recording(Answers()) as sent:
            await notifier.send(channel, night)
        assert caught.value.transient
        assert len(sent) == fails_from + 1
    with recording({}) as rest:
        await notifier.send(channel, night)
    bodies = [one.document()["content"] for one in (*sent[:fails_from], *rest)]
    assert len(set(bodies)) == len(bodies)
    assert sum("number" in body for body in bodies) == len(bodies)
    assert all(any(f"number {number} end" in body for body in bodies) for number in range(80))


class _Clock:
    def now(self) -> Any:
        return NOW
