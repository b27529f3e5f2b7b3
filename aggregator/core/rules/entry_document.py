"""The text that rules are matched against."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from aggregator.core.model import Entry
from aggregator.core.text.affixes import stems
from aggregator.core.text.computed import computed
from aggregator.core.text.tokens import TokenizedText, words


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


class DocumentWords:
    """A document's tokenized fields; each is read at most once."""

    def __init__(self, document: Document, fields: Sequence[str]) -> None:
        self.document = document
        self.fields = tuple(fields)
        self._readings: dict[str, TokenizedText] = {}
        self._beginnings: dict[int, set[str]] = {}

    def text(self, field: str) -> str:
        """Return the text of a field."""
        return self.document.field(field)

    def reading(self, field: str) -> TokenizedText:
        """Return the tokens of a field."""
        found = self._readings.get(field)
        if found is None:
            found = self._readings[field] = TokenizedText(self.text(field))
        return found

    @computed
    def words(self) -> list[str]:
        """Return the folded tokens of all fields, one field after the other."""
        return [*chain.from_iterable(self.reading(field).words for field in self.fields)]

    @computed
    def vocabulary(self) -> set[str]:
        """Return every word of all fields, also without its affixes."""
        return vocabulary([self.reading(field) for field in self.fields])

    def prefix_ranges(self, size: int) -> set[str]:
        """Return the first `size` characters of each word."""
        found = self._beginnings.get(size)
        if found is None:
            found = self._beginnings[size] = {word[:size] for word in self.vocabulary}
        return found

    @property
    def elided(self) -> set[tuple[str, str]]:
        """Return the designators that stand for the second in `S-300/400`."""
        return {pair for field in self.fields for pair in self.reading(field).elided}


def vocabulary(readings: Sequence[TokenizedText]) -> set[str]:
    """Return every word of texts: their tokens, also without their affixes, and the compounds of half spaces."""
    found = set[str]()
    for reading in readings:
        found.update(reading.words)
    if not all(reading.text.isascii() for reading in readings):
        found.update([stem for word in found if word >= "\u0590" for stem, _, _ in stems(word)])
        for reading in readings:
            if reading.spaced is not reading.text:
                found.update(reading.joined)
    return found


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
