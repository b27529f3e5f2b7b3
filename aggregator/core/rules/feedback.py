"""What marks on hits teach: how precise a rule is, and which words to exclude.

For each word: in how many irrelevant and relevant texts it occurs, and the logarithm of the ratio
of the odds (half a text added to each count, so that zero is no infinity). Nothing is changed by
itself: a proposal says its counts, and a person decides.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log

from aggregator.core.rules.compile import Rule, term_clauses
from aggregator.core.text.fold import fold
from aggregator.core.text.tokens import TokenizedText, token_kind

MIN_SCORE = 1.5  # an odds ratio of about 4.5
MIN_TEXTS = 2  # irrelevant texts that a proposed word must be in


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A term to put under `none:`; counts are of texts. `score` is the log odds ratio."""

    term: str
    irrelevant: int
    irrelevant_of: int
    relevant: int
    relevant_of: int
    score: float

    @property
    def why(self) -> str:
        """The counts in words."""
        return (
            f"in {self.irrelevant} of {self.irrelevant_of} irrelevant hits"
            f" and {self.relevant} of {self.relevant_of} relevant ones"
        )


def precision(relevant: int, irrelevant: int) -> float | None:
    """The share of marked hits that were relevant; None where nothing is marked."""
    marked = relevant + irrelevant
    return relevant / marked if marked else None


def propose(rule: Rule, relevant: Sequence[str], irrelevant: Sequence[str], limit: int = 5) -> tuple[Proposal, ...]:
    """The terms that best separate the irrelevant texts of a rule's hits from the relevant ones.

    Words that the rule itself looks for are never proposed, nor is one that would lose more
    relevant hits than it removes irrelevant ones.
    """
    own = {token for clause in term_clauses(rule.plan) for each in clause.atoms for token in each.tokens}
    good, bad = _occurrences(relevant), _occurrences(irrelevant)
    spelled = _spellings(irrelevant)
    proposals = (
        Proposal(
            term=spelled[word],
            irrelevant=count,
            irrelevant_of=len(irrelevant),
            relevant=good[word],
            relevant_of=len(relevant),
            score=round(_log_odds(count, len(irrelevant), good[word], len(relevant)), 2),
        )
        for word, count in bad.items()
        if count >= MIN_TEXTS and count > good[word] and word not in own
    )
    best = sorted((p for p in proposals if p.score >= MIN_SCORE), key=lambda p: (-p.score, -p.irrelevant, p.term))
    return tuple(best[:limit])


def _log_odds(in_bad: int, bad: int, in_good: int, good: int) -> float:
    return log((in_bad + 0.5) / (bad - in_bad + 0.5)) - log((in_good + 0.5) / (good - in_good + 0.5))


def _occurrences(texts: Iterable[str]) -> Counter[str]:
    return Counter(
        word
        for text in texts
        for word in set(TokenizedText(text).words)
        if len(word) > 2 and token_kind(word) == "letter"
    )


def _spellings(texts: Iterable[str]) -> dict[str, str]:
    """Folded word → how it is first written."""
    found: dict[str, str] = {}
    for text in texts:
        reading = TokenizedText(text)
        for start, end in zip(reading.starts, reading.ends, strict=True):
            written = reading.text[start:end]
            found.setdefault(fold(written), written)
    return found
