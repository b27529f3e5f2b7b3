"""Whole feeds against twins of expected values, and against feedparser with all its defaults."""

import io
import json
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import feedparser
import pytest

from aggregator.core.text.html import visible_text
from aggregator.core.text.sanitize import clean_lines
from aggregator.parse import feedparser_reader, repair
from aggregator.parse.crosscheck import facts, rows
from aggregator.parse.document import read
from aggregator.parse.fastxml import feed
from aggregator.parse.normalize import RawEntry
from aggregator.parse.payload import Payload
from aggregator.parse.workers.protocol import Job, ParseReply

FEEDS = Path(__file__).parent.parent / "data" / "feeds"
URL = "https://feeds.example/dir/feed"
NAMES = [path.name for path in sorted(FEEDS.iterdir()) if not path.name.endswith(".expected.json")]
FACTS = [
    "parse_level",
    "title",
    "link",
    "lang",
    "entries",
    "items",
    "hints",
    "hub",
    "self_url",
    "prev_archive",
    "warnings",
]
FACTS.append("quarantined")
FIELDS = ["guid", "link", "title", "summary", "content", "author", "categories", "published", "updated"]
FIELDS += ["enclosures", "lang"]


def as_twin(answer: ParseReply) -> dict[str, Any]:
    """An answer in the form of the twin files: only what is there, dates in ISO 8601."""
    found: dict[str, Any] = {name: getattr(answer, name) for name in FACTS}
    found["entries"] = [entry(row) for row in found["entries"]]
    found["quarantined"] = [[raw.decode(), why] for raw, why in found["quarantined"]]
    found["warnings"] = len(found["warnings"])
    found["splittable"] = answer.memory is not None
    kept = {key: value for key, value in found.items() if value not in (None, "", (), [])}
    twin: dict[str, Any] = json.loads(json.dumps(kept))
    return twin


def entry(row: Any) -> dict[str, Any]:
    """One row without its empty fields."""
    found = dict(zip(FIELDS, row, strict=False))
    for key in ("published", "updated"):
        if found[key] is not None:
            found[key] = datetime.fromtimestamp(found[key], UTC).isoformat()
    return {key: value for key, value in found.items() if value not in (None, "", ())}


@pytest.mark.parametrize("name", NAMES)
def test_a_feed_gives_what_its_twin_says(name: str) -> None:
    """Title, entries, hints, links and warnings, as written down by hand beside the feed."""
    answer = read(Job((FEEDS / name).read_bytes(), URL, "application/xml", "", None), 2**20)
    assert as_twin(answer) == json.loads((FEEDS / f"{name}.expected.json").read_text())


@pytest.mark.parametrize("name", ["rss.xml", "atom.xml", "rdf.xml", "podcast.xml", "publishers.xml", "papers.xml"])
def test_the_lean_reader_gives_what_feedparser_gives(name: str) -> None:
    """Both readers find the same facts and the same rows."""
    source = repair.declared_head(Payload((FEEDS / name).read_bytes(), URL, "application/xml"))
    quick, (slow, _) = feed.read_feed(source), feedparser_reader.read(source)
    assert facts(quick) == facts(slow)
    assert rows(quick) == rows(slow)


@pytest.mark.parametrize("name", ["rss.xml", "atom.xml", "rdf.xml", "podcast.xml"])
def test_the_visible_text_is_that_of_feedparser_with_its_defaults(name: str) -> None:
    """Leaving out feedparser's sanitiser and link resolver loses no word that a person would see."""
    body = (FEEDS / name).read_bytes()
    headers = {"content-type": "application/xml", "content-location": URL}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stock = feedparser.parse(io.BytesIO(body), response_headers=headers)
    ours, _ = feedparser_reader.read(repair.declared_head(Payload(body, URL, "application/xml")))
    for theirs, raw in zip(stock.entries, ours.entries, strict=True):
        assert isinstance(raw, RawEntry)
        kept = [as_seen(*value) for value in (raw.title, raw.summary, *raw.contents, *raw.more)]
        for key in ("title", "summary"):
            assert as_seen(theirs.get(key, ""), theirs.get(f"{key}_detail", {}).get("type", "text/html")) in kept


def as_seen(written: str, kind: str) -> str:
    """What a person would see of a value."""
    return (clean_lines if kind == "text/plain" else visible_text)(written)
