"""One document while rules look at it: everything is read and worked out at most once."""

from functools import cached_property

from aggregator.core.rules.document import Document
from aggregator.core.rules.regex import Pattern
from aggregator.core.rules.terms import Atom
from aggregator.core.text.language import guess_language, language, stem
from aggregator.core.text.tokens import Reading

Places = list[tuple[int, int]]


class Sight:
    """A document's readings, and where atoms and patterns stand in them."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._readings: dict[str, Reading] = {}
        self._places: dict[tuple[Atom, str], Places] = {}
        self._matches: dict[tuple[Pattern, str], Places] = {}
        self._stems: dict[str, list[str]] = {}

    def reading(self, field: str) -> Reading:
        """The tokens of a field."""
        found = self._readings.get(field)
        if found is None:
            found = self._readings[field] = Reading(self.document.field(field))
        return found

    def places(self, atom: Atom, field: str) -> Places:
        """The token ranges where an atom stands in a field."""
        key = (atom, field)
        found = self._places.get(key)
        if found is None:
            found = self._places[key] = atom.find(self.reading(field))
        return found

    def matches(self, pattern: Pattern, field: str) -> Places:
        """The code-point ranges where a pattern matches in a field."""
        key = (pattern, field)
        found = self._matches.get(key)
        if found is None:
            found = self._matches[key] = list(pattern.find(self.reading(field).text))
        return found

    def stemmed(self, field: str) -> list[str]:
        """The stems of a field's tokens, in the document's language."""
        found = self._stems.get(field)
        if found is None:
            reading = self.reading(field)
            written = [reading.text[start:end] for start, end in zip(reading.starts, reading.ends, strict=True)]
            found = self._stems[field] = stem(written, self.lang)
        return found

    @cached_property
    def lang(self) -> str:
        """The document's language: as it says, else as it looks."""
        said = language(self.document.lang)
        return said or guess_language(f"{self.document.title} {self.document.summary} {self.document.content[:400]}")
