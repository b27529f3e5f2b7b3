"""Extraction of articles from web pages; the only importer of trafilatura (extra `fulltext`).

Runs inside a worker: a page is as hostile as a feed.
"""

import logging
import re
from importlib.util import find_spec

from aggregator.parse import pdf
from aggregator.parse.payload import Rejected
from aggregator.parse.workers.protocol import Article, ArticlePage

MAX_TEXT = 500_000  # characters
MAX_NODES = 200_000

_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_HTML = re.compile(rb"<\s*(?:!doctype|html|head|body|title|meta|article|div|p)\b", re.IGNORECASE)


def is_available() -> bool:
    """Tell whether the extra is installed; nothing is imported."""
    return find_spec("trafilatura") is not None


def read(page: ArticlePage, max_body_bytes: int) -> Article:
    """Return the article's text, its paragraphs on lines of their own; that of a PDF file, too. Raises Rejected."""
    body = page.body
    if pdf.is_pdf(body) and len(body) <= max_body_bytes:
        return Article(pdf.text(body)[:MAX_TEXT])
    if len(body) > max_body_bytes or body.count(b"<") > MAX_NODES:
        raise Rejected("The page is too large for an article.", "hostile", transient=False)
    if not _HTML.search(body[:65_536]):
        raise Rejected("The page is not HTML.", "binary", transient=False)
    import trafilatura

    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # standard error leads nowhere here
    text = trafilatura.extract(_decoded(body, page.content_type), url=page.url, include_comments=False)
    if not text:
        raise Rejected("No article found on the page.", "empty")
    return Article(text[:MAX_TEXT])


def _decoded(body: bytes, content_type: str) -> bytes | str:
    """Decode text if HTTP names the encoding (it outranks the page's own); else trafilatura detects it."""
    named = _CHARSET.search(content_type)
    try:
        return body.decode(named[1]) if named else body
    except (LookupError, UnicodeDecodeError):
        return body
