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
from aggregator.core.text.tokens import Token, token_kind, tokens

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
    body = entry.content if len(entry.content) > len(entry.summary) else entry.summary
    title, text = normalize("NFKC", entry.title[:MAX_CHARS]), normalize("NFKC", body[:MAX_CHARS])
    lang = _language(entry.lang, f"{title}\n{text}")
    common = common_words(lang)
    headline, opening = tokens(title), tokens(text, WORDS)
    text = text[: opening[-1].end] if opening else ""
    of_title, of_text = _Figures(title), _Figures(text)
    first, others = _stems(title, headline, of_title, lang, common), _stems(text, opening, of_text, lang, common)
    shown = dict(reversed([*first, *others]))  # as each is written first
    counts = Counter([stem for found in (first, first, others) for stem, _ in found])
    named = _anchors(title, headline, of_title, common, initial=True)
    return Features(
        lang=lang,
        stems=tuple(counts),
        counts=tuple([0 if stem in recurring else min(count, MAX_COUNT) for stem, count in counts.items()]),
        shown=tuple(map(shown.__getitem__, counts)),
        headline=tuple([token.folded for token in headline]),
        anchors=named,
        text_anchors=tuple(a for a in _anchors(text, opening, of_text, common, initial=False) if a not in named),
    )


def recurring(rows: Sequence[Features]) -> frozenset[str]:
    """Return the stems that recur in a feed's last entries, of which `rows` are the features."""
    counts = Counter(stem for row in rows for stem in row.stems)
    least = max(MIN_RECURRING, RECURRING * len(rows))
    return frozenset(stem for stem, count in counts.items() if count >= least)


def meant(entry: Entry) -> str:
    """Return the headline and the beginning of the text, from which an encoder can tell what the entry means."""
    body = entry.content if len(entry.content) > len(entry.summary) else entry.summary
    return f"{entry.title[:MAX_CHARS]}. {body[:MEANT_CHARS]}"


def _language(declared: str | None, text: str) -> str:
    guess = guess_language(text)
    return guess.likeliest[0] if guess.certain else language(declared) or next(iter(guess.likeliest), "")


class _Figures:
    """The designators of a text (whole, its name, its number), and the numbers that are no part of one.

    Single digits say little.
    """

    def __init__(self, text: str) -> None:
        digits = _DIGIT.search(text) is not None  # few headlines have any
        found = [*_DESIGNATOR.finditer(text)] if digits else []
        self.designators = [(match[0], match[1], match[2]) for match in found]
        rest = _DESIGNATOR.sub(" ", text) if found else text
        self.numbers = [number for number in _NUMBER.findall(rest) if len(number) > 1] if digits else []


def _stems(
    text: str, words: Sequence[Token], figures: _Figures, lang: str, common: frozenset[str]
) -> list[tuple[str, str]]:
    """Return stems with the words as they are written: words, pairs of unspaced signs, numbers, designators."""
    found = list[tuple[str, str]]()
    before: Token | None = None
    for token in words:
        folded, start, end = token
        if folded.isascii():
            before = None
            if len(folded) >= _SPOKEN_LEAST and folded not in common and not folded.isdecimal():
                written = text[start:end]
                found.append((root(written, lang), written))
            continue
        kind = token_kind(folded)
        if kind == "unspaced":
            if before is not None and before.end == start:
                found.append((before.folded + folded, text[before.start : end]))
            before = token
            continue
        before = None
        if kind != "digit" and len(folded) >= _SPOKEN_LEAST and folded not in common:
            written = text[start:end]
            inner = inner_words(folded)
            found.append((min(inner)[0] if inner else root(written, lang), written))
    found += [(fold(sign + number), whole) for whole, sign, number in figures.designators]
    return found + [(_plain(number), number) for number in figures.numbers]


def _plain(number: str) -> str:
    return re.sub(r"[.,](?=\d{3}\b)", "", number).replace(",", ".")


def _anchors(
    text: str, words: Sequence[Token], figures: _Figures, common: frozenset[str], *, initial: bool
) -> tuple[str, ...]:
    """Return names as consonants, numbers and designators: what a translation leaves as it is.

    A name is a capitalised word, or any of a script without capitals. The first word of a headline may be
    one (`initial`), those that begin a sentence of a text are rather not.
    """
    found: dict[str, None] = {}
    for folded, start, end in words:
        written = text[start:end]
        named = not written[0].islower() and folded not in common and token_kind(folded) not in ("digit", "unspaced")
        if named and (initial or not _begins_sentence(text, start)):
            skeleton = _skeleton(written)
            if len(skeleton) >= _SKELETON_LEAST:
                found[skeleton] = None
    for number in figures.numbers:
        found[f"#{_plain(number)}"] = None
    for _, sign, number in figures.designators:
        found[f"{anyascii(sign).lower()}{number.lower()}"] = None
    return tuple(found)


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
