"""Folding: one form for spellings that a reader takes for the same.

`fold` works code point by code point, so that every folded character knows where it came from,
and fold(NFC x) = fold(NFD x). Dropped: default-ignorable characters and the combining marks of
Latin, Greek, Cyrillic, Hebrew and Arabic script. Everything else: NFKD, case folding, NFKD, then
the few letters that Unicode does not decompose. Marks of Indic, Thai and kana script stay: there
they are letters.
"""

import re
from array import array
from collections.abc import Callable, Sequence
from unicodedata import category, decimal, normalize

LETTERS = str.maketrans("ıøđłðħŧىیېےةہھەۀکڪٱ", "iodldhtييييهههههككا") | str.maketrans(
    {"æ": "ae", "œ": "oe", "þ": "th", "ĳ": "ij", "\u0640": "", "״": '"', "׳": "'"}
)

IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U0001f3fb-\U0001f3ff"
    "\U000e0000-\U000e0fff]"
)
_UNSEEN = re.compile(f"(?!\u200c){IGNORABLE.pattern}")
# Full-width forms of ASCII signs, as keyboards for Chinese and Japanese write them, with the ideographic blank.
FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
_MARKS = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u08d3-\u08e1\u08e3-\u08ff\u1ab0-\u1aff\u1dc0-\u1dff"
    "\u20d0-\u20ff\ufe20-\ufe2f]"
)


# A fold must not look at neighbouring characters: str.translate with a table works code point by code point,
# so the offsets of evidence in the original text follow from the lengths of the folds alone. NFKD instead of
# NFKC for the same reason (composition looks ahead), and again after case folding, which can produce
# characters that decompose further (compatibility caseless matching, Unicode Standard 3.13, D146). Marks
# are dropped by a fixed list instead of category Mn: in Indic scripts vowel signs are Mn as well, and
# dropping them would merge different words.
class FoldTable(dict[int, str]):
    """A table for str.translate that computes each code point the first time it occurs."""

    def __init__(self, each: Callable[[str], str]) -> None:
        super().__init__()
        self._each = each
        self._single: set[str] = set()

    def __missing__(self, code: int) -> str:
        value = self[code] = self._each(chr(code))
        if len(value) == 1:
            self._single.add(chr(code))
        return value

    def resized(self, text: str) -> set[str]:
        """Return the characters of `text` that become none or several, so that offsets move."""
        return {char for char in set(text) - self._single if len(self[ord(char)]) != 1}


def _bare(char: str) -> str:
    """Decompose `char` and drop what folding drops; capitals stay."""
    if IGNORABLE.match(char):
        return ""
    return _MARKS.sub("", "".join(_digit(c) for c in normalize("NFKD", char)))


def _digit(char: str) -> str:
    return str(decimal(char)) if category(char) == "Nd" else char


def _folded(char: str) -> str:
    return _MARKS.sub("", normalize("NFKD", _bare(char).casefold())).translate(LETTERS)


FOLDED = FoldTable(_folded)
_BARE = FoldTable(_bare)


def fold(text: str) -> str:
    """Fold `text` for comparison."""
    return text.translate(FOLDED)


def narrow(text: str) -> str:
    """Return `text` with its full-width ASCII signs as ASCII; as long as it was."""
    return text if text.isascii() else text.translate(FULL_WIDTH)


def drop_invisible(text: str) -> str:
    """Return `text` without what nobody sees in it, but for U+200C, which Persian has for a blank."""
    return text if text.isascii() else _UNSEEN.sub("", text)


def without_invisible(text: str) -> str:
    """Return `text` without what nobody sees in it or around it; U+200C stays inside."""
    return text if text.isascii() else drop_invisible(text).strip().strip("\u200c").strip()


def fold_cased(text: str) -> str:
    """Fold marks, widths and digits of `text` but keep its capitals, for exact case."""
    return text.translate(_BARE)


def offsets(text: str, table: FoldTable) -> Sequence[int]:
    """Return, for each character of text.translate(table), the index in `text` that it came from."""
    resized = table.resized(text)
    if not resized:
        return range(len(text))
    sources, done = array("L"), 0
    for index in [index for index, char in enumerate(text) if char in resized]:
        sources.extend(range(done, index))
        sources.extend([index] * len(table[ord(text[index])]))
        done = index + 1
    sources.extend(range(done, len(text)))
    return sources
