"""The text that rules are held against."""

from collections.abc import Iterable
from dataclasses import dataclass

from aggregator.core.model import Entry
from aggregator.core.text.tokens import words


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An entry's visible text by field, and what filters ask: feed, its tags, language (ISO 639-1)."""

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
        """The text of a field; "" where there is none."""
        return getattr(self, name) or ""


def document(entry: Entry, feed_tags: Iterable[str] = ()) -> Document:
    """What rules see of an entry. Offsets of spans point into its title, summary and content."""
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
    """An entry's folded tokens, joined by blanks: what a full-text index stores (see prefilter)."""
    fields = (entry.title, entry.summary, entry.content, entry.author, *entry.categories, entry.link or "")
    return " ".join(word for field in fields for word in words(field))
