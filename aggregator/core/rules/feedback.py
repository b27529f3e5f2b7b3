"""Lessons from marks on hits: how precise a rule is, and which words to exclude.

For each word: in how many irrelevant and relevant texts it occurs, and the logarithm of the ratio
of the odds (half a text added to each count, so that zero is no infinity). Nothing changes
automatically: a proposal shows its counts, and a person decides. A few marks teach nothing: the words of
ten headlines that one person liked differ from those of ten others by chance.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log

from aggregator.core.rules.clauses import term_clauses
from aggregator.core.rules.compile import Rule
from aggregator.core.text.fold import fold
from aggregator.core.text.tokens import TokenizedText, token_kind

MIN_SCORE = 1.5  # an odds ratio of about 4.5
MIN_TEXTS = 2  # irrelevant texts that a proposed word must be in
MIN_MARKED = 10  # hits of each kind, before anything is proposed
MAX_RELEVANT = 0.05  # share of the relevant texts that a proposed word may be in
MAX_COMMON = 0.02  # share of the stored entries
_MIN_ENTRIES = 100  # from which that share says something

# Words that say nothing about a subject, folded: whatever marks seem to say of them is chance.
_EVERYDAY_WORDS = """
about above across after again against ago all almost along already also although always among and another any are
around ask away back because been before being below between big both but call came can cannot come could day days
did does doing done down during each early either end even ever every few first five for four from full get gets
give given going good got had has have having her here high him his how however including into its just keep know
last late latest least less let like likely long look made make many may might more most much must near never new
news next not now off old one only onto other our out over own part per put read report reported reports said same
saw say says second see seen set several she should show shows since six small some still such take ten than that
the their them then there these they thing third this those though three through time times today told too took
top toward two under until upon use used very want was way week well went were what when where whether which while
who whole whom whose why will with within without work would year years yet you your
aber als auch auf aus bei bis das dass dem den der des die durch ein eine einem einen einer eines fur hat haben ich
ihr ist kann mehr mit nach nicht noch nur oder sein seine sich sie sind uber und unter von vor war werden wie wird
wurde zum zur alors apres avec aux cette ces comme dans depuis des deux dont elle est etre fait les leur mais meme
ont par pas plus pour que qui sans ses son sont sous sur tout une vers como con contra cuando del desde dos
donde ella ellos entre era esta este esto fue hasta las los mas muy para pero por porque segun ser sin sobre son sus
tambien tiene todo una uno anche che chi come con dal dalla degli del della delle dopo gli hanno loro nel nella non
per piu quando questa questo sono sul tra una uno com das dos ela ele foi mais nao nas nos pela pelo seu sua uma
aan als bij dan dat deze die door een het hij naar niet nog ook onder over tot uit van voor was wat werd zijn
att av den det efter eller en ett for fran har inte med och om pa som till var vid er ikke og til
это как что для его она они был была было были все еще или так также уже при после перед если когда где которыи
которая которые чтобы более только может будет свои про над под без між від для про що як його або після також
bir ile icin gibi daha cok ama olarak olan oldu sonra once kadar gore ise veya dedi
"""
_EVERYDAY = frozenset(_EVERYDAY_WORDS.split())


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
        """Return the counts in words."""
        return (
            f"in {self.irrelevant} of {self.irrelevant_of} irrelevant hits"
            f" and {self.relevant} of {self.relevant_of} relevant ones"
        )


def propose(
    rule: Rule,
    relevant: Sequence[str],
    irrelevant: Sequence[str],
    limit: int = 5,
    *,
    frequencies: Mapping[str, int] | None = None,
    entries: int = 0,
) -> tuple[Proposal, ...]:
    """Return the terms that best separate the irrelevant texts of a rule's hits from the relevant ones.

    Nothing is proposed before ten of each are marked. Words that the rule itself looks for are never
    proposed, nor are everyday words, words of relevant hits, and words that many of all stored
    `entries` have (`frequencies`: folded word → entries it is in).
    """
    if min(len(relevant), len(irrelevant)) < MIN_MARKED:
        return ()
    known = frequencies or {}
    common = _EVERYDAY.union(
        word for word, count in known.items() if entries >= _MIN_ENTRIES and count > MAX_COMMON * entries
    )
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
        if count >= MIN_TEXTS and good[word] <= MAX_RELEVANT * len(relevant) and word not in own and word not in common
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
    """Map each folded word to its first spelling."""
    found: dict[str, str] = {}
    for text in texts:
        reading = TokenizedText(text)
        for start, end in zip(reading.starts, reading.ends, strict=True):
            written = reading.text[start:end]
            found.setdefault(fold(written), written)
    return found
