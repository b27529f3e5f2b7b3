"""The index against an oracle: naive evaluation over tokens of random rules on random texts.

The oracle tries every position for every term and every choice of places for every NEAR; only the
judgement of separators is shared with the application. AGGREGATOR_ORACLE_CASES sets how many cases are run.
"""

import os
import random
from itertools import pairwise, permutations, product

from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.core.errors import InvalidRule
from aggregator.core.rules import Document, RuleIndex, compile_rule, print_query
from aggregator.core.rules.atoms import Atom
from aggregator.core.rules.items import forget_spellings, spellings_of
from aggregator.core.rules.syntax_tree import And, FieldScope, ListRef, Near, Node, Not, Or, SloppyPhrase, Term
from aggregator.core.settings import RuleConfig
from aggregator.core.text.affixes import stems
from aggregator.core.text.tokens import TokenizedText, words

CASES = int(os.environ.get("AGGREGATOR_ORACLE_CASES", "300"))
FIELDS = ("title", "summary", "content")
LISTS = {
    "places": ("Türkiye", "Ankara", "터키", "'US'c"),
    "arms": ("S-400", "air defence", "$more"),
    "more": ("ミサイル", "санкци*"),
}
TERMS = [
    "S-400", "S400", "F-35A", "air", "defence", "air defence", "sanction*", "sanction", "Türkiye", "C++", "AT&T", "US",
    "санкци*", "санкции", "习近平", "近平", "北约", "ミサイル", "S-40*", "터키",
    "تركيا", "الدفاع الجوي", "ישראל", "भारत", "ไทย", "a", "400", ".NET",
    "air defence sanction*", "O'Reilly", "U.S.", "🚀",
]  # fmt: skip
PIECES = [
    *TERMS,
    "S‑400s", "s 400", "S 400", "с-400", "С-400", "AIR", "air-defence", "sanctions", "TÜRKİYE", "Türkiye'nin", "C",
    "us", "ATT",
    "САНКЦИЙ",
    "터키가", "وتركيا", "والدفاع", "בישראל", "习", "近", "平",
    "1,400", "X", "u.s.", "e\u0301", "ﬁ", "\u00ad", "ا", "ー",
]  # fmt: skip
GLUE = [" "] * 12 + ["", "", "-", ", ", ". ", "\n", "\n\n", "'s ", " – ", "/", "&", "\u00a0", "。"]


def text(rng: random.Random) -> str:
    """A few words that rules might look for, in any order, glued in any way."""
    return "".join(rng.choice(PIECES).rstrip("*") + rng.choice(GLUE) for _ in range(rng.randint(0, 9)))


def node(rng: random.Random, depth: int = 2) -> Node:
    """A random tree."""
    kind = rng.random()
    if depth == 0 or kind < 0.3:
        leaf = rng.random()
        if leaf < 0.12:
            return ListRef(rng.choice([*LISTS]))
        if leaf < 0.2:
            return SloppyPhrase(rng.choice(["air defence", "air sanction", "S-400 air defence"]), rng.randint(0, 3))
        return Term(rng.choice(TERMS), exact=rng.random() < 0.1)
    if kind < 0.5:
        return Or(tuple(node(rng, depth - 1) for _ in range(rng.randint(2, 3))))
    if kind < 0.7:
        return And(tuple(node(rng, depth - 1) for _ in range(rng.randint(2, 3))))
    if kind < 0.8:
        return Not(node(rng, depth - 1))
    if kind < 0.87:
        return FieldScope(rng.choice(FIELDS), node(rng, depth - 1))
    children = tuple(node(rng, 0) for _ in range(rng.randint(2, 3)))
    return Near(children, rng.choice([1, 2, 4]), rng.random() < 0.5)


class Oracle:
    """Truth by trying everything."""

    def __init__(self, document: Document) -> None:
        self.readings = {field: TokenizedText(document.field(field)) for field in FIELDS}

    def matches(self, tree: Node, fields: tuple[str, ...]) -> bool:
        match tree:
            case And(children):
                return all(self.matches(child, fields) for child in children)
            case Or(children):
                return any(self.matches(child, fields) for child in children)
            case Not(child):
                return not self.matches(child, fields)
            case FieldScope(field, child):
                return self.matches(child, (field,))
            case _:
                return any(self.positions(tree, field) for field in fields)

    def positions(self, tree: Node, field: str) -> set[tuple[int, int]]:
        match tree:
            case Term(term, exact):
                return {place for atom in spellings_of(term, exact) for place in self.find(atom, field)}
            case ListRef(name):
                return {place for item in LISTS[name] for place in self.positions(self.item(item), field)}
            case Or(children):
                return {place for child in children for place in self.positions(child, field)}
            case SloppyPhrase(phrase, extra):
                columns = [self.positions(Term(word), field) for word in phrase.split()]
                chains = [chain for chain in product(*columns) if in_order(chain, 10**6)]
                loose = [c for c in chains if sum(b[0] - a[1] for a, b in pairwise(c)) <= extra]
                return {(c[0][0], min(o[-1][1] for o in loose if o[0] == c[0])) for c in loose}  # at its shortest
            case Near(children, within, ordered):
                columns = [self.positions(child, field) for child in children]
                orders = [columns] if ordered else [list(order) for order in permutations(columns)]
                return {(c[0][0], c[-1][1]) for order in orders for c in product(*order) if in_order(c, within)}
        raise AssertionError(tree)

    def item(self, item: str) -> Node:
        if item.startswith("$"):
            return ListRef(item[1:])
        return Term(item[1:-2], exact=True) if item.startswith("'") else Term(item)

    def find(self, atom: Atom, field: str) -> set[tuple[int, int]]:
        reading, size = self.readings[field], len(atom.tokens)
        starts = range(len(reading.words) - size + 1)
        same = (at for at in starts if all(self.is_token(atom, reading.words[at + k], k) for k in range(size)))
        return {(at, at + size) for at in same if atom.is_valid_at(reading, at)}

    def is_token(self, atom: Atom, word: str, k: int) -> bool:
        token, last = atom.tokens[k], len(atom.tokens) - 1
        if word == token or (k == last and atom.prefix and word.startswith(token)):
            return True
        for stem, before, after in stems(word):
            apart = (before and k == 0) or (after and k == last)
            if apart and (stem == token or (k == last and atom.prefix and stem.startswith(token))):
                return True
        return False


def in_order(chain: tuple[tuple[int, int], ...], within: int) -> bool:
    """Whether places follow each other with at most `within` words in between."""
    return all(0 <= right[0] - left[1] <= within for left, right in pairwise(chain))


@settings(max_examples=CASES, deadline=None)
@given(st.integers(0, 2**48))
def test_index_agrees_with_naive_evaluation(seed: int) -> None:
    """Same rules found, by a fresh index and by an edited one; every span slices back to its term."""
    rng = random.Random(seed)
    document = Document(title=text(rng), summary=text(rng), content=text(rng))
    rules = []
    for number in range(6):
        try:
            config = {"id": f"r{number}", "query": print_query(node(rng)), "in": rng.sample(FIELDS, rng.randint(1, 3))}
            rules.append(compile_rule(RuleConfig.model_validate(config), LISTS))
        except InvalidRule:
            continue  # only excludes, or AND beside NEAR
    oracle = Oracle(document)
    expected = [rule.id for rule in rules if oracle.matches(rule.tree, rule.config.in_)]
    index = RuleIndex(rules, {word: rng.randint(0, 9) for word in words(document.title)})
    found = index.match(document)
    assert [match.rule for match in found] == expected
    edited = RuleIndex(rules[: len(rules) // 2]).replace(rules)
    assert edited.match(document) == found
    for span in (span for match in found for span in match.spans):
        assert span.text == document.field(span.field)[span.start : span.end]
        assert slices_back(span.term, words(span.text)), span


@given(st.integers(0, 2**48))
@settings(max_examples=max(20, CASES // 10), deadline=None)
def test_an_index_that_has_heard_much_finds_the_same(seed: int) -> None:
    """What an index learns of words that say nothing hides no match from it, whichever texts came before."""
    rng = random.Random(seed)
    rules = [
        compile_rule(RuleConfig.model_validate({"id": f"r{number}", "any": rng.sample(TERMS, 2)}), LISTS)
        for number in range(3)
    ]
    quiet = [Document(content=f"nothing {number} 习 ミ of note") for number in range(rng.choice([0, 40]))]
    documents = [*quiet, *(Document(title=text(rng), content=text(rng)) for _ in range(20))]
    index = RuleIndex(rules)
    for document in documents + documents[::-1]:
        assert index.match(document) == RuleIndex(rules).match(document)


def slices_back(term: str, found: list[str]) -> bool:
    """Whether tokens are those of one of a term's spellings, or `300/400` of `S-300/400` where S-400 is one."""
    if len(found) > 1 and all(map(str.isdecimal, found)):
        return any(atom.code and found[-1] == atom.tokens[-1] for atom in spellings_of(term))
    return any(
        found[:-1] == list(atom.tokens[:-1])
        and (found[-1].startswith(atom.tokens[-1]) if atom.prefix else found[-1] == atom.tokens[-1])
        for atom in spellings_of(term)
    )


def test_an_index_holds_only_spellings_that_a_text_asked_for() -> None:
    """A designator has some twenty spellings, which would be most of the index; it is found all the same."""
    rules = [compile_rule(RuleConfig.model_validate({"id": f"r{n}", "any": [f"KH-{n}"]}), {}) for n in (1, 2)]
    index = RuleIndex(rules)
    index.prepare()
    forget_spellings()
    assert not any(_holds_atoms(rule.plan) for rule in rules)
    assert [found.rule for found in index.match(Document(title="the KH-3 was seen"))] == []
    assert [found.rule for found in index.match(Document(title="the Х-2 was seen"))] == ["r2"]
    assert [_holds_atoms(rule.plan) for rule in rules] == [False, True]


def _holds_atoms(plan: object) -> bool:
    try:
        object.__getattribute__(plan, "atoms")  # past __getattr__, which would work them out
    except AttributeError:
        return False
    return True
