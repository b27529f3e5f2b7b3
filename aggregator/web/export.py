"""What leaves the house: CSV, JSON Lines and Atom, safe for the programs that open them."""

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from feedgenerator import Atom1Feed

from aggregator.core.model import Told
from aggregator.core.schemas import hit_json, instant
from aggregator.core.text.sanitize import escaped, inert
from aggregator.web.highlight import marked_snippet
from aggregator.web.templating import web_link

COLUMNS = (
    "created_at", "rule", "feed", "title", "link", "published_at", "snippet", "terms", "story", "state", "mark", "id",
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def harmless(value: object) -> str:
    """A CSV cell that no spreadsheet takes for a formula (OWASP: a quote in front)."""
    text = "" if value is None else inert(str(value))
    return f"'{text}" if text.lstrip().startswith(FORMULA) or text.startswith(FORMULA) else text


def _row(told: Told) -> list[str]:
    hit, entry = told.hit, told.entry
    terms = "; ".join(dict.fromkeys(span.text for span in hit.spans))
    values = (
        instant(hit.created_at), hit.rule, hit.feed, entry.title, entry.link, instant(entry.published_at),
        hit.snippet, terms, hit.story, hit.state.value, hit.mark, hit.id,
    )  # fmt: skip
    return [harmless(value) for value in values]


def as_csv(tellings: Sequence[Told], *, head: bool = True) -> str:
    """RFC 4180, with a header line."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    if head:
        writer.writerow(COLUMNS)
    writer.writerows(_row(told) for told in tellings)
    return out.getvalue()


def as_jsonl(tellings: Sequence[Told]) -> str:
    """A hit shape per line."""
    return "".join(escaped(json.dumps(hit_json(told), ensure_ascii=False)) + "\n" for told in tellings)


def _summary(told: Told) -> str:
    """HTML of our own making: escaped text and nothing but <p>, <mark>."""
    pieces = marked_snippet(inert(told.hit.snippet), told.hit.spans)
    marked = "".join(f"<mark>{escape(p.text)}</mark>" if p.mark else escape(p.text) for p in pieces)
    also = f"<p>Also in {escape(inert(', '.join(told.also_in)))}</p>" if told.also_in else ""
    return f"<p>{marked}</p>{also}<p>{escape(told.rule_title)} · {escape(inert(told.feed_title))}</p>"


def as_atom(tellings: Sequence[Told], *, title: str, site: str, path: str, now: datetime) -> str:
    """RFC 4287; ids are tag URIs made of hit ids, so that a reader shows each hit once."""
    feed = Atom1Feed(
        title=title,
        link=f"{site}/",
        description="",
        feed_url=f"{site}{path}",
        feed_guid=f"tag:aggregator,2026:{path}",
        language=None,
    )
    for told in tellings:
        feed.add_item(
            title=inert(told.entry.title) or "(no title)",
            link=web_link(told.entry.link) or f"{site}/hits/{told.hit.id}",
            description=_summary(told),
            unique_id=f"tag:aggregator,2026:hit/{told.hit.id}",
            pubdate=(told.entry.published_at or told.hit.created_at).astimezone(UTC),
            updateddate=told.hit.created_at.astimezone(UTC),
            author_name=inert(told.feed_title) or None,
            categories=[told.hit.rule],
        )
    latest = max((told.hit.created_at for told in tellings), default=now)
    feed.latest_post_date = lambda: latest  # the library would take the clock's time, or an entry's own from the future
    return str(feed.writeString("utf-8"))
