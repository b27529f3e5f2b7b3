"""Turns of an event: what its reports deny, decide, end or find out that none before them had said.

`turns.txt` beside this module lists, by language, the words of each kind of turn: denied; ended; decided for; decided
against; stopped; arrested; sentenced; acquitted; resigned; died; agreed; found; resumed. `*` stands for any ending; a
word of several meanings (`~`) is no turn itself, but shows that its kind was reported.
"""

from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from itertools import chain, pairwise
from typing import NamedTuple

from aggregator.core.model import Features, Report
from aggregator.core.stories import said
from aggregator.core.text.affixes import stems
from aggregator.core.text.fold import fold

NONE = frozenset[int]()


class _Words(NamedTuple):
    """The words of a language that tell of a turn, with the kinds that each may be of; and the beginnings of words."""

    whole: dict[str, frozenset[int]]
    begun: dict[str, frozenset[int]]
    vague: frozenset[str]
    lengths: tuple[int, ...]

    def kinds(self, word: str) -> frozenset[int]:
        """Return the kinds of turn that a folded word may tell of."""
        found = self.whole.get(word, NONE)
        for length in self.lengths:
            found |= self.begun.get(word[:length], NONE)
        return found


def turn(new: Report, alerted: Report, others: Iterable[Report]) -> str:
    """Return the word in a headline that tells of a turn of the event; "" for none.

    It is one if neither the report that was alerted nor another headline that its alert stands for has a word of its
    kind.
    """
    known = _words(new.features.lang)
    mine = {word: kinds for word in _headline(new.features) if (kinds := known.kinds(word)) and word not in known.vague}
    if not mine:
        return ""
    read = {*_headline(alerted.features), *map(fold, alerted.features.shown), *said(alerted.fingerprint)}
    read.update(*(_headline(report.features) for report in others))
    before = frozenset(chain.from_iterable(map(known.kinds, read)))
    return next((word for word, kinds in mine.items() if not kinds & before), "")


def _headline(features: Features) -> Iterable[str]:
    """Return the words of a headline, without prefixes too; pairs of signs in scripts without spaces."""
    inner = (stem for word in features.headline for stem, _, _ in stems(word))
    pairs = (one + other for one, other in pairwise(features.headline) if len(one) == len(other) == 1)
    return [*features.headline, *inner, *pairs]


@lru_cache(maxsize=64)
def _words(lang: str) -> _Words:
    for line in (files("aggregator.core.events") / "turns.txt").read_text("utf-8").splitlines():
        langs, _, rows = line.partition(": ")
        if lang in langs.split():
            return _read(rows)
    return _Words({}, {}, frozenset(), ())


def _read(rows: str) -> _Words:
    whole: dict[str, frozenset[int]] = {}
    begun: dict[str, frozenset[int]] = {}
    vague = set[str]()
    for kind, words in enumerate(map(str.split, rows.split(";"))):
        for word in words:
            plain = fold(word.strip("~*"))
            found = begun if word.endswith("*") else whole
            found[plain] = found.get(plain, frozenset()) | {kind}
            if word.startswith("~"):
                vague.add(plain)
    return _Words(whole, begun, frozenset(vague), tuple({len(word) for word in begun}))
