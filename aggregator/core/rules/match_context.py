"""One document during matching: everything is computed at most once."""

from collections.abc import Sequence

from aggregator.core.rules.atoms import Atom
from aggregator.core.rules.entry_document import Document, DocumentWords
from aggregator.core.rules.regex import Pattern
from aggregator.core.text.computed import computed
from aggregator.core.text.language import LanguageGuess, guess_language, language, stem

BASIC_FIELDS = ("title", "summary", "content")

TokenRanges = list[tuple[int, int]]


class MatchContext(DocumentWords):
    """A document's tokenized fields, and the places of atoms and patterns in them."""

    def __init__(self, document: Document, fields: Sequence[str] = BASIC_FIELDS) -> None:
        super().__init__(document, fields)
        self._places: dict[tuple[int, str], TokenRanges] = {}
        self._matches: dict[tuple[Pattern, str], TokenRanges] = {}
        self._stems: dict[tuple[str, str], list[str]] = {}

    def text(self, field: str) -> str:
        """Return the text of a field; the language is what the document may be taken to be in."""
        return self.lang if field == "lang" else super().text(field)

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
