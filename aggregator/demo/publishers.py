"""The outlets' feed documents, each in its own format, as they stand at an instant."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from xml.sax.saxutils import escape

from aggregator.demo.news import PUBLISHERS, STARTS_AT, NewsItem, Publisher

TYPES = {
    "rss": "application/rss+xml; charset=utf-8",
    "blogger": "application/atom+xml; charset=UTF-8",
    "rdf": "application/rdf+xml",
    "json": "application/feed+json",
}


def published(publisher: Publisher, elapsed_s: float) -> tuple[NewsItem, ...]:
    """Return what a publisher has published by now, newest first."""
    pieces = (p for p in STARTS_AT if p.outlet == publisher.id and p.at_s <= elapsed_s)
    return tuple(sorted(pieces, key=lambda p: -p.at_s))


def page(publisher: Publisher, slug: str) -> tuple[str, bytes] | None:
    """Content type and body of the page behind a piece, or None."""
    for piece in STARTS_AT:
        if piece.outlet == publisher.id and piece.slug == slug:
            title, text = escape(piece.title), escape(piece.text)
            html = f"<!doctype html><title>{title}</title><h1>{title}</h1><p>{text}</p>"
            return "text/html; charset=utf-8", html.encode()
    return None


def feed(base: str, publisher: Publisher, started_at: datetime, elapsed_s: float) -> tuple[str, bytes]:
    """Content type and body of an outlet's feed."""
    pieces = published(publisher, elapsed_s)
    site = f"{base}/{publisher.id}"
    write = {"rss": _rss, "blogger": _blogger, "rdf": _rdf, "json": _json}[publisher.format]
    return TYPES[publisher.format], write(publisher, site, pieces, started_at).encode()


def _at(piece: NewsItem, started_at: datetime) -> datetime:
    return (started_at + timedelta(seconds=piece.at_s)).astimezone(UTC).replace(microsecond=0)


def _rss(publisher: Publisher, site: str, pieces: Sequence[NewsItem], started_at: datetime) -> str:
    items = "".join(
        f"<item><title>{escape(p.title)}</title><link>{site}/{p.slug}</link><guid>{site}/{p.slug}</guid>"
        f"<pubDate>{format_datetime(_at(p, started_at), usegmt=True)}</pubDate>"
        f"<description>{escape(f'<p>{escape(p.text)}</p>')}</description></item>"
        for p in pieces
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><rss version="2.0"><channel><title>{escape(publisher.title)}</title>'
        f"<link>{site}</link><description>demo</description><language>{publisher.lang}</language>{items}</channel></rss>"
    )


def _blogger(publisher: Publisher, site: str, pieces: Sequence[NewsItem], started_at: datetime) -> str:
    entries = "".join(_post(site, p, _at(p, started_at).isoformat()) for p in pieces)
    newest = max((_at(p, started_at) for p in pieces), default=started_at)
    return (
        "<?xml version='1.0' encoding='UTF-8'?><feed xmlns='http://www.w3.org/2005/Atom'>"
        f"<id>tag:blogger.com,1999:blog-100</id><updated>{newest.isoformat()}</updated>"
        f"<title type='text'>{escape(publisher.title)}</title><link rel='alternate' type='text/html' href='{site}'/>"
        f"<generator uri='https://www.blogger.com'>Blogger</generator>{entries}</feed>"
    )


def _post(site: str, piece: NewsItem, at: str) -> str:
    content = escape(f"<div>{escape(piece.text)}</div>")
    return (
        f"<entry><id>tag:blogger.com,1999:blog-100.post-{_number(piece.slug)}</id>"
        f"<published>{at}</published><updated>{at}</updated><title type='text'>{escape(piece.title)}</title>"
        f"<content type='html'>{content}</content><link rel='alternate' type='text/html' href='{site}/{piece.slug}'/>"
        "<author><name>Redaksjonen</name></author></entry>"
    )


def _number(slug: str) -> int:
    """Return a stable number for a slug (Python's own hash changes from run to run)."""
    return int.from_bytes(slug.encode()[:6], "big")


def _rdf(publisher: Publisher, site: str, pieces: Sequence[NewsItem], started_at: datetime) -> str:
    sequence = "".join(f'<rdf:li rdf:resource="{site}/{p.slug}"/>' for p in pieces)
    items = "".join(
        f'<item rdf:about="{site}/{p.slug}"><title>{escape(p.title)}</title><link>{site}/{p.slug}</link>'
        f"<description>{escape(p.text)}</description><dc:date>{_at(p, started_at).isoformat()}</dc:date></item>"
        for p in pieces
    )
    return (
        '<?xml version="1.0"?><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
        'xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f'<channel rdf:about="{site}"><title>{escape(publisher.title)}</title><link>{site}</link>'
        f"<description>demo</description><items><rdf:Seq>{sequence}</rdf:Seq></items></channel>{items}</rdf:RDF>"
    )


def _json(publisher: Publisher, site: str, pieces: Sequence[NewsItem], started_at: datetime) -> str:
    return json.dumps(
        {
            "version": "https://jsonfeed.org/version/1.1",
            "title": publisher.title,
            "home_page_url": site,
            "language": publisher.lang,
            "items": [
                {
                    "id": f"{site}/{p.slug}",
                    "url": f"{site}/{p.slug}",
                    "title": p.title,
                    "content_text": p.text,
                    "date_published": _at(p, started_at).isoformat(),
                }
                for p in pieces
            ],
        },
        ensure_ascii=False,
    )


def publisher_named(name: str) -> Publisher | None:
    return next((publisher for publisher in PUBLISHERS if publisher.id == name), None)
