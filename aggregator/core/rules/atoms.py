"""Terms (a word, a phrase, a designator) and where they occur in a text.

An Atom is one spelling of a term, ready to be searched for. docs/rules.md says what a person may
expect; separators.py decides about the gaps.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from unicodedata import category

from aggregator.core.rules.separators import (
    DASHES,
    CodeSeparator,
    Separator,
    SeparatorContext,
    SymbolSeparator,
    WordSeparator,
    normalize_separator,
    separator_of,
)
from aggregator.core.text.affixes import behind_prefixes, stems
from aggregator.core.text.fold import IGNORABLE, fold_cased, without_invisible
from aggregator.core.text.tokens import TokenizedText, between, lone_word, token_kind, words

BEGINNING = 4  # characters by which prefixes are looked up
LEAST_PREFIX = 3  # letters of a prefix
MAX_OCCURRENCES = 10_000  # of one atom in one field
_DROPPED_AROUND = " \t\n\u00a0'\"-_.,;:!?…()[]{}«»„“”‘’‚‹›·、。，：；！？（）「」『』【】《》—―"
_WORD = re.compile(r"\S+")
_DESIGNATOR = re.compile(r"([A-Za-z]+)-([0-9]+)")
_INITIAL_AFTER = re.compile(r"\.[^\W\d_]\b")
_INITIAL_BEFORE = re.compile(r"(?:^|\W)[^\W\d_]\.$")
_DASHES = DASHES + "_"
_NUMBER_POINT = ".,٫٬'’"


class BadTerm(ValueError):
    """A term that cannot be searched for; `hint` says what to write."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True, eq=False)
class Atom:
    """One spelling of a term. Atoms are compared by `key`, which holds all that matters.

    `tokens` are folded; `separators` judge what stands between them; `lead` and `trail` are symbols that
    must touch the first and last token; `cased` are the tokens' capitals where they matter; `langs` are the
    languages of a text in which it counts, empty: all.
    """

    term: str
    tokens: tuple[str, ...]
    separators: tuple[Separator, ...] = ()
    lead: str = ""
    trail: str = ""
    prefix: bool = False
    cased: tuple[str, ...] | None = None
    code: bool = False
    langs: frozenset[str] = frozenset()
    key: tuple[object, ...] = field(init=False)
    required: tuple[str, ...] = field(init=False)  # words without which a document cannot have it
    beginning: str = field(init=False)  # of a prefix that is a single word
    bare: bool = field(init=False)  # a word that stands wherever its token does; worked out when it is asked for
    _hash: int = field(init=False)

    def __post_init__(self) -> None:
        key = (self.tokens, self.separators, self.lead, self.trail, self.prefix, self.cased, self.code, self.langs)
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "_hash", hash(key))
        object.__setattr__(self, "required", self.tokens[:-1] if self.prefix else self.tokens)
        single = self.prefix and len(self.tokens) == 1
        object.__setattr__(self, "beginning", self.tokens[0][:BEGINNING] if single else "")

    def __getattr__(self, name: str) -> bool:
        # Reached while the slot is empty: most spellings never come near a text.
        if name != "bare":
            raise AttributeError(name)
        bare = self._is_bare()
        object.__setattr__(self, "bare", bare)
        return bare

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Atom) and self._hash == other._hash and self.key == other.key)

    def _is_bare(self) -> bool:
        if len(self.tokens) > 1 or self.lead or self.trail or self.langs or self.cased is not None:
            return False
        return token_kind(self.tokens[0]) == "unspaced" or (
            len(self.tokens[0]) > 1 and token_kind(self.tokens[0]) == "letter"
        )

    def find(self, reading: TokenizedText) -> list[tuple[int, int]]:
        """Return the token ranges of `reading` where this atom occurs, in order, at most MAX_OCCURRENCES."""
        size = len(self.tokens)
        starts: Iterable[int] = self._single(reading) if size == 1 else self._sequences(reading)
        if starts and not self.bare:
            starts = (at for at in starts if self.is_valid_at(reading, at))
        if self.code and size == 2 and "/" in reading.text and not self.prefix and self.cased is None:
            starts = sorted({*starts, *reading.elided.get((self.tokens[0], self.tokens[1]), ())})
        return [(at, at + size) for at in islice(starts, MAX_OCCURRENCES)] if starts else []

    def span(self, reading: TokenizedText, at: int) -> tuple[int, int]:
        """Return the code points that this atom covers at token `at`."""
        last = at + len(self.tokens) - 1
        start, end = reading.extent(at, self.tokens[0])
        if self.prefix:
            end = reading.place(last)[1]
        elif last > at:
            end = reading.extent(last, self.tokens[-1])[1]
        if self.lead:
            start = _reach(reading.text, start, len(self.lead), -1)
        return start, _reach(reading.text, end, len(self.trail), 1) if self.trail else end

    def _single(self, reading: TokenizedText) -> Sequence[int]:
        return reading.starting(self.tokens[0]) if self.prefix else reading.at(self.tokens[0])

    def _sequences(self, reading: TokenizedText) -> Iterable[int]:
        """Return where all tokens follow each other, starting from the rarest one."""
        # A phrase is verified from its rarest word ("of the Black Sea" from "black"), as search engines
        # intersect posting lists from the shortest on: the cost is that of the rarest word, not of "the".
        # Affixes count at the outer edges only: inside a phrase a particle would be another word.
        whole = self.tokens[:-1] if self.prefix else self.tokens
        places: list[Sequence[int]] = []
        for word in whole:
            found = reading.at(word)
            if not found:  # as in most fields of a text that has all words somewhere
                return ()
            places.append(found)
        return self._following(reading, places)

    def _following(self, reading: TokenizedText, places: Sequence[Sequence[int]]) -> Iterator[int]:
        anchor = min(range(len(places)), key=lambda k: len(places[k]))
        words, last = reading.words, len(self.tokens) - 1
        for at in places[anchor]:
            start = at - anchor
            if 0 <= start < len(words) - last and all(
                self._token_at(words[start + k], k, last) for k in range(last + 1)
            ):
                yield start

    def _token_at(self, word: str, k: int, last: int) -> bool:
        token = self.tokens[k]
        if word == token:
            return True
        if k == last and self.prefix:
            return word.startswith(token)
        if word < "\u0590" or 0 < k < last:
            return False
        return any(stem == token and (not before if k else not after) for stem, before, after in stems(word))

    def is_valid_at(self, reading: TokenizedText, at: int) -> bool:
        """Tell whether separators, symbols, surroundings and capitals fit for tokens at `at`."""
        return (
            all(self._separator(reading, at + k, gap) for k, gap in enumerate(self.separators))
            and self._edges(reading, at)
            and (self.cased is None or self._capitals(reading, at))
        )

    def _separator(self, reading: TokenizedText, at: int, gap: Separator) -> bool:
        text = reading.text
        (start, end), (after, beyond) = reading.place(at), reading.place(at + 1)
        initial = isinstance(gap, CodeSeparator) and start > 1 and text[start - 1] == "." and text[start - 2].isalpha()
        sides = SeparatorContext(text[start:end], text[after:beyond], initial)
        return gap.allows(between(reading.spaced, end, after), sides)

    def _edges(self, reading: TokenizedText, at: int) -> bool:
        """Check the symbols at the term's edges, and that it is not inside a longer number or code."""
        text, last = reading.text, at + len(self.tokens) - 1
        start, end = reading.place(at)[0], reading.place(last)[1]
        if self.lead and not _leads(self.lead, text, start):
            return False
        if self.trail and not _trails(self.trail, text, end):
            return False
        # Tokens split where letters and digits meet, so 400 is a token of S-400, 1.400 and 400B as well. The
        # checks below undo this at the edges: a number must not go on (1,400), a number alone must not be
        # the end of somebody's designator (S-400 for the term 400), a designator must not start inside
        # another one (2S1 for S1), and initials must not be part of longer ones (U.S. in U.S.S.R.).
        first_kind, last_kind = token_kind(self.tokens[0]), token_kind(self.tokens[-1])
        if first_kind == "digit" and not self.lead and _number_goes_on(text, start - 1, -1):
            return False
        if last_kind == "digit" and not self.trail and _number_goes_on(text, end, 1):
            return False
        if first_kind == "digit" and _inside_code(reading, at, code=self.code):
            return False
        if self.code and first_kind == "letter" and text[start - 1 : start].isdecimal():
            return False
        if self._initials and (
            _INITIAL_AFTER.match(text, end) or _INITIAL_BEFORE.search(text[max(0, start - 3) : start])
        ):
            return False
        return (
            len(self.tokens) > 1 or len(self.tokens[0]) > 1 or first_kind != "letter" or self._alone(text, start, end)
        )

    @property
    def _initials(self) -> bool:
        return (
            any(isinstance(gap, SymbolSeparator) and gap.written == "." for gap in self.separators)
            and len(self.tokens[-1]) == 1
        )

    def _alone(self, text: str, start: int, end: int) -> bool:
        """Tell whether a single letter is a word by itself: not the C of C++, C4 or R&D."""
        before, after = text[start - 1 : start], text[end : end + 1]
        return not (
            (before.isdecimal() or before in ("&", "＆"))
            or (not self.trail and (after.isdecimal() or after in tuple("+#&＋＃＆")))
        )

    def _capitals(self, reading: TokenizedText, at: int) -> bool:
        assert self.cased is not None
        for k, cased in enumerate(self.cased):
            start, end = reading.extent(at + k, self.tokens[k])
            written = fold_cased(reading.text[start:end])
            if written != cased and not (self.prefix and k == len(self.cased) - 1 and written.startswith(cased)):
                return False
        return True


def _leads(lead: str, text: str, start: int) -> bool:
    first = _reach(text, start, len(lead), -1)
    earlier = _seen(text, _reach(text, first, 1, -1), first)
    return normalize_separator(_seen(text, first, start)) == lead and (
        category(lead[0]) == "Sc" or not (earlier.isalnum() or earlier == lead[0])
    )


def _trails(trail: str, text: str, end: int) -> bool:
    last = _reach(text, end, len(trail), 1)
    after = _seen(text, end, last)
    return normalize_separator(after) == trail and _seen(text, last, _reach(text, last, 1, 1)) != after[-1:]


def _seen(text: str, start: int, end: int) -> str:
    return IGNORABLE.sub("", text[start:end])


def _reach(text: str, at: int, count: int, step: int) -> int:
    """Return where `count` visible characters before (`step` -1) or after `at` (1) begin or end."""
    while count and 0 <= at + min(step, 0) < len(text):
        count -= not IGNORABLE.match(text[at + min(step, 0)])
        at += step
    return at


def _number_goes_on(text: str, at: int, step: int) -> bool:
    """Tell whether a number goes on over its point or thousands separator at `at`."""
    beyond = at + step
    return 0 <= at < len(text) and 0 <= beyond < len(text) and text[at] in _NUMBER_POINT and text[beyond].isdecimal()


def _inside_code(reading: TokenizedText, at: int, *, code: bool) -> bool:
    """Tell whether digits continue a designator on their left: S400, S-400; not anti-400 or in 400."""
    if not at or token_kind(reading.words[at - 1]) == "unspaced":
        return False
    gap = reading.text[reading.ends[at - 1] : reading.starts[at]]
    letters = reading.text[reading.starts[at - 1] : reading.ends[at - 1]]
    # Designators put up to four capitals before the number (S-400, AGM-158, RQ-4). A lower-case or longer
    # word before a hyphen is ordinary prose (anti-400, post-2014), where the number stands for itself.
    if not gap:
        return letters[-1:].isalpha() and (letters.isupper() or code or len(letters) > 1)
    return len(gap) == 1 and gap in _DASHES and letters.isupper() and len(letters) <= 4


def inflected(form: str, term: str, langs: frozenset[str]) -> Atom:
    """Build the atom of a form of `term`, which counts in texts of `langs` only (empty: in all)."""
    found = atom(form)
    return replace(found, term=term, langs=langs) if langs else found


@lru_cache(maxsize=1 << 18)
def atom(term: str, exact: bool = False) -> Atom:
    """Build the atom of a term as a person writes it; a star at the end makes it a prefix.

    Raises BadTerm.
    """
    body = without_invisible(term.strip())
    if plain := _plain(term, body, exact) or _designator(term, body, exact):
        return plain
    prefix = body.endswith(("*", "＊"))
    body = without_invisible(body[:-1]) if prefix else body
    if "*" in body and not re.search(r"\*(?=\W|$)", body):
        raise BadTerm(f"{term!r}: a * is only allowed at the end of a word", "write the beginning of the word and a *")
    reading = TokenizedText(body)
    if not reading.words:
        raise BadTerm(f"{term!r} has no letter or digit to match", "use a regex to match punctuation alone")
    if prefix and not body[-1:].isalnum() and category(body[-1])[0] != "M":
        raise BadTerm(f"{term!r}: a * must directly follow the beginning of a word", "write for example sanction*")
    if prefix and sum(map(len, reading.words)) < LEAST_PREFIX:
        raise BadTerm(
            f"{term!r}: a * needs at least {LEAST_PREFIX} letters before it",
            "write the words you mean, or a longer beginning",
        )
    written = [body[start:end] for start, end in zip(reading.starts, reading.ends, strict=True)]
    codes = _code_words(body, reading)
    gaps = tuple(
        separator_of(
            between(reading.spaced, reading.ends[k], reading.starts[k + 1]),
            written[k],
            written[k + 1],
            code=codes[k] is not None and codes[k] == codes[k + 1],
        )
        for k in range(len(written) - 1)
    )
    return Atom(
        term=term,
        tokens=tuple(reading.words),
        separators=gaps,
        lead=_symbols(body[: reading.starts[0]], leading=True),
        trail="" if prefix else _symbols(body[reading.ends[-1] :], leading=False),
        prefix=prefix,
        cased=tuple(map(fold_cased, written)) if exact else None,
        code=any(code is not None for code in codes) and _has_code(gaps),
    )


def _plain(term: str, body: str, exact: bool) -> Atom | None:
    """Build the atom of words of letters between single blanks, or of the beginning of one; None if it is more."""
    prefix = body.endswith("*")
    written = [body[:-1]] if prefix else body.split(" ")
    tokens = tuple(filter(None, map(lone_word, written)))
    if len(tokens) < len(written) or (len(tokens) > 1 and any(token_kind(word) == "unspaced" for word in tokens)):
        return None
    if prefix and len(tokens[0]) < LEAST_PREFIX:
        return None
    cased = tuple(map(fold_cased, written)) if exact else None
    return Atom(term=term, tokens=tokens, separators=(WordSeparator(),) * (len(tokens) - 1), prefix=prefix, cased=cased)


def _designator(term: str, body: str, exact: bool) -> Atom | None:
    """Build the atom of a designator as most are written, `AB-12`; None if it is another term."""
    found = _DESIGNATOR.fullmatch(body)
    if found is None:
        return None
    letters, digits = found.groups()
    gaps = (separator_of("-", letters, digits, code=True),)
    cased = (letters, digits) if exact else None
    return Atom(term=term, tokens=(letters.lower(), digits), separators=gaps, cased=cased, code=_has_code(gaps))


def prefixed(written: Atom) -> list[Atom]:
    """Build the atoms of a phrase whose short first word is written together with a preposition: באו"ם."""
    if len(written.tokens) < 2 or sum(map(len, written.tokens)) < LEAST_PREFIX or written.lead or written.cased:
        return []
    return [replace(written, tokens=(first, *written.tokens[1:])) for first in behind_prefixes(written.tokens[0])]


def respelled(written: Atom, term: str) -> Atom:
    """Build the atom of a designator's spelling in another script: other letters, everything else unchanged.

    Letters may become the names of letters, with blanks in between: `AB-12`, `بي-12` after `إيه`.
    """
    tokens = tuple(words(term))
    more = len(tokens) - len(written.tokens)
    named = more > 0 and term.count(" ") == more and tokens[1 + more :] == written.tokens[1:]
    if (more and not (named and written.tokens[0].isalpha())) or written.lead or written.trail or written.cased:
        return atom(term, written.cased is not None)
    gaps = (WordSeparator(),) * more + written.separators
    return Atom(term=term, tokens=tokens, separators=gaps, prefix=written.prefix, code=True)


def _has_code(gaps: Sequence[Separator]) -> bool:
    """Tell whether a term has a designator's gap."""
    return any(isinstance(gap, CodeSeparator) for gap in gaps)


def _code_words(body: str, reading: TokenizedText) -> list[int | None]:
    """Return, for each token, the start of the blank-free word around it if that has letters and digits."""
    codes: list[int | None] = [None] * len(reading.words)
    if not any(map(str.isdecimal, body)):
        return codes
    starts = reading.starts
    for found in _WORD.finditer(body):
        inside = [k for k, start in enumerate(starts) if found.start() <= start < found.end()]
        kinds = {token_kind(reading.words[k]) for k in inside}
        if {"letter", "digit"} <= kinds:
            for k in inside:
                codes[k] = found.start()
    return codes


def _symbols(context: str, *, leading: bool) -> str:
    """Return the significant symbols at a term's edge: the # of #MeToo, the ++ of C++, the . of .NET."""
    if not context:
        return ""
    tidied = normalize_separator(context)
    if leading:
        touching = re.search(r"\S*$", tidied)
        kept = touching[0].lstrip(_DROPPED_AROUND) if touching else ""
        return kept or ("." if touching and touching[0].endswith(".") else "")
    touching = re.match(r"\S*", tidied)
    return touching[0].rstrip(_DROPPED_AROUND) if touching else ""
