"""The outlets' feed documents, each in its own format, as they stand at an instant."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from xml.sax.saxutils import escape

from aggregator.demo.news import MORNING, OUTLETS, Outlet, Piece

TYPES = {
    "rss": "application/rss+xml; charset=utf-8",
    "blogger": "application/atom+xml; charset=UTF-8",
    "rdf": "application/rdf+xml",
    "json": "application/feed+json",
}


def published(outlet: Outlet, elapsed_s: float) -> tuple[Piece, ...]:
    """What an outlet has published by now, newest first."""
    pieces = (p for p in MORNING if p.outlet == outlet.id and p.at_s <= elapsed_s)
    return tuple(sorted(pieces, key=lambda p: -p.at_s))


def page(outlet: Outlet, slug: str) -> tuple[str, bytes] | None:
    """Content type and body of the page behind a piece, or None."""
    for piece in MORNING:
        if piece.outlet == outlet.id and piece.slug == slug:
            title, text = escape(piece.title), escape(piece.text)
            html = f"<!doctype html><title>{title}</title><h1>{title}</h1><p>{text}</p>"
            return "text/html; charset=utf-8", html.encode()
    return None


def feed(base: str, outlet: Outlet, started_at: datetime, elapsed_s: float) -> tuple[str, bytes]:
    """Content type and body of an outlet's feed."""
    pieces = published(outlet, elapsed_s)
    site = f"{base}/{outlet.id}"
    write = {"rss": _rss, "blogger": _blogger, "rdf": _rdf, "json": _json}[outlet.format]
    return TYPES[outlet.format], write(outlet, site, pieces, started_at).encode()


def _at(piece: Piece, started_at: datetime) -> datetime:
    return (started_at + timedelta(seconds=piece.at_s)).astimezone(UTC).replace(microsecond=0)


def _rss(outlet: Outlet, site: str, pieces: Sequence[Piece], started_at: datetime) -> str:
    items = "".join(
        f"<item><title>{escape(p.title)}</title><link>{site}/{p.slug}</link><guid>{site}/{p.slug}</guid>"
        f"<pubDate>{format_datetime(_at(p, started_at), usegmt=True)}</pubDate>"
        f"<description>{escape(f'<p>{escape(p.text)}</p>')}</description></item>"
        for p in pieces
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><rss version="2.0"><channel><title>{escape(outlet.title)}</title>'
        f"<link>{site}</link><description>demo</description><language>{outlet.lang}</language>{items}</channel></rss>"
    )


def _blogger(outlet: Outlet, site: str, pieces: Sequence[Piece], started_at: datetime) -> str:
    entries = "".join(_post(site, p, _at(p, started_at).isoformat()) for p in pieces)
    newest = max((_at(p, started_at) for p in pieces), default=started_at)
    return (
        "<?xml version='1.0' encoding='UTF-8'?><feed xmlns='http://www.w3.org/2005/Atom'>"
        f"<id>tag:blogger.com,1999:blog-100</id><updated>{newest.isoformat()}</updated>"
        f"<title type='text'>{escape(outlet.title)}</title><link rel='alternate' type='text/html' href='{site}'/>"
        f"<generator uri='https://www.blogger.com'>Blogger</generator>{entries}</feed>"
    )


def _post(site: str, piece: Piece, at: str) -> str:
    content = escape(f"<div>{escape(piece.text)}</div>")
    return (
        f"<entry><id>tag:blogger.com,1999:blog-100.post-{_number(piece.slug)}</id>"
        f"<published>{at}</published><updated>{at}</updated><title type='text'>{escape(piece.title)}</title>"
        f"<content type='html'>{content}</content><link rel='alternate' type='text/html' href='{site}/{piece.slug}'/>"
        "<author><name>Redaksjonen</name></author></entry>"
    )


def _number(slug: str) -> int:
    """A stable number for a slug (Python's own hash changes from run to run)."""
    return int.from_bytes(slug.encode()[:6], "big")


def _rdf(outlet: Outlet, site: str, pieces: Sequence[Piece], started_at: datetime) -> str:
    sequence = "".join(f'<rdf:li rdf:resource="{site}/{p.slug}"/>' for p in pieces)
    items = "".join(
        f'<item rdf:about="{site}/{p.slug}"><title>{escape(p.title)}</title><link>{site}/{p.slug}</link>'
        f"<description>{escape(p.text)}</description><dc:date>{_at(p, started_at).isoformat()}</dc:date></item>"
        for p in pieces
    )
    return (
        '<?xml version="1.0"?><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
        'xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f'<channel rdf:about="{site}"><title>{escape(outlet.title)}</title><link>{site}</link>'
        f"<description>demo</description><items><rdf:Seq>{sequence}</rdf:Seq></items></channel>{items}</rdf:RDF>"
    )


def _json(outlet: Outlet, site: str, pieces: Sequence[Piece], started_at: datetime) -> str:
    return json.dumps(
        {
            "version": "https://jsonfeed.org/version/1.1",
            "title": outlet.title,
            "home_page_url": site,
            "language": outlet.lang,
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


def outlet_named(name: str) -> Outlet | None:
    return next((outlet for outlet in OUTLETS if outlet.id == name), None)
