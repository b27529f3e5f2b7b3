"""Conditions that an entry must meet for a rule to match, in the terms of a full-text index."""

from collections.abc import Iterable

from aggregator.core.rules.atoms import Atom
from aggregator.core.rules.clauses import AndClause, Clause, NearClause, OrClause, TermClause, term_clauses
from aggregator.core.rules.compile import Rule

MAX_GROUP = 200  # alternatives; a larger group costs the index more than it saves

Group = tuple[str, ...]
_INDEXED = frozenset(["title", "summary", "content", "author", "category", "link"])


def prefilter(rule: Rule) -> tuple[Group, ...]:
    """Return groups, joined by AND, of folded words, phrases and `pre*`, joined by OR.

    Necessary, not sufficient: every matching entry's index_text has one of each group, and the
    caller still asks the rule. No group at all: the index cannot help, scan everything.
    """
    groups = (group for group in _groups(rule.plan) if len(group) <= MAX_GROUP)
    return tuple(dict.fromkeys(groups))


def spellings(rule: Rule) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return each term that is also found in other scripts, with these spellings (`rules show`)."""
    clauses = term_clauses(rule.plan)
    others = {of.label: tuple(dict.fromkeys(a.term for a in of.atoms[1:] if a.term != of.label)) for of in clauses}
    return tuple((term, spelled) for term, spelled in others.items() if spelled)


def _groups(clause: Clause) -> list[Group]:
    if isinstance(clause, TermClause):
        return _seek(clause)
    if isinstance(clause, AndClause | NearClause):
        return [group for child in clause.children for group in _groups(child)]
    if isinstance(clause, OrClause):
        return _either(_groups(child) for child in clause.children)
    return []


def _seek(clause: TermClause) -> list[Group]:
    if clause.stems or not _INDEXED.issuperset(clause.fields):
        return []
    words = [_indexed(atom) for atom in clause.atoms]
    return [tuple(dict.fromkeys(word for word in words if word))] if all(words) else []


def _either(children: Iterable[list[Group]]) -> list[Group]:
    """Merge alternatives into one group: the narrowest of each."""
    merged: dict[str, None] = {}
    for groups in children:
        if not groups:
            return []
        narrowest: Group = min(groups, key=_size)
        merged.update(dict.fromkeys(narrowest))
    return [tuple(merged)]


def _size(group: Group) -> int:
    return len(group)


def _indexed(atom: Atom) -> str:
    """Return an atom as the index writes it; "" if an affix may hide it."""
    if "\u0590" <= atom.tokens[0][0] <= "\u06ff":
        rest = atom.tokens[1:]
        return " ".join(rest) + ("*" if atom.prefix else "") if rest else ""
    star = "*" if atom.prefix or "\u1100" <= atom.tokens[-1][0] <= "\u11ff" else ""
    return " ".join(atom.tokens) + star
