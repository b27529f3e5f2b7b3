"""A rule's tree, prepared for evaluation: lists filled in, spellings added, fields known.

Each clause answers three questions: does it match, where (spans), and which keys must a document
have for it to match at all (triggers, for the index).
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from dataclasses import field as attribute
from itertools import islice, pairwise
from operator import contains

from aggregator.core.model import Span
from aggregator.core.rules.atoms import Atom
from aggregator.core.rules.items import Spelling
from aggregator.core.rules.match_context import MatchContext
from aggregator.core.rules.regex import Pattern
from aggregator.core.rules.syntax_tree import Node
from aggregator.core.text.fold import fold, fold_cased
from aggregator.core.text.language import stem

MAX_SPANS = 50  # of one match
MAX_CHAINS = 20  # ways in which a NEAR is shown to hold
MAX_NEAR = 8  # terms of an unordered NEAR

# A word, a beginning, two words in a row, two words anywhere, a pattern.
Key = str | tuple[str] | tuple[str, str] | frozenset[str] | Pattern
Weight = Callable[[str], float]
Keys = tuple[float, frozenset[Key]] | None  # None: nothing can be said, look at every document
Evidence = tuple[tuple[Atom, int], ...]
Positions = tuple[int, int, Evidence]


@dataclass(frozen=True, slots=True)
class TermClause:
    """A term in any of its spellings, which are worked out when they are first asked for.

    `stems`: the written words, if inflections count.
    `lang`: the language that `lang:` asks for; a document of unknown language may be in it.
    """

    node: Node
    label: str
    spelling: Spelling
    fields: tuple[str, ...]
    stems: tuple[str, ...] = ()
    lang: str = ""
    atoms: tuple[Atom, ...] = attribute(init=False, repr=False, compare=False)

    def __getattr__(self, name: str) -> tuple[Atom, ...]:
        # Reached while the slot is empty; of designators, most spellings are for scripts that few documents have.
        if name != "atoms":
            raise AttributeError(name)
        atoms = self.spelling.atoms()
        object.__setattr__(self, "atoms", atoms)
        return atoms

    def matches(self, context: MatchContext) -> bool:
        vocabulary, everywhere = context.vocabulary, self.fields == context.fields
        for atom in self.atoms:
            if vocabulary.issuperset(atom.required):
                if atom.beginning and atom.beginning not in context.prefix_ranges(len(atom.beginning)):
                    continue
                if everywhere and atom.bare and not atom.prefix:
                    return True
                for field in self.fields:
                    if context.token_ranges(atom, field):
                        return True
        if self.stems:
            return any(True for field in self.fields for _ in self._inflected(context, field))
        return bool(self.lang) and context.may_be(self.lang)

    def positions(self, context: MatchContext, field: str) -> Iterator[Positions]:
        vocabulary = context.vocabulary
        for atom in self.atoms:
            if vocabulary.issuperset(atom.required):
                for start, end in context.token_ranges(atom, field):
                    yield start, end, ((atom, start),)
        if self.stems:
            yield from self._inflected(context, field)

    def spans(self, context: MatchContext) -> Iterator[Span]:
        for atom in self.atoms:
            if context.vocabulary.issuperset(atom.required):
                for field in self.fields:
                    for at, _ in context.token_ranges(atom, field):
                        yield span_of(atom, at, context, field, self.label)
        if self.stems:
            for field in self.fields:
                for at, _, ((inflected, _),) in self._inflected(context, field):
                    yield span_of(inflected, at, context, field, self.label)

    def keys(self, weight: Weight) -> Keys:
        if self.stems or self.lang:
            return None
        return _every(atom_keys(atom, weight) for atom in self.spelling.atoms())  # which most terms never need again

    def _inflected(self, context: MatchContext, field: str) -> Iterator[Positions]:
        model, done = self.atoms[0], set[int]()
        for lang in context.languages:
            # A stemmer may take füze for an inflected form, too, and leave it as the stem of füzeler.
            wanted = [{found, fold(word)} for found, word in zip(stem(self.stems, lang), self.stems, strict=True)]
            stemmed = context.stemmed(field, lang)
            for at in range(len(stemmed) - len(wanted) + 1):
                if (
                    stemmed[at] in wanted[0]
                    and at not in done
                    and all(map(contains, wanted, stemmed[at : at + len(wanted)]))
                ):
                    done.add(at)
                    inflected = _as_written(model, context, field, at)
                    if inflected.is_valid_at(context.reading(field), at):
                        yield at, at + len(wanted), ((inflected, at),)


@dataclass(frozen=True, slots=True)
class RegexClause:
    """A pattern, wherever it matches."""

    node: Node
    label: str
    pattern: Pattern
    fields: tuple[str, ...]

    def matches(self, context: MatchContext) -> bool:
        return any(context.matches(self.pattern, field) for field in self.fields)

    def spans(self, context: MatchContext) -> Iterator[Span]:
        for field in self.fields:
            text = context.reading(field).text
            for start, end in context.matches(self.pattern, field):
                yield Span(field=field, start=start, end=end, text=text[start:end], term=self.label)

    def keys(self, _weight: Weight) -> Keys:
        return 50.0, frozenset([self.pattern])


@dataclass(frozen=True, slots=True)
class AndClause:
    """Every child matches."""

    node: Node
    children: tuple["Clause", ...]

    def matches(self, context: MatchContext) -> bool:
        for child in self.children:  # noqa: SIM110 -- the hottest loop of matching
            if not child.matches(context):
                return False
        return True

    def spans(self, context: MatchContext) -> Iterator[Span]:
        for child in self.children:
            yield from child.spans(context)

    def keys(self, weight: Weight) -> Keys:
        return _best(child.keys(weight) for child in self.children)


@dataclass(frozen=True, slots=True)
class OrClause:
    """At least one child matches."""

    node: Node
    children: tuple["Clause", ...]

    def matches(self, context: MatchContext) -> bool:
        for child in self.children:  # noqa: SIM110 -- the hottest loop of matching
            if child.matches(context):
                return True
        return False

    def positions(self, context: MatchContext, field: str) -> Iterator[Positions]:
        for child in self.children:
            assert isinstance(child, PositionedClause)
            yield from child.positions(context, field)

    def spans(self, context: MatchContext) -> Iterator[Span]:
        for child in self.children:
            if not isinstance(child, AndClause) or child.matches(context):  # only of a conjunction can a part be found
                yield from child.spans(context)

    def keys(self, weight: Weight) -> Keys:
        return _every(child.keys(weight) for child in self.children)


@dataclass(frozen=True, slots=True)
class NotClause:
    """The child does not match."""

    node: Node
    child: "Clause"

    def matches(self, context: MatchContext) -> bool:
        return not self.child.matches(context)

    def spans(self, _sight: MatchContext) -> Iterator[Span]:
        return iter(())

    def keys(self, _weight: Weight) -> Keys:
        return None


@dataclass(frozen=True, slots=True)
class NearClause:
    """One place of each child, in one field, at most `within` words between neighbours.

    `total`: `within` counts all words in between together (a phrase with slop).
    """

    node: Node
    children: tuple["PositionedClause", ...]
    within: int
    ordered: bool
    fields: tuple[str, ...]
    total: bool = False

    def matches(self, context: MatchContext) -> bool:
        return any(True for field in self.fields for _ in self.positions(context, field))

    def positions(self, context: MatchContext, field: str) -> Iterator[Positions]:
        columns = [sorted(child.positions(context, field), key=_by_place) for child in self.children]
        if all(columns):
            if self.total:
                yield from islice(_loose(columns, self.within), MAX_CHAINS)
            elif self.ordered:
                yield from islice(_in_order(columns, self.within), MAX_CHAINS)
            else:
                yield from islice(_in_any_order(columns, self.within), MAX_CHAINS)

    def spans(self, context: MatchContext) -> Iterator[Span]:
        for field in self.fields:
            for _, _, evidence in self.positions(context, field):
                for atom, at in evidence:
                    yield span_of(atom, at, context, field, atom.term)

    def keys(self, weight: Weight) -> Keys:
        return _best(child.keys(weight) for child in self.children)


PositionedClause = TermClause | OrClause | NearClause
Clause = TermClause | RegexClause | AndClause | OrClause | NotClause | NearClause


def span_of(atom: Atom, at: int, context: MatchContext, field: str, label: str) -> Span:
    """Return the span of an atom at token `at` of a field."""
    reading = context.reading(field)
    start, end = atom.span(reading, at)
    return Span(field=field, start=start, end=end, text=reading.text[start:end], term=label)


def atom_keys(atom: Atom, weight: Weight) -> Keys:
    """Return the key that finds an atom: its rarest word or pair of words, or the start of its prefix."""
    tokens = atom.tokens
    if len(tokens) == 1:
        if atom.prefix:
            return weight(tokens[0]) * 4, frozenset([(atom.beginning,)])
        return weight(tokens[0]), frozenset([tokens[0]])
    # An affix may hide the first token and the last one (see text.affixes): those stand in no pair.
    first = 1 if tokens[0] >= "\u0590" and "\u0590" <= tokens[0][0] <= "\u06ff" else 0
    last = len(tokens) - (1 if atom.prefix or "\u1100" <= tokens[-1][0] <= "\u11ff" else 0)
    options = [(min(weight(a), weight(b)) / 8, (a, b)) for a, b in pairwise(tokens[first:last])]
    if options:
        cost, pair = min(options)
        return cost, frozenset([pair])
    rarest = sorted(dict.fromkeys(atom.required), key=weight)[:2]
    cost = weight(rarest[0])
    return (cost / 4, frozenset([frozenset(rarest)])) if len(rarest) == 2 else (cost, frozenset(rarest))


def _every(all_keys: Iterable[Keys]) -> Keys:
    cost, keys = 0.0, frozenset[Key]()
    for found in all_keys:
        if found is None:
            return None
        cost, keys = cost + found[0], keys | found[1]
    return cost, keys


def _best(all_keys: Iterable[Keys]) -> Keys:
    return min((found for found in all_keys if found is not None), key=lambda found: found[0], default=None)


def _by_place(place: Positions) -> tuple[int, int]:
    return place[0], place[1]


def _as_written(model: Atom, context: MatchContext, field: str, at: int) -> Atom:
    """Return `model` with the inflected words of the text."""
    reading = context.reading(field)
    size = len(model.tokens)
    cased = model.cased
    if cased is not None:
        written = [reading.text[reading.starts[at + k] : reading.ends[at + k]] for k in range(size)]
        same = all(word[:1].isupper() == capital[:1].isupper() for word, capital in zip(written, cased, strict=True))
        cased = tuple(map(fold_cased, written)) if same else cased
    return Atom(
        term=model.term,
        tokens=tuple(reading.words[at : at + size]),
        separators=model.separators,
        lead=model.lead,
        trail=model.trail,
        cased=cased,
        code=model.code,
    )


def _in_order(columns: Sequence[Sequence[Positions]], within: int) -> Iterator[Positions]:
    """Yield chains of one place per column, each after the one before; one chain per end."""
    chains = list(columns[0])
    for column in columns[1:]:
        chains.sort(key=lambda chain: chain[1])
        ends = [end for _, end, _ in chains]
        longer: list[Positions] = []
        for start, end, evidence in column:
            before = bisect_right(ends, start) - 1
            if before >= 0 and start - ends[before] <= within:
                first, _, earlier = chains[before]
                longer.append((first, end, earlier + evidence))
        chains = longer
    yield from chains


def _loose(columns: Sequence[Sequence[Positions]], extra: int) -> Iterator[Positions]:
    """Yield chains in order with at most `extra` words in between altogether."""
    starts = [[start for start, _, _ in column] for column in columns]
    for first, end, evidence in columns[0]:
        between = 0
        chain = evidence
        for column, at in zip(columns[1:], starts[1:], strict=True):
            following = bisect_left(at, end)
            if following == len(column):
                return
            between += column[following][0] - end
            end, chain = column[following][1], chain + column[following][2]
            if between > extra:
                break
        else:
            yield first, end, chain


def _in_any_order(columns: Sequence[Sequence[Positions]], within: int) -> Iterator[Positions]:
    """Yield chains of one place per column in any order: a walk over places that grows sets of columns.

    For each set of columns, the ends of its chains that are still near enough are kept in order.
    """
    # Dynamic programming over subsets, as in Held and Karp's algorithm: n terms in any order have n! orders, but
    # only 2^n sets, so each set of terms (a bit mask) keeps where chains of exactly these terms end. Places come
    # in the order of the text. An end further back than `within` can continue no later chain either and is
    # deleted for good; of those that remain the nearest before the place is enough to prove a match. So a
    # hostile text costs places times sets, however often the terms repeat.
    everything = (1 << len(columns)) - 1
    open_ends: dict[int, list[tuple[int, int, Evidence]]] = {}
    places = sorted(
        ((start, end, k, seen) for k, column in enumerate(columns) for start, end, seen in column), key=_walk
    )
    for start, end, k, seen in places:
        bit = 1 << k
        grown: list[tuple[int, tuple[int, int, Evidence]]] = [(bit, (end, start, seen))]
        for mask, ends in open_ends.items():
            if mask & bit:
                continue
            del ends[: bisect_left(ends, start - within, key=_end)]
            before = bisect_right(ends, start, key=_end) - 1
            if before >= 0:
                _, first, earlier = ends[before]
                grown.append((mask | bit, (end, first, earlier + seen)))
        for mask, chain in grown:
            if mask == everything:
                yield chain[1], chain[0], chain[2]
            else:
                insort(open_ends.setdefault(mask, []), chain, key=_end)


def _walk(place: tuple[int, int, int, Evidence]) -> tuple[int, int, int]:
    return place[:3]


def _end(chain: tuple[int, int, Evidence]) -> int:
    return chain[0]


def fields_of(clause: Clause) -> tuple[str, ...]:
    """Return the fields that a clause searches, in the order in which it names them."""
    if isinstance(clause, NotClause):
        return fields_of(clause.child)
    if isinstance(clause, AndClause | OrClause):
        # Nearly all parts of a rule search the same fields.
        parts = [child.fields if isinstance(child, TermClause) else fields_of(child) for child in clause.children]
        return tuple(dict.fromkeys([field for part in dict.fromkeys(parts) for field in part]))
    return clause.fields


def term_clauses(clause: Clause) -> Iterator[TermClause]:
    """Yield every term of a plan, excluded ones too."""
    match clause:
        case TermClause():
            yield clause
        case NotClause():
            yield from term_clauses(clause.child)
        case AndClause() | OrClause() | NearClause():
            for child in clause.children:
                yield from term_clauses(child)
