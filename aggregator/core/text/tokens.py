"""Tokens: the words of a text, in every script.

A token is a run of letters of one script with their marks, a run of digits, or one character (with
its marks) of a script written without spaces: Han, kana, Thai, Lao, Khmer, Myanmar. A change
between letters and digits splits (`S400` is `s`, `400`), and so does a change of script (`CAATSA를`).
Python's `\\w` would break Hindi and Arabic words at their marks.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, chain, islice
from operator import add, sub
from typing import NamedTuple
from unicodedata import category

from aggregator.core.text.affixes import stems
from aggregator.core.text.computed import computed
from aggregator.core.text.fold import FOLDED, IGNORABLE, FoldTable, offsets

_MAX_CHUNKS, _MAX_CHUNK = 30_000, 24  # what is remembered of texts in other scripts: about 5 MB
_FEW_PLACES = 8  # of one text that are looked for one by one, rather than all at once
_MANY = 64  # characters of a text to be replaced one after the other
_FEW = 500  # tokens through which a search is quicker than an index made for it
MAX_TEXT = 1 << 20  # code points of a field that are read; the rest is not matched

# Everything that is no part of a token is a blank by the time these are applied, so blocks will do.
_RUNS = {
    "latin": "a-z\u00aa-\u02af\u1d00-\u1dbf\u1e00-\u1eff\u2c60-\u2c7f\ua720-\ua7ff\uab30-\uab6f",
    "digit": "0-9",
    "cyrillic": "\u0400-\u052f\u1c80-\u1c8f\ua640-\ua69f",
    "greek": "\u0370-\u03ff\u1f00-\u1fff",
    "arabic": "\u0600-\u06ff\u0750-\u077f\u0870-\u08ff",
    "hebrew": "\u0590-\u05ff",
    "hangul": "\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff",
}
_HAN = (
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3105-\u312f\u31a0-\u31ef\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_KANA = "\u3031-\u3035\u3041-\u3096\u309b-\u30ff\u31f0-\u31ff"
_THAI_LAO = "\u0e01-\u0e7f\u0e81-\u0eff"
# Thai and Lao write some vowels before and some after the consonant that they belong to.
_BEFORE = "[\u0e40-\u0e44\u0ec0-\u0ec4]"
_CONSONANT = "[\u0e01-\u0e2f\u0e46\u0e4f-\u0e5b\u0e81-\u0eaf\u0ebd\u0ec6\u0edc-\u0edf]"
_AFTER = "[\u0e30-\u0e3a\u0e45\u0e47-\u0e4e\u0eb0-\u0ebc\u0ec8-\u0ece]"
_KHMER = "\u1780-\u17ff"
_MYANMAR = "\u1000-\u109f"
_SYMBOL = "\u2190-\u2bff\U0001f000-\U0001faff"
_CLUSTERS = (
    f"[{_HAN}]",
    f"[{_KANA}][\u3099\u309a]*",
    f"{_BEFORE}?{_CONSONANT}{_AFTER}*",
    f"{_AFTER}+",
    f"[{_THAI_LAO}]",
    f"[{_KHMER}](?:\u17d2[\u1780-\u17b3]|[\u17b4-\u17d3\u17dd])*",
    f"[{_MYANMAR}](?:\u1039[\u1000-\u1021]|[\u102b-\u103e\u1056-\u1060\u1062-\u106d\u1071-\u1074\u1082-\u109d])*",
    "[\U0001f1e6-\U0001f1ff]{2}",  # a flag is two letters of its own, paired from the left of their run
    f"[{_SYMBOL}]",
)
_UNSPACED = _HAN + _KANA + _THAI_LAO + _KHMER + _MYANMAR
_OTHER = f"[^ {''.join(_RUNS.values())}{_UNSPACED}{_SYMBOL}]+"
_TOKEN = re.compile("|".join([*(f"[{run}]+" for run in _RUNS.values()), *_CLUSTERS, _OTHER]))
_ASCII_TOKEN = re.compile("[a-z]+|[0-9]+")
# Lower-case characters that are their own fold; whatever is not listed is looked up in the table.
_FOLDED_ALREADY = (
    "a-z0-9 \u03b1-\u03c1\u03c3-\u03c9\u0430-\u0438\u043a-\u044f\u05d0-\u05ea\u0627\u0628\u062a-\u063a"
    "\u0641-\u0648\u064a\u0900-\u0928\u092a-\u0930\u0935-\u0957\u0e01-\u0e32\u0e40-\u0e4e\u3400-\u9fff"
)
_TO_FOLD = re.compile(f"[^{_FOLDED_ALREADY}]")
_UNSPACED_START = re.compile(f"[{_UNSPACED}{_SYMBOL}]")
_WIDE = re.compile(f"[{_HAN}{_KANA}]")
_WIDE_RUN = re.compile(f"[{_HAN}{_KANA}]+")
_SPREAD = str.maketrans({code: " " for code in range(128) if not chr(code).isalnum()})
# The zero-width non-joiner between Arabic letters is the half space of Persian: the parts of a compound.
_ARABIC = f"[{_RUNS['arabic']}]"
# Several designators of one family: S-300/400, F-15/16, Су-30/34/35.
_ELIDED = re.compile(
    r"(?<![^\W_])[^\W\d_]{1,4}[-\u2010-\u2013\u2212\uff0d]?\d{1,4}(?:/[-\u2010-\u2013\u2212\uff0d]?\d{1,4})+(?![\d/])"
)
_HALF_SPACE = re.compile(f"(?<={_ARABIC}){IGNORABLE.pattern}*\u200c{IGNORABLE.pattern}*(?={_ARABIC})")
# Japanese keyboards write the sign for a long vowel where a hyphen is meant: F\u30fc35.
_KANA_HYPHEN = re.compile("[\u30fc\uff70](?<=[A-Za-zＡ-Ｚａ-ｚ].)(?=[0-9０-９])")
_MAX_JOINED = 4  # parts of a compound that are looked for as one word


def _word_part(char: str) -> str:
    """Return what `char` contributes to tokens: its fold, or a blank."""
    folded, kind = FOLDED[ord(char)], category(char)
    if not folded:
        return ""
    # Letters and marks (L*, M*) make tokens, with the letters that their compatibility forms decompose to.
    # The modifier letters U+02B9 to U+02CF are letters by category (mostly Lm), but in running text they
    # are apostrophes and primes (the okina, transliterated soft signs) and separate words as U+0027 does.
    if kind[0] in "LM" and not "\u02b9" <= char <= "\u02cf":
        return "".join(c for c in folded if category(c)[0] in "LMN" and not "\u02b9" <= c <= "\u02cf")
    if kind in ("Nd", "Nl"):
        return folded
    if kind == "No":  # a footnote mark is not the next digit of a number
        return f" {''.join(filter(str.isdecimal, folded))} " if "\u2044" not in folded else " "
    return folded if kind == "So" and len(folded) == 1 and _UNSPACED_START.match(folded) else " "


WORDS = FoldTable(_word_part)


def words(text: str) -> list[str]:
    """Return the folded tokens of `text`, in order."""
    return _words(_parts(_spaced(text))[0])


def glued(text: str) -> str:
    """Join the compounds of `text` that half spaces (U+200C between Arabic letters) divide into one word."""
    return _HALF_SPACE.sub("", text) if "\u200c" in text else text


def _spaced(text: str) -> str:
    """Replace half spaces in `text` by blanks, and long vowels in designators by hyphens; the length stays."""
    if "\u30fc" in text or "\uff70" in text:
        text = _KANA_HYPHEN.sub("-", text)
    return _HALF_SPACE.sub(lambda gap: " " * len(gap[0]), text) if "\u200c" in text else text


def spread(text: str) -> str:
    """Return `text` in lower case with blanks for much of its punctuation: the tokens stay what they were."""
    lower = text.lower()
    return lower.translate(_SPREAD) if lower.isascii() else lower.replace(",", " ").replace(".", " ")


def without_wide(text: str) -> str:
    """Return `text` with blanks for its Han and kana: other tokens stay what they were."""
    return _WIDE_RUN.sub(" ", text)


def lone_word(text: str) -> str | None:
    """Return the token of a text that is a single word of letters; None if it is more, or less."""
    if text.isascii():
        return text.lower() if text.isalpha() else None
    parts, _ = _parts(text)
    return parts if text.isalpha() and _words(parts) == [parts] else None


def _parts(text: str) -> tuple[str, bool]:
    """Fold `text`, with blanks for all that is no token; punctuation may stay if all is ASCII.

    True: each character became one; False: perhaps not.
    """
    lower = text.lower()
    # Three speeds for one result. Most English texts are ASCII, where lower() is the fold and punctuation can
    # stay, since _ASCII_TOKEN skips it. Other texts have few distinct characters that need folding: some
    # str.replace over the whole text, each in C, beat a dictionary look-up per character. Only texts
    # with many such characters (Korean, whose syllables decompose) are cheaper with translate().
    if lower.isascii():
        return lower, len(lower) == len(text)
    odd = {*_TO_FOLD.findall(lower)}
    if len(odd) > _MANY:
        return text.translate(WORDS), False
    is_aligned = len(lower) == len(text)  # lower() makes no character disappear
    for char in odd:  # a few passes in C are quicker than a look-up for every character
        part = WORDS[ord(char)]
        is_aligned = is_aligned and len(part) == 1
        lower = lower.replace(char, part)
    return lower, is_aligned


def _words(parts: str) -> list[str]:
    """Return the tokens in the result of `_parts`."""
    if parts.isascii():
        return _ASCII_TOKEN.findall(parts)
    return [*chain.from_iterable(map(_CHUNKS.__getitem__, parts.split()))]


class _Chunks(dict[str, list[str]]):
    """A cache of the tokens between blanks: few distinct words make up most texts."""

    def __missing__(self, chunk: str) -> list[str]:
        found: list[str] = _TOKEN.findall(chunk)
        if len(chunk) <= _MAX_CHUNK:
            if len(self) >= _MAX_CHUNKS:
                self.clear()
            self[chunk] = found
        return found


_CHUNKS = _Chunks()


def _token(parts: str) -> re.Pattern[str]:
    return _ASCII_TOKEN if parts.isascii() else _TOKEN


class Token(NamedTuple):
    """A folded word and its place: code points `start` to `end` of the original text."""

    folded: str
    start: int
    end: int


def tokens(text: str, most: int | None = None) -> tuple[Token, ...]:
    """Return the tokens of `text` with their places: the first `most`, or all."""
    if text.isascii():
        found = islice(_ASCII_TOKEN.finditer(text[:MAX_TEXT].lower()), most)
        return tuple([Token(match[0], *match.span()) for match in found])
    reading = TokenizedText(text)
    return tuple(map(Token, reading.words[:most], reading.starts, reading.ends))


def token_kind(word: str) -> str:
    """Return the kind of a folded token: "digit", "letter", or "unspaced" (no blanks between words)."""
    if word[0].isdecimal():
        return "digit"
    if word.isascii():
        return "letter"
    return "unspaced" if _UNSPACED_START.match(word) else "letter"


def is_wide(word: str) -> bool:
    """Tell whether a word is Han or kana, scripts in which a blank inside a word is only typography."""
    return bool(_WIDE.match(word))


class TokenizedText:
    """A tokenized text: its tokens at once, their places only on demand.

    `words[i]` is the folded token i, `starts[i]` and `ends[i]` delimit it in `text`. `whole`: read it to its end,
    however long it is, as what several fields were joined to.
    """

    def __init__(self, text: str, *, whole: bool = False) -> None:
        self.text = text if whole or len(text) <= MAX_TEXT else text[:MAX_TEXT]
        # The same, with blanks for half spaces: of most texts, the text itself.
        self.spaced = _spaced(self.text)
        self._parts, self._is_aligned = _parts(self.spaced)
        self._asked = 0
        self.words = _words(self._parts)

    @computed
    def _places(self) -> tuple[list[int], list[int]]:
        # What stands between the tokens tells where they are, at a third of the cost of match objects.
        gaps = map(len, _token(self._parts).split(self._parts))
        sizes = [*map(len, self.words)]
        ends = [*accumulate(map(add, gaps, sizes))]
        starts = [*map(sub, ends, sizes)]
        sources = self._sources
        if isinstance(sources, range):
            return starts, ends
        return [sources[start] for start in starts], [self._end(sources[end - 1] + 1) for end in ends]

    @computed
    def _sources(self) -> Sequence[int]:
        """Return, for each character of `_parts`, the index in `text` that it came from."""
        return range(len(self.text)) if self._is_aligned else offsets(self.spaced, WORDS)

    def _source(self, start: int, end: int) -> tuple[int, int]:
        """Return the range of `text` that a part of `_parts` came from."""
        sources = self._sources
        return (start, end) if isinstance(sources, range) else (sources[start], self._end(sources[end - 1] + 1))

    def _end(self, end: int) -> int:
        """Move `end` behind the combining marks that belong to the last letter."""
        text = self.text
        while end < len(text) and WORDS[ord(text[end])] == "" and category(text[end])[0] == "M":
            end += 1
        return end

    @computed
    def starts(self) -> list[int]:
        return self._places[0]

    @computed
    def ends(self) -> list[int]:
        return self._places[1]

    def at(self, word: str) -> Sequence[int]:
        """Return the indices of the folded `word`, also inside affixes (see affixes)."""
        # Scripts from Hebrew (U+0590) on may write particles inside a token, which only the index knows.
        # For the others one list.count() over a short text costs less than building the index, which
        # pays off once many terms are looked up in a long text.
        words = self.words
        if word >= "\u0590" or len(words) > _FEW:
            return self._index.get(word, ())
        found, at = [], -1
        for _ in range(words.count(word)):
            at = words.index(word, at + 1)
            found.append(at)
        return found

    def starting(self, prefix: str) -> Sequence[int]:
        """Return the indices of tokens that start with `prefix`, also behind their affixes."""
        if prefix not in self._parts:
            return ()
        if prefix < "\u0590":
            return [index for index, word in enumerate(self.words) if word.startswith(prefix)]
        starting = (word for word in self._index if word.startswith(prefix) and word not in self.joined)
        return sorted({at for word in starting for at in self._index[word]})

    @computed
    def _index(self) -> dict[str, list[int]]:
        """Map each folded token, whole or without its affixes, to its indices."""
        found: dict[str, list[int]] = {}
        for index, word in enumerate(self.words):
            found.setdefault(word, []).append(index)
        for word in [word for word in found if word >= "\u0590"]:
            for stem, _, _ in stems(word):
                found[stem] = sorted({*found.get(stem, ()), *found[word]})
        for word, runs in self.joined.items() if self.spaced is not self.text else ():
            found[word] = sorted({*found.get(word, ()), *(first for first, _ in runs)})
        return found

    @computed
    def elided(self) -> dict[tuple[str, str], list[int]]:
        """Map designators that stand for the second in `S-300/400` to the index of the number before theirs."""
        found: dict[tuple[str, str], list[int]] = {}
        for match in _ELIDED.finditer(self.text) if _has_slash_of_numbers(self.text) else ():
            first = bisect_left(self.starts, match.start())
            last = bisect_left(self.starts, match.end())
            letters, numbers = self.words[first], range(first + 2, last)
            for index in numbers:
                found.setdefault((letters, self.words[index]), []).append(index - 1)
        return found

    @computed
    def joined(self) -> dict[str, list[tuple[int, int]]]:
        """Map compounds with half spaces in them, each as one word, to their first and last token."""
        found: dict[str, list[tuple[int, int]]] = {}
        if self.spaced == self.text:
            return found
        gaps = [self.text[end:start] for end, start in zip(self.ends, self.starts[1:], strict=False)]
        halves = ["\u200c" in gap and self.spaced[end : end + len(gap)].isspace() for gap, end in
                  zip(gaps, self.ends, strict=False)]  # fmt: skip
        for first in (index for index, half in enumerate(halves) if half):
            last = first
            while last < len(halves) and halves[last] and last - first < _MAX_JOINED:
                last += 1
                found.setdefault("".join(self.words[first : last + 1]), []).append((first, last))
        return found

    def place(self, index: int) -> tuple[int, int]:
        """Return start and end of token `index`, as in `starts` and `ends`, without computing all of them."""
        word, parts, words = self.words[index], self._parts, self.words
        self._asked += 1
        if self._asked > _FEW_PLACES or word >= "\u0590" or parts.count(word) != words.count(word):
            return self.starts[index], self.ends[index]
        # Evidence needs the places of a handful of tokens, so the places of all are worked out only if more
        # are asked for. The shortcut is exact only if the word has as many occurrences as a string as it
        # has as a token.
        # It stands nowhere inside another word: its nth occurrence as a string is its nth as a token.
        start = -1
        for _ in range(words[:index].count(word) + 1):
            start = parts.find(word, start + 1)
        return self._source(start, start + len(word))

    def extent(self, index: int, word: str) -> tuple[int, int]:
        """Return the place of `word` inside token `index`: the token's place, less its affixes."""
        start, end = self.place(index)
        if self.words[index] == word:
            return start, end
        for stem, before, after in stems(self.words[index]):
            if stem == word:
                piece = self.text[start:end]
                sources = offsets(piece, WORDS)
                last = len(sources) - after
                return start + sources[before], self._end(start + sources[last - 1] + 1)
        for first, last in self.joined.get(word, ()):
            if first == index:
                return start, self.ends[last]
        return start, end


def _has_slash_of_numbers(text: str) -> bool:
    """Tell whether a slash follows a digit somewhere: `str.find` is much faster than a pattern over the text."""
    at = text.find("/")
    while at > 0:
        if text[at - 1].isdecimal():
            return True
        at = text.find("/", at + 1)
    return False


def between(text: str, end: int, start: int) -> str:
    """Return the text between two tokens, from `end` to `start`, without ignorable characters."""
    gap = text[end:start]
    return gap if len(gap) < 2 and gap.isascii() else IGNORABLE.sub("", gap[:64])


def token_texts(text: str) -> Sequence[str]:
    """Return the tokens of `text` as they are written."""
    reading = TokenizedText(text)
    return [reading.text[start:end] for start, end in zip(reading.starts, reading.ends, strict=True)]
