"""Exports: CSV, JSON Lines and Atom, safe for the programs that open them."""

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from feedgenerator import Atom1Feed

from aggregator.core.highlight import snippet_runs
from aggregator.core.model import HitDetail
from aggregator.core.schemas import hit_json, instant
from aggregator.core.text.sanitize import escaped, inert
from aggregator.web.templating import web_link

COLUMNS = (
    "created_at", "rule", "feed", "title", "link", "published_at", "snippet", "terms", "story", "state", "mark", "id",
    "dated_at",
)  # fmt: skip
BYTE_ORDER_MARK = "\ufeff"
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def formula_safe(value: object) -> str:
    """Return a CSV cell that no spreadsheet takes for a formula (OWASP: a quote in front)."""
    text = "" if value is None else inert(str(value))
    return f"'{text}" if text.lstrip().startswith(FORMULA) or text.startswith(FORMULA) else text


def _row(detail: HitDetail) -> list[str]:
    hit, entry = detail.hit, detail.entry
    terms = "; ".join(dict.fromkeys(span.text for span in hit.spans))
    values = (
        instant(hit.created_at), hit.rule, hit.feed, entry.title, entry.link, instant(entry.published_at),
        hit.snippet, terms, hit.story, hit.state.value, hit.mark, hit.id,
        instant(detail.dated_at),
    )  # fmt: skip
    return [formula_safe(value) for value in values]


def as_csv(details: Sequence[HitDetail], *, head: bool = True, for_excel: bool = False) -> str:
    """Write CSV (RFC 4180), with a header line; `for_excel` begins with the mark by which it knows UTF-8."""
    out = io.StringIO(newline="")
    if head and for_excel:
        out.write(BYTE_ORDER_MARK)
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    if head:
        writer.writerow(COLUMNS)
    writer.writerows(_row(detail) for detail in details)
    return out.getvalue()


def as_jsonl(details: Sequence[HitDetail]) -> str:
    """Write one hit per line."""
    return "".join(escaped(json.dumps(hit_json(detail), ensure_ascii=False)) + "\n" for detail in details)


def _summary(detail: HitDetail) -> str:
    """Write HTML of our own: escaped text and nothing but <p>, <mark>."""
    pieces = snippet_runs(inert(detail.hit.snippet), detail.hit.spans)
    marked = "".join(f"<mark>{escape(p.text)}</mark>" if p.mark else escape(p.text) for p in pieces)
    also = f"<p>Also in {escape(inert(', '.join(detail.also_in)))}</p>" if detail.also_in else ""
    return f"<p>{marked}</p>{also}<p>{escape(detail.rule_title)} · {escape(inert(detail.feed_title))}</p>"


def as_atom(details: Sequence[HitDetail], *, title: str, site: str, path: str, now: datetime) -> str:
    """Write Atom (RFC 4287); ids are tag URIs made of hit ids, so that a reader shows each hit once."""
    feed = Atom1Feed(
        title=title,
        link=f"{site}/",
        description="",
        feed_url=f"{site}{path}",
        feed_guid=f"tag:aggregator,2026:{path}",
        language=None,
    )
    for detail in details:
        feed.add_item(
            title=inert(detail.entry.title) or "(no title)",
            link=web_link(detail.entry.link) or f"{site}/hits/{detail.hit.id}",
            description=_summary(detail),
            unique_id=f"tag:aggregator,2026:hit/{detail.hit.id}",
            pubdate=detail.dated_at.astimezone(UTC),
            updateddate=detail.recorded_at.astimezone(UTC),
            author_name=inert(detail.feed_title) or None,
            categories=[detail.hit.rule],
        )
    latest = max((detail.hit.created_at for detail in details), default=now)
    feed.latest_post_date = lambda: latest  # the library would take the clock's time, or an entry's own from the future
    return str(feed.writeString("utf-8"))
