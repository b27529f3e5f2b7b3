"""The text that rules are matched against."""

from collections.abc import Iterable
from dataclasses import dataclass

from aggregator.core.model import Entry
from aggregator.core.text.tokens import words


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An entry's visible text by field, and the values for filters: feed, its tags, language (ISO 639-1)."""

    title: str = ""
    summary: str = ""
    content: str = ""
    author: str = ""
    category: str = ""
    link: str = ""
    feed: str = ""
    feed_tags: tuple[str, ...] = ()
    lang: str | None = None

    def field(self, name: str) -> str:
        """Return the text of a field; "" if there is none."""
        return getattr(self, name) or ""


def document(entry: Entry, feed_tags: Iterable[str] = ()) -> Document:
    """Build the document that rules match. Offsets of spans point into its title, summary and content."""
    return Document(
        title=entry.title,
        summary=entry.summary,
        content=entry.content,
        author=entry.author,
        category="\n\n".join(entry.categories),
        link=entry.link or "",
        feed=entry.feed,
        feed_tags=tuple(feed_tags),
        lang=entry.lang,
    )


def index_text(entry: Entry) -> str:
    """Join an entry's folded tokens with blanks, as a full-text index stores them (see prefilter)."""
    fields = (entry.title, entry.summary, entry.content, entry.author, *entry.categories, entry.link or "")
    return " ".join(word for field in fields for word in words(field))
