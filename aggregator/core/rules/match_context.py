"""One document during matching: everything is read and computed at most once."""

from collections.abc import Sequence
from itertools import chain

from aggregator.core.rules.atoms import Atom
from aggregator.core.rules.entry_document import Document
from aggregator.core.rules.regex import Pattern
from aggregator.core.text.affixes import stems
from aggregator.core.text.computed import computed
from aggregator.core.text.language import LanguageGuess, guess_language, language, stem
from aggregator.core.text.tokens import TokenizedText

BASIC_FIELDS = ("title", "summary", "content")

TokenRanges = list[tuple[int, int]]


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


class MatchContext:
    """A document's tokenized fields, and the places of atoms and patterns in them."""

    def __init__(self, document: Document, fields: Sequence[str] = BASIC_FIELDS) -> None:
        self.document = document
        self.fields = tuple(fields)
        self._readings: dict[str, TokenizedText] = {}
        self._places: dict[tuple[int, str], TokenRanges] = {}
        self._matches: dict[tuple[Pattern, str], TokenRanges] = {}
        self._beginnings: dict[int, set[str]] = {}
        self._stems: dict[tuple[str, str], list[str]] = {}

    @computed
    def words(self) -> list[str]:
        """Return the folded tokens of all fields, one field after the other."""
        return [*chain.from_iterable(self.reading(field).words for field in self.fields)]

    @computed
    def vocabulary(self) -> set[str]:
        """Return every word of all fields, also without its affixes."""
        return vocabulary([self.reading(field) for field in self.fields])

    def reading(self, field: str) -> TokenizedText:
        """Return the tokens of a field."""
        found = self._readings.get(field)
        if found is None:
            found = self._readings[field] = TokenizedText(self.lang if field == "lang" else self.document.field(field))
        return found

    @property
    def elided(self) -> set[tuple[str, str]]:
        """Return the designators that stand for the second in `S-300/400`."""
        return {pair for field in self.fields for pair in self.reading(field).elided}

    def prefix_ranges(self, size: int) -> set[str]:
        """Return the first `size` characters of each word."""
        found = self._beginnings.get(size)
        if found is None:
            found = self._beginnings[size] = {word[:size] for word in self.vocabulary}
        return found

    def token_ranges(self, atom: Atom, field: str) -> TokenRanges:
        """Return the token ranges of an atom in a field."""
        key = (id(atom), field)  # atoms are cached by their term, and hashing them costs more than it saves
        found = self._places.get(key)
        if found is None:
            wanted = not atom.langs or not atom.langs.isdisjoint(self.written_in)
            found = self._places[key] = atom.find(self.reading(field)) if wanted else []
        return found

    def matches(self, pattern: Pattern, field: str) -> TokenRanges:
        """Return the code-point ranges that a pattern matches in a field."""
        key = (pattern, field)
        found = self._matches.get(key)
        if found is None:
            found = self._matches[key] = list(pattern.find(self.reading(field).text))
        return found

    def stemmed(self, field: str, lang: str) -> list[str]:
        """Return the stems of a field's tokens in a language."""
        found = self._stems.get((field, lang))
        if found is None:
            reading = self.reading(field)
            written = [reading.text[start:end] for start, end in zip(reading.starts, reading.ends, strict=True)]
            found = self._stems[field, lang] = stem(written, lang)
        return found

    @computed
    def lang(self) -> str:
        """Return the document's language: as declared, else as detected with certainty; "" if unknown."""
        return self.said_lang or (self._guess.likeliest[0] if self._guess.certain else "")

    @property
    def said_lang(self) -> str:
        """Return the language that the entry or its feed names."""
        return language(self.document.lang)

    @property
    def languages(self) -> tuple[str, ...]:
        """Return the languages whose inflections are tried: the document's, or those that it may be in."""
        return (self.lang,) if self.lang else self._guess.likeliest

    @computed
    def written_in(self) -> frozenset[str]:
        """Return the languages that the text may be in: as declared, and as detected.

        Many feeds declare English and are in another language; so a certain guess counts beside what they declare.
        """
        guessed = self._guess.likeliest[:1] if self._guess.certain else () if self.said_lang else self._guess.likeliest
        return frozenset((self.said_lang, *guessed)) - {""}

    def may_be(self, lang: str) -> bool:
        """Tell whether the document can be in a language, as far as is known or can be detected."""
        return self.lang == lang if self.lang else self._guess.may_be(lang)

    @computed
    def _guess(self) -> LanguageGuess:
        return guess_language(f"{self.document.title} {self.document.summary} {self.document.content[:400]}")
