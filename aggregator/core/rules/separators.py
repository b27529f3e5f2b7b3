"""Separators between two tokens of a term.

A term is its token sequence; whether a text has the same term depends on the separators as they
were written. Each gap of a term becomes one of the classes below.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from unicodedata import normalize

from aggregator.core.text.tokens import is_wide, token_kind

DASHES = "-\u2010\u2011\u2012\u2013\u2212\uff0d\ufe63\u05be\u058a\u02d7\u1806\u2043\u207b\u208b"
APOSTROPHES = "'\u2018\u2019\u02bc\u02b9\u02bb\u02bf\u2032\u00b4`\uff07"
SPACES = " \u00a0\u2000-\u200a\u202f\u205f\u3000\t"
_SLASHES = "/\u2044\u2215\uff0f"
_CODE_JOINERS = frozenset(DASHES + _SLASHES + "_\uff3f")
_NUMBER_JOINERS = frozenset(DASHES + "_")
_ONE_SPACE = re.compile(f"[{SPACES}]")
# Blanks with at most one line break; or a hyphen, which may be followed by a line break (as at the
# end of a line) but not preceded by a blank (a dash); apostrophes may touch either word.
_PLAIN = re.compile(
    f"[{APOSTROPHES}]?(?:[{SPACES}]{{1,8}}|[{SPACES}]{{0,4}}\\n[{SPACES}]{{0,4}}|[_{re.escape(DASHES)}]\\n?|\u0f0b)[{APOSTROPHES}]?"
    f"|[{APOSTROPHES}]{{1,2}}"
)
_WIDE_JOINERS = frozenset("\n \u3000\u00a0・·‧•･＝゠")
_TIDY = str.maketrans(
    {
        **dict.fromkeys(DASHES, "-"),
        **dict.fromkeys(_SLASHES, "/"),
        **dict.fromkeys(APOSTROPHES, "'"),
        **dict.fromkeys("“”„«»″״＂", '"'),
    }
)


@dataclass(frozen=True, slots=True)
class SeparatorContext:
    """The tokens around a gap as the text writes them."""

    left: str
    right: str
    initial: bool  # the left token is the end of an abbreviation, as in "U.S."


@dataclass(frozen=True, slots=True)
class NoSeparator:
    """Nothing between: scripts without blanks, and changes of script inside a word."""

    wide: bool

    def allows(self, gap: str, _sides: SeparatorContext) -> bool:
        return not gap or gap == "\n" or (self.wide and gap in _WIDE_JOINERS)


@dataclass(frozen=True, slots=True)
class CodeSeparator:
    """Between letters and digits of a designator: nothing, one joiner, or one blank.

    The blank only where the letters are capitals (or begin with one, as the term's do: `Su 57`) and are not
    the end of an abbreviation: "s 400 lira" and "U.S. 400" are something else.
    """

    mixed: bool  # the term's letters are capital and small, as in Su-57
    blank: bool = True
    nothing: bool = True

    def allows(self, gap: str, sides: SeparatorContext) -> bool:
        if not gap:
            return self.nothing
        if len(gap) != 1:
            return False
        if gap in _CODE_JOINERS:
            return self.nothing or gap in _NUMBER_JOINERS
        return self.blank and bool(_ONE_SPACE.match(gap)) and not sides.initial and self._capital(sides)

    def _capital(self, sides: SeparatorContext) -> bool:
        letters = sides.right if sides.left[-1:].isdecimal() else sides.left
        return letters == letters.upper() or (self.mixed and letters[0].isupper())


@dataclass(frozen=True, slots=True)
class WordSeparator:
    """Between words: blanks, a line break, a hyphen, an apostrophe; never a paragraph.

    `short` are a few letters beside digits, a capital first (`MH 17`, `Mk 48`): nothing will do too. `wide`: words in
    Han or kana, as the parts of a foreign name, which a middle dot divides, a blank, or nothing.
    """

    unspaced: bool = False
    short: str | None = None
    wide: bool = False

    def allows(self, gap: str, sides: SeparatorContext) -> bool:
        if not gap:
            return self.unspaced or self.short is not None
        if self.wide and gap in _WIDE_JOINERS:
            return True
        if self.short is not None and len(self.short) == 1 and _ONE_SPACE.match(gap):
            letters = sides.right if sides.left[-1:].isdecimal() else sides.left
            return letters == letters.upper()
        return bool(_PLAIN.fullmatch(gap))


@dataclass(frozen=True, slots=True)
class SymbolSeparator:
    """Significant characters, as in AT&T or 2.0: the text must have them too.

    `soft` punctuation (`Alphabet, Inc.`) may also be left out, as between plain words.
    """

    written: str
    soft: bool = False

    def allows(self, gap: str, sides: SeparatorContext) -> bool:
        tidied = normalize_separator(gap)
        if tidied == self.written:
            return True
        if self.written in ("&", "/") and tidied.strip(" ") == self.written:
            return tidied in (self.written, f" {self.written} ")
        if self.written == "." and len(sides.left) == 1 and tidied == ". ":
            return True
        return self.soft and bool(_PLAIN.fullmatch(gap))


Separator = NoSeparator | CodeSeparator | WordSeparator | SymbolSeparator


@lru_cache(maxsize=1 << 12)
def normalize_separator(gap: str) -> str:
    """Write `gap` with one spelling for every dash, apostrophe, quotation mark and run of blanks."""
    return re.sub(r"\s+", " ", normalize("NFKC", gap.translate(_TIDY)))


def separator_of(written: str, left: str, right: str, *, code: bool) -> Separator:
    """Return the separator for a gap that the term writes as `written` between the tokens `left` and `right`.

    `left` and `right` are as the term spells them; `code`: the word around has letters and digits.
    """
    kinds = {token_kind(left.casefold()), token_kind(right.casefold())}
    letters = right if left[-1:].isdecimal() else left
    mixed = kinds == {"letter", "digit"}
    if not written:
        return CodeSeparator(_is_mixed(letters)) if mixed else NoSeparator(is_wide(left) or is_wide(right))
    if written in _WIDE_JOINERS and is_wide(left) and is_wide(right):
        return WordSeparator(unspaced=True, wide=True)
    tidied = normalize_separator(written)
    if tidied in ("-", "_"):
        return _joined(letters, kinds, code=code)
    if tidied == "/" and code and "letter" in kinds:
        return CodeSeparator(_is_mixed(letters), blank=False)
    if not tidied.strip(" -'_"):
        short = letters if mixed and len(letters) <= 4 and letters[0].isupper() else None
        return WordSeparator("unspaced" in kinds, short)
    return SymbolSeparator(tidied, soft=" " in tidied and not set(tidied) & set("&/+#@=%$€£"))


def _joined(letters: str, kinds: set[str], *, code: bool) -> Separator:
    if not code and kinds != {"digit"}:
        return WordSeparator("unspaced" in kinds)
    if kinds == {"digit"}:
        return CodeSeparator(False, blank=False, nothing=False)
    return CodeSeparator(_is_mixed(letters))


def _is_mixed(letters: str) -> bool:
    return letters not in (letters.upper(), letters.lower())
