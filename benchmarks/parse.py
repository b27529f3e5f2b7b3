"""Parsing at each level, against feedparser with all its defaults in the same run.

    python -m benchmarks.parse [--feeds 60] [--json results.json] [FILE …]

Milliseconds of CPU per feed, one process, best of three; without FILEs over made-up feeds of about 56 kB
(RSS and Atom, 35 entries, HTML in CDATA and escaped). `pool` is the whole adapter: pipes, processes, values.
"""

import argparse
import asyncio
import io
import json
import random
import resource
import time
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html import escape
from pathlib import Path
from typing import Any

import feedparser
from msgspec.structs import replace

from aggregator.core.model import FeedState, Fetched, ParseLevel
from aggregator.core.polling.identity import content_hash, identify
from aggregator.parse import open_parser, replies
from aggregator.parse.document import read
from aggregator.parse.incremental import same_entries
from aggregator.parse.parser import IncrementalParser
from aggregator.parse.payload import Payload
from aggregator.parse.workers import protocol

URL = "https://feeds.example/feed"
ENTRIES = 35
TEXT = """minister report energy market defence border agreement election court police health science climate Türkiye
Russland sanctions trade export missile delivery budget analyst regjeringen санкции оборона hükümet"""
WORDS = TEXT.split()
MAX_BODY = 10 * 2**20


def entry(feed: int, number: int) -> tuple[str, str, str, str, datetime]:
    """Title, link, summary, HTML and date of an entry; the same for the same numbers."""
    dice = random.Random(feed * 100_000 + number)
    title = " ".join(dice.choices(WORDS, k=8)).capitalize()
    link = f"https://news{feed}.example/2026/{number}?utm_source=rss&utm_medium=feed"
    paragraphs = (" ".join(dice.choices(WORDS, k=45)) for _ in range(2))
    html = "\n".join(
        f'<p>{text} <a href="https://news.example/t?a=1&amp;b=2" rel="nofollow">more</a>.</p>' for text in paragraphs
    )
    date = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=7 * number)
    return title, link, " ".join(dice.choices(WORDS, k=25)), html, date


def rss(feed: int, last: int) -> bytes:
    """An RSS feed as a news site's software writes it, of the entries up to `last`."""
    items = []
    for number in range(last, last - ENTRIES, -1):
        title, link, summary, html, date = entry(feed, number)
        items.append(
            f"\t<item>\n\t\t<title>{title} &amp; more</title>\n\t\t<link>{escape(link)}</link>\n"
            f'\t\t<guid isPermaLink="false">https://news{feed}.example/?p={number}</guid>\n'
            f"\t\t<pubDate>{format_datetime(date)}</pubDate>\n\t\t<dc:creator><![CDATA[Ann Lee]]></dc:creator>\n"
            f"\t\t<category><![CDATA[{title[:12]}]]></category>\n\t\t<description><![CDATA[{summary}]]></description>\n"
            f"\t\t<content:encoded><![CDATA[{html}]]></content:encoded>\n\t</item>\n"
        )
    head = (
        '<?xml version="1.0" encoding="UTF-8"?><rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"'
        ' xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>News</title><link>https://news.example/</link>'
        f"<lastBuildDate>{format_datetime(entry(feed, last)[4])}</lastBuildDate><language>en</language>\n"
    )
    return f"{head}{''.join(items)}</channel></rss>".encode()


def atom(feed: int, last: int) -> bytes:
    """An Atom feed of the same kind."""
    entries = []
    for number in range(last, last - ENTRIES, -1):
        title, link, summary, html, date = entry(feed, number)
        entries.append(
            f'  <entry>\n    <title type="html">{title}</title>\n'
            f'    <link rel="alternate" type="text/html" href="{escape(link)}"/>\n'
            f"    <id>tag:news{feed}.example,2026:{number}</id>\n    <published>{date.isoformat()}</published>\n"
            f"    <updated>{date.isoformat()}</updated>\n    <author><name>Ann Lee</name></author>\n"
            f'    <category term="{title[:12]}"/>\n    <summary>{summary}</summary>\n'
            f'    <content type="html">{escape(html, quote=False)}</content>\n  </entry>\n'
        )
    head = '<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en"><title>News</title><id>tag:news</id>\n'
    return f"{head}{''.join(entries)}</feed>".encode()


def made(feeds: int) -> tuple[list[bytes], list[bytes]]:
    """Documents, and the same with one new entry each."""
    kinds = [atom if feed % 3 == 0 else rss for feed in range(feeds)]
    before = [kind(feed, 200) for feed, kind in enumerate(kinds)]
    return before, [kind(feed, 201) for feed, kind in enumerate(kinds)]


def cost(work: Callable[[int], object], count: int, repeat: int = 3) -> float:
    """Milliseconds of CPU for one call, the best of some rounds."""
    best = float("inf")
    for _ in range(repeat):
        began = time.process_time()
        for number in range(count):
            work(number)
        best = min(best, time.process_time() - began)
    return best * 1000 / count


def stock(body: bytes) -> Any:
    """feedparser as its documentation says."""
    headers = {"content-type": "application/xml", "content-location": URL}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return feedparser.parse(io.BytesIO(body), response_headers=headers)


def cpu_s() -> float:
    """Seconds of CPU of this process and its ended children."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


async def pooled(bodies: Sequence[bytes]) -> float:
    """Milliseconds of CPU for one cold feed through the whole adapter, start of the workers included."""
    state = FeedState(id="f", url=URL, configured_url=URL)
    began = cpu_s()
    async with open_parser(2) as parser:
        responses = [Fetched(url=URL, status=200, body=body, content_type="application/xml") for body in bodies]
        found = await asyncio.gather(*(parser.parse(response, state, None) for response in responses))
        assert all(feed.entries for feed in found)
    return (cpu_s() - began) * 1000 / len(bodies)


def measure(bodies: list[bytes], later: list[bytes]) -> dict[str, float]:
    """Every figure, in milliseconds of CPU per feed."""
    count = len(bodies)
    answers = [read(protocol.Job(body, URL, "application/xml", "", None), MAX_BODY) for body in bodies]
    feeds = [replies.parsed_feed(answer, b"") for answer in answers]
    figures = {
        "feedparser, defaults": cost(lambda n: stock(bodies[n]), min(count, 30), 2),
        "full (level 4)": cost(
            lambda n: read(protocol.Job(bodies[n], URL, "application/xml", "", None), MAX_BODY), count
        ),
        "values from the wire": cost(lambda n: replies.parsed_feed(answers[n], b""), count),
        "keys and hashes": cost(
            lambda n: [*identify(feeds[n].entries, False), *map(content_hash, feeds[n].entries)], count
        ),
    }
    if later:
        memories = [answer.memory for answer in answers]
        jobs = [
            protocol.Job(body, URL, "application/xml", "", memory) for body, memory in zip(later, memories, strict=True)
        ]
        assert all(len(read(job, MAX_BODY).entries) == 1 for job in jobs)
        figures["one new entry (level 3)"] = cost(lambda n: read(jobs[n], MAX_BODY), count)
        moved = [
            Payload(body.replace(b"lastBuildDate>", b"lastBuildDate> ", 1), URL, "application/xml") for body in bodies
        ]
        assert all(map(same_entries, memories, moved))
        figures["only the head changed (level 2)"] = cost(lambda n: same_entries(memories[n], moved[n]), count)
        figures["the same body (level 1)"] = cost(lambda n: asyncio.run(unchanged(bodies[n])), 1) / 200
    figures["pool, cold"] = asyncio.run(pooled(bodies * 5))
    return figures


async def unchanged(body: bytes) -> None:
    """Two hundred times the same body."""
    response = Fetched(url=URL, status=200, body=body, content_type="application/xml")
    state = FeedState(id="f", url=URL, configured_url=URL)
    parser = IncrementalParser(NoRunner())
    state = replace(state, body_hash=IncrementalParser.fingerprint(body))
    for _ in range(200):
        assert (await parser.parse(response, state, None)).parse_level is ParseLevel.SAME_BODY


class NoRunner:
    """Is never asked."""

    async def ask(self, job: protocol.Request, source: str = "", *, proven: bool = False) -> protocol.Reply:
        raise AssertionError((job, source, proven))


def main() -> None:
    """Print a table; write JSON where asked."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--feeds", type=int, default=60)
    arguments.add_argument("--json", type=Path)
    arguments.add_argument("files", nargs="*", type=Path)
    given = arguments.parse_args()
    bodies, later = ([path.read_bytes() for path in given.files], []) if given.files else made(given.feeds)
    figures = measure(bodies, later)
    reference = figures["feedparser, defaults"]
    print(f"{len(bodies)} feeds of {sum(map(len, bodies)) // len(bodies) / 1000:.0f} kB")
    for name, milliseconds in figures.items():
        print(f"{name:32}{milliseconds:9.3f} ms {1000 / milliseconds:10,.0f}/s {reference / milliseconds:9,.1f} ×")
    if given.json:
        given.json.write_text(json.dumps({"kb": sum(map(len, bodies)) / len(bodies) / 1000, "ms": figures}, indent=1))


if __name__ == "__main__":
    main()
