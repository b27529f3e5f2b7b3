"""The traits by which reports of one event in different words are recognised."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from unicodedata import normalize

from anyascii import anyascii

from aggregator.core.model import Entry, Features
from aggregator.core.text.affixes import stems as inner_words
from aggregator.core.text.fold import fold
from aggregator.core.text.language import common_words, guess_language, language, root
from aggregator.core.text.tokens import TokenizedText, token_kind, tokens

WORDS, MAX_CHARS = 60, 900  # of a text that are read
MAX_COUNT = 9
MEANT_CHARS = 200  # of a text, beside its headline: what comes later is more about the circumstances than the event
RECENT, RECURRING, MIN_RECURRING = 200, 0.3, 6  # last entries of a feed; share and number of them that make a banner

_DIGIT = re.compile(r"\d")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_DESIGNATOR = re.compile(r"\b([^\W\d_]{1,5})[-‐‑–]?(\d{1,4}[A-Za-z]{0,2})\b")
_SPOKEN_LEAST, _SKELETON_LEAST = 2, 3  # characters of a word; consonants of a name


def features(entry: Entry, recurring: frozenset[str] = frozenset()) -> Features:
    """Compute the traits by which a report of the same event in other words is recognised.

    `recurring` are stems that recur in the entry's feed: banners, heads of series, places of a local paper.
    """
    body = _longest(entry)
    title, text = normalize("NFKC", entry.title[:MAX_CHARS]), normalize("NFKC", body[:MAX_CHARS])
    lang = _language(entry.lang, f"{title}\n{text}")
    common = common_words(lang)
    headline, opening = _Words(title, lang, common, initial=True), _Words(text, lang, common, WORDS, initial=False)
    written = [*headline.written, *opening.written]
    shown = dict(zip(reversed([*headline.stems, *opening.stems]), reversed(written), strict=True))  # as each is first
    counts = Counter([*headline.stems, *headline.stems, *opening.stems])
    return Features(
        lang=lang,
        stems=tuple(counts),
        counts=tuple([0 if stem in recurring else min(count, MAX_COUNT) for stem, count in counts.items()]),
        shown=tuple(map(shown.__getitem__, counts)),
        headline=tuple(headline.folded),
        anchors=tuple(headline.anchors),
        text_anchors=tuple([anchor for anchor in opening.anchors if anchor not in headline.anchors]),
    )


def recurring(rows: Sequence[Features]) -> frozenset[str]:
    """Return the stems that recur in a feed's last entries, of which `rows` are the features."""
    counts = Counter(stem for row in rows for stem in row.stems)
    least = max(MIN_RECURRING, RECURRING * len(rows))
    return frozenset(stem for stem, count in counts.items() if count >= least)


def headline_stems(known: Features) -> list[str]:
    """Return those stems that the headline has."""
    words = set(known.headline)
    return [
        stem
        for stem, shown in zip(known.stems, known.shown, strict=True)
        if all(token.folded in words for token in tokens(shown))
    ]


def meant(entry: Entry) -> str:
    """Return the headline and the beginning of the text, from which an encoder can tell what the entry means."""
    return f"{entry.title[:MAX_CHARS]}. {_longest(entry)[:MEANT_CHARS]}"


def _longest(entry: Entry) -> str:
    return entry.content if len(entry.content) > len(entry.summary) else entry.summary


def _language(declared: str | None, text: str) -> str:
    """Return the language of a text: as its feed states it if it may be that, else as it is guessed.

    What states English may be anything: that is what software of feeds says where nobody chose.
    """
    guess, stated = guess_language(text), language(declared)
    if stated != "en" and stated in guess.likeliest:
        return stated
    return guess.likeliest[0] if guess.certain else stated or next(iter(guess.likeliest), "")


class _Words:
    """The words of a headline or of an opening, in one pass: folded, their stems, and what a translation leaves alone.

    `stems` are of words, pairs of unspaced signs, numbers and designators, each with the word as it is `written`.
    `anchors` are names as consonants, numbers and designators. A name is a capitalised word, or any of a script
    without capitals; the first word of a headline may be one (`initial`), those that begin a sentence are rather not.
    """

    def __init__(self, text: str, lang: str, common: frozenset[str], most: int | None = None, *, initial: bool) -> None:
        reading = TokenizedText(text)
        self.folded, ends = reading.words[:most], reading.ends
        self.stems, self.written, self.anchors = list[str](), list[str](), dict[str, None]()
        sign, sign_start, sign_end = "", 0, -1  # the last token that was an unspaced sign
        for folded, start, end in zip(self.folded, reading.starts, ends, strict=False):
            kind = token_kind(folded)
            if kind == "unspaced":
                if sign_end == start:
                    self._add(sign + folded, text[sign_start:end])
                sign, sign_start, sign_end = folded, start, end
            elif kind != "digit" and folded not in common:
                written = text[start:end]
                if len(folded) >= _SPOKEN_LEAST:
                    inner = () if folded.isascii() else inner_words(folded)
                    self._add(min(inner)[0] if inner else root(written.lower(), lang), written)
                if not written[0].islower() and (initial or not _begins_sentence(text, start)):
                    skeleton = _skeleton(written)
                    if len(skeleton) >= _SKELETON_LEAST:
                        self.anchors[skeleton] = None
        self._add_figures(text if most is None else text[: ends[len(self.folded) - 1]] if self.folded else "")

    def _add(self, stem: str, written: str) -> None:
        self.stems.append(stem)
        self.written.append(written)

    def _add_figures(self, text: str) -> None:
        """Add the designators, and the numbers that are no part of one; single digits say little."""
        if _DIGIT.search(text) is None:  # few headlines have any
            return
        designators = [*_DESIGNATOR.finditer(text)]
        numbers = [number for number in _NUMBER.findall(_DESIGNATOR.sub(" ", text)) if len(number) > 1]
        for found in designators:
            self._add(fold(found[1] + found[2]), found[0])
        for number in numbers:
            self._add(_plain(number), number)
            self.anchors[f"#{_plain(number)}"] = None
        for found in designators:
            self.anchors[f"{anyascii(found[1]).lower()}{found[2].lower()}"] = None


def _plain(number: str) -> str:
    return re.sub(r"[.,](?=\d{3}\b)", "", number).replace(",", ".")


def written_anchors(known: Features, anchors: Iterable[str]) -> list[str]:
    """Return anchors as the words of a report that they were made of, in order of the text."""
    wanted = set(anchors)
    forms = [
        (word, {_skeleton(word), f"#{stem}", anyascii(stem).lower()})
        for stem, word in zip(known.stems, known.shown, strict=True)
    ]
    return [word for word, possible in forms if possible & wanted]


def _begins_sentence(text: str, start: int) -> bool:
    return not text[:start].rstrip(" \n\"'“”«»„(").endswith(tuple("abcdefghijklmnopqrstuvwxyz,;-–—")) and (
        start == 0 or text[:start].rstrip()[-1:] in ".!?:…\n"
    )


@lru_cache(maxsize=1 << 15)
def _skeleton(word: str) -> str:
    """Return the consonants of a word in ASCII, alike for the ways in which languages write one name.

    A vowel at the beginning is kept, as one sign for all, since it makes short names less alike.
    """
    plain = anyascii(word).lower()
    for written, sound in _SOUNDS:
        plain = plain.replace(written, sound)
    plain = re.sub(r"[^a-z]", "", plain)
    skeleton = re.sub(r"[aeiouyhj]", "", plain)
    return re.sub(r"(.)\1+", r"\1", f"a{skeleton}" if plain[:1] in "aeiou" else skeleton)


_SOUNDS = (
    ("kh", "h"), ("tsch", "c"), ("tch", "c"), ("sch", "s"), ("sh", "s"), ("ch", "c"), ("cz", "c"), ("ph", "f"),
    ("th", "t"), ("ck", "k"), ("x", "ks"), ("q", "k"), ("c", "k"), ("z", "s"), ("w", "v"),
)  # fmt: skip
