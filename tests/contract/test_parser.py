"""The port Parser: the same promises from worker processes and from a parser without any."""

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from aggregator.core.errors import ParseError
from aggregator.core.model import HASH_BYTES, FeedState, Fetched, ParseLevel
from aggregator.parse import open_parser
from aggregator.ports import Parser, Recall
from tests.support.inline_parser import inline_parser

pytestmark = pytest.mark.anyio

STATE = FeedState(
    id="f", url="https://feeds.example/f", configured_url="https://feeds.example/f", title="Known", items=2
)
HEAD = "<rss version='2.0'><channel><title>News</title><lastBuildDate>{}</lastBuildDate>"
ENTRY = "<item><title>Entry {0}</title><guid>g{0}</guid><link>https://feeds.example/{0}</link></item>"


def document(*numbers: int, built: str = "monday") -> Fetched:
    """A feed with these entries."""
    body = HEAD.format(built) + "\n".join(map(ENTRY.format, numbers)) + "</channel></rss>"
    return Fetched(url=STATE.url, status=200, body=body.encode(), content_type="application/rss+xml")


def recalling(memory: bytes | None, asked: list[bytes | None] | None = None) -> Recall:
    """Gives the memory, and says on `asked` that somebody wanted it."""

    async def recall() -> bytes | None:
        if asked is not None:
            asked.append(memory)
        return memory

    return recall


@pytest.fixture(params=["inline", "processes"])
async def parser(request: pytest.FixtureRequest) -> AsyncIterator[Parser]:
    """Each parser in turn."""
    if request.param == "inline":
        yield inline_parser()
    else:
        async with open_parser(1) as opened:
            yield opened


async def test_a_first_document_is_read_whole(parser: Parser) -> None:
    """Every entry in document order, and what the next poll needs."""
    feed = await parser.parse(document(2, 1), STATE)
    assert (feed.parse_level, feed.title, feed.items) == (ParseLevel.FULL, "News", 2)
    assert [entry.guid for entry in feed.entries] == ["g2", "g1"]
    assert feed.memory
    assert feed.body_hash


async def test_the_same_bytes_are_not_read_again(parser: Parser) -> None:
    """Equal bodies give no entries and the facts of the state; the memory is not even asked for."""
    first = await parser.parse(document(2, 1), STATE)
    known = replace(STATE, body_hash=first.body_hash)
    asked: list[bytes | None] = []
    again = await parser.parse(document(2, 1), known, recalling(first.memory, asked))
    assert (again.parse_level, again.entries, again.title, again.items) == (ParseLevel.SAME_BODY, (), "Known", 2)
    assert (again.memory, asked) == (None, [])


async def test_bytes_that_were_left_out_are_the_same(parser: Parser) -> None:
    """A packed document is remembered as it came, too: what its fetcher recognises by that is not read again."""
    packed = replace(document(2, 1), digest=b"p" * 16)
    first = await parser.parse(packed, STATE)
    assert (len(first.body_hash), first.body_hash[HASH_BYTES:]) == (2 * HASH_BYTES, packed.digest)
    known = replace(STATE, body_hash=first.body_hash)
    again = await parser.parse(replace(packed, body=b"", unchanged=True), known)
    assert (again.parse_level, again.items, again.body_hash) == (ParseLevel.SAME_BODY, 2, first.body_hash)
    repacked = await parser.parse(replace(packed, digest=b"q" * 16), known)
    assert (repacked.parse_level, repacked.body_hash) == (ParseLevel.SAME_BODY, first.body_hash)
    earlier = replace(STATE, body_hash=first.body_hash[:HASH_BYTES])  # of a release that did not know the packed form
    learnt = await parser.parse(packed, earlier)
    assert (learnt.parse_level, learnt.body_hash) == (ParseLevel.SAME_BODY, first.body_hash)


async def test_a_moved_build_date_is_not_news(parser: Parser) -> None:
    """Only the head changed: no entries, and a new hash of the body."""
    first = await parser.parse(document(2, 1), STATE)
    again = await parser.parse(document(2, 1, built="tuesday afternoon"), STATE, recalling(first.memory))
    assert (again.parse_level, again.entries, again.memory) == (ParseLevel.SAME_ENTRIES, (), None)
    assert again.body_hash != first.body_hash


async def test_entries_that_are_back_are_counted(parser: Parser) -> None:
    """After a document without entries, those remembered from before it are none of the entries that it had."""
    first = await parser.parse(document(2, 1), STATE)
    back = await parser.parse(
        document(2, 1, built="tuesday afternoon"), replace(STATE, items=0), recalling(first.memory)
    )
    assert (back.parse_level, back.entries, back.items) == (ParseLevel.DELTA, (), 2)


async def test_only_unseen_entries_are_read(parser: Parser) -> None:
    """One new entry among known ones comes alone."""
    first = await parser.parse(document(2, 1), STATE)
    later = await parser.parse(document(3, 2, 1), STATE, recalling(first.memory))
    assert (later.parse_level, later.items, later.title) == (ParseLevel.DELTA, 3, "News")
    assert [entry.title for entry in later.entries] == ["Entry 3"]
    known = await parser.parse(document(3, 2), STATE, recalling(later.memory))
    assert (known.parse_level, known.entries, known.items) == (ParseLevel.DELTA, (), 2)


async def test_a_part_is_added_to_what_is_remembered(parser: Parser) -> None:
    """After a 226 or a push the last whole document is remembered still, and the part's entries with it."""
    first = await parser.parse(document(2, 1), STATE)
    known = replace(STATE, body_hash=first.body_hash)
    part = await parser.parse(replace(document(3), delta=True), known, recalling(first.memory))
    assert [entry.title for entry in part.entries] == ["Entry 3"]
    assert part.body_hash == first.body_hash
    whole = await parser.parse(document(3, 2, 1), known, recalling(part.memory))
    assert (whole.parse_level, whole.entries, whole.items) == (ParseLevel.DELTA, (), 3)
    again = await parser.parse(replace(document(3), delta=True), known, recalling(part.memory))
    assert (again.entries, again.memory) == ((), None)


async def test_a_part_alone_is_not_remembered(parser: Parser) -> None:
    """A part of a document that nobody remembers vouches for nothing."""
    part = await parser.parse(replace(document(3), delta=True), STATE)
    assert (len(part.entries), part.memory, part.body_hash) == (1, None, STATE.body_hash)


async def test_memory_of_another_format_is_ignored(parser: Parser) -> None:
    """Damaged or foreign memory costs time, never entries."""
    for memory in (b"", b"\xff" * 200, b"\x01short"):
        assert len((await parser.parse(document(2, 1), STATE, recalling(memory))).entries) == 2


async def test_what_is_no_feed_is_refused_in_words(parser: Parser) -> None:
    """ParseError says what was found instead."""
    page = replace(document(), body=b"<!doctype html><title>Welcome</title>", content_type="text/html")
    with pytest.raises(ParseError, match="HTML page") as caught:
        await parser.parse(page, STATE)
    assert caught.value.found == "html"


async def test_links_of_http_come_before_those_of_the_document(parser: Parser) -> None:
    """Hub and self from the Link header win (WebSub, 4)."""
    fetched = replace(document(1), links=(("hub", "https://hub.example/"), ("hub", "https://second.example/")))
    assert (await parser.parse(fetched, STATE)).hub == "https://hub.example/"
