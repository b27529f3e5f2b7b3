"""Findings about rules that are legal but probably not meant."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from aggregator.core.model import RuleStats
from aggregator.core.rules.atoms import Atom, atom
from aggregator.core.rules.clauses import AndClause, Clause, NotClause, OrClause, TermClause, term_clauses
from aggregator.core.rules.compile import Rule
from aggregator.core.rules.items import item
from aggregator.core.rules.query_parser import MAX_SHOWN, print_query
from aggregator.core.rules.syntax_tree import NEAR_WORDS, And, ListRef, Near, Node, Not, Or, Term

SILENT_DAYS = 90
COMMON_SHARE = 0.05  # of the stored entries
FLOOD_SHARE = 0.2
SAMPLE_MIN = 100  # entries below which nothing is said about shares of them
TWIN_MIN = 3
# Of Germanic and Romance languages, Polish, Turkish, Russian, Ukrainian, Greek, Arabic, Persian, Hebrew, Hindi, Chinese
# and Japanese.
_FUNCTION_WORDS = """
a an the of to in on at by for with from and or but not as is are was were be it its this that he she they we you i
der die das ein eine und oder in im zu von mit ist le la les un une des du de et ou est en el los las y o il lo gli
e è di da ei og eller i på til av er att och som för que por para do em não na nie się że jest ve bir için ile
и в на с не что по из к у за о от й та що з до є і και το του της στο ο η με για
في من على إلى عن أن و التي الذي به از که را את של על לא זה के का की में है को और से ने
的 是 在 了 和 の は に を が と で
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())

# Acronyms that are everyday words once their capitals are folded.
_WORDS = frozenset(
    {"us", "who", "it", "aid", "ice", "nice", "arm", "can", "may", "all", "and", "or", "in", "is", "as", "at", "on",
     "no", "so", "do", "un", "im", "start", "salt", "cop", "pen", "map", "app", "sap", "opera", "hope", "care"}
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LintFinding:
    """A finding about one rule; `kind` is a stable word for programs."""

    rule: str
    kind: str
    message: str
    hint: str = ""


def lint(
    rules: Sequence[Rule],
    figures: Iterable[RuleStats] = (),
    *,
    now: datetime | None = None,
    frequencies: Mapping[str, int] | None = None,
    entries: int = 0,
    channels: Collection[str] = (),
    default_channels: Collection[str] = (),
    matched: Mapping[str, frozenset[int]] | None = None,
) -> tuple[LintFinding, ...]:
    """Return the findings in the order of the rules; those about channels come last.

    `frequencies` counts the stored entries, of `entries`, that a folded word occurs in; `matched`
    are, for each rule, those of them that it matches; `now` is needed to tell which rules are
    silent. Checks whose data is not given are skipped.
    """
    known = {figure.rule: figure for figure in figures}
    findings: list[LintFinding] = []
    for rule in rules:
        findings += _contradictions(rule)
        findings += _exclusions(rule)
        findings += _acronyms(rule)
        findings += _common(rule, frequencies or {}, entries)
        findings += _anything(rule)
        findings += _silent(rule, known.get(rule.id), now)
        if matched is not None and entries >= SAMPLE_MIN:
            findings += _by_sample(rule, matched.get(rule.id, frozenset()), entries, known.get(rule.id))
    doubles = _doubles(rules)
    findings += doubles
    findings += _swallowed(rules)
    if matched is not None and entries >= SAMPLE_MIN:
        findings += _twins(rules, matched, entries, {one.rule for one in doubles})
    findings += _unused(rules, channels, default_channels)
    return tuple(findings)


def _contradictions(rule: Rule) -> Iterator[LintFinding]:
    """Find terms that are both required and excluded."""
    excluded = {term_clause.atoms[0] for term_clause in _excluded(rule.plan)}
    for clause in _required(rule.plan):
        if clause.atoms[0] in excluded:
            yield LintFinding(
                rule=rule.id,
                kind="never",
                message=f"can never match: {clause.label!r} is required and excluded",
                hint="remove it from one of the two",
            )
    options = _options(rule.plan)
    if options and options <= excluded:
        yield LintFinding(rule=rule.id, kind="never", message="can never match: all of its terms are excluded")


def not_near(rule: Rule, word: str) -> str:
    """Write a query that excludes `word` only if it stands close to what `rule` looks for."""
    parts = rule.tree.children if isinstance(rule.tree, And) else (rule.tree,)
    wanted = [part for part in parts if not isinstance(part, Not)]
    placed = next((part for part in wanted if _takes_near(part)), None)
    kept = print_query(wanted[0] if len(wanted) == 1 else And(tuple(wanted)))
    if placed is None or len(kept) > MAX_SHOWN:
        return f"… NOT (term NEAR/{NEAR_WORDS} {print_query(Term(word))})"
    kept = f"({kept})" if isinstance(wanted[0], Or) and len(wanted) == 1 else kept
    return f"{kept} NOT ({print_query(Near((placed, Term(word))))})"


def _takes_near(node: Node) -> bool:
    return isinstance(node, Term | ListRef | Near) or (isinstance(node, Or) and all(map(_takes_near, node.children)))


def _exclusions(rule: Rule) -> Iterator[LintFinding]:
    """Find single words under `none:` that are searched for in whole texts: a passing mention silences the rule."""
    if not {"summary", "content"} & set(rule.config.in_):
        return
    for node in map(item, rule.config.none):
        if isinstance(node, Term) and len(atom(node.text).tokens) == 1:
            yield LintFinding(
                rule=rule.id,
                kind="excludes",
                message=f"none: excludes every entry that mentions {node.text!r} once, anywhere",
                hint=f"to exclude it only close to the terms, write query: '{not_near(rule, node.text)}'",
            )


def _acronyms(rule: Rule) -> Iterator[LintFinding]:
    for clause in term_clauses(rule.plan):
        written = clause.atoms[0]
        if written.cased is None and clause.label.isupper() and clause.label.lower() in _WORDS:
            yield LintFinding(
                rule=rule.id,
                kind="acronym",
                message=f"{clause.label} also matches the word {clause.label.lower()!r}",
                hint=f"write '{clause.label}'c in a list or query, or case: exact",
            )


def _common(rule: Rule, frequencies: Mapping[str, int], entries: int) -> Iterator[LintFinding]:
    if entries < SAMPLE_MIN:
        return
    for clause in _required(rule.plan):
        word = clause.atoms[0].tokens
        count = frequencies.get(word[0], 0) if len(word) == 1 else 0
        if count > COMMON_SHARE * entries and clause.atoms[0] in _options(rule.plan):
            yield LintFinding(
                rule=rule.id,
                kind="common",
                message=f"{clause.label!r} is in {count} of {entries} entries",
                hint="narrow it down with all: or near:",
            )


def _silent(rule: Rule, figure: RuleStats | None, now: datetime | None) -> Iterator[LintFinding]:
    if now is None or figure is None:
        return
    if figure.last_hit_at is None or now - figure.last_hit_at > timedelta(days=SILENT_DAYS):
        yield LintFinding(
            rule=rule.id,
            kind="silent",
            message=f"no hit in {SILENT_DAYS} days",
            hint=f"see what it would match: aggregator rules backtest {rule.id} --since 365d",
        )


def _anything(rule: Rule) -> Iterator[LintFinding]:
    """Find rules for which a word is enough that stands in nearly every text."""
    options = [clause.label for clause in _choices(rule.plan)]
    if options and any(label.casefold() in FUNCTION_WORDS for label in options):
        small = [repr(label) for label in options if label.casefold() in FUNCTION_WORDS]
        stand = "stands" if len(small) == 1 else "stand"
        yield LintFinding(
            rule=rule.id,
            kind="anything",
            message=f"matches nearly everything: {' and '.join(small)} {stand} in most texts, and one is enough",
            hint="name what you look for, or write the words as one phrase in quotes",
        )


def _by_sample(rule: Rule, found: frozenset[int], entries: int, figure: RuleStats | None) -> Iterator[LintFinding]:
    """Find rules that match nothing of what is stored, or so much that nobody can read it."""
    if not found and rule.config.enabled and (figure is None or not figure.hits):
        yield LintFinding(
            rule=rule.id,
            kind="dead",
            message=f"matches none of the latest {entries} entries and never had a hit",
            hint="check its spelling, its all: and its feeds:; `aggregator search` shows what each term finds",
        )
    elif len(found) > FLOOD_SHARE * entries:
        yield LintFinding(
            rule=rule.id,
            kind="flooding",
            message=f"matches {len(found)} of the latest {entries} entries",
            hint="narrow it down with all:, near: or none:, or give it deliver: daily",
        )


def _twins(
    rules: Sequence[Rule], matched: Mapping[str, frozenset[int]], entries: int, known: Collection[str]
) -> Iterator[LintFinding]:
    """Find rules that are written differently and match the same entries."""
    first: dict[frozenset[int], str] = {}
    for rule in rules:
        found = matched.get(rule.id, frozenset())
        other = first.setdefault(found, rule.id) if len(found) >= TWIN_MIN else rule.id
        if other != rule.id and rule.id not in known:
            yield LintFinding(
                rule=rule.id,
                kind="twin",
                message=f"matches the same {len(found)} of the latest {entries} entries as {other}",
                hint="keep one, with the channels of both",
            )


def _doubles(rules: Sequence[Rule]) -> list[LintFinding]:
    findings = []
    seen: dict[tuple[Node, str], str] = {}
    for rule in rules:
        first = seen.setdefault((rule.tree, rule.version), rule.id)
        if first != rule.id:
            findings.append(
                LintFinding(
                    rule=rule.id,
                    kind="duplicate",
                    message=f"matches exactly what {first} matches",
                    hint="keep one, with the channels of both",
                )
            )
    return findings


def _swallowed(rules: Sequence[Rule]) -> Iterator[LintFinding]:
    """Find rules that are a plain choice of terms, all of which another plain choice has too."""
    plain = [(rule, _options(rule.plan)) for rule in rules if _is_choice(rule)]
    by_atom: dict[Atom, list[int]] = {}
    for place, (_, atoms) in enumerate(plain):
        for each in atoms:
            by_atom.setdefault(each, []).append(place)
    for place, (rule, atoms) in enumerate(plain):
        shared = set.intersection(*(set(by_atom[each]) for each in atoms))
        wider = [other for other in sorted(shared) if other != place and atoms < plain[other][1]]
        if wider:
            yield LintFinding(
                rule=rule.id,
                kind="swallowed",
                message=f"everything it matches is also matched by {plain[wider[0]][0].id}",
                hint="remove it, unless its channels differ",
            )


def _unused(rules: Sequence[Rule], channels: Collection[str], defaults: Collection[str]) -> Iterator[LintFinding]:
    used = {name for rule in rules for name in (rule.config.notify if rule.config.notify is not None else defaults)}
    for name in channels:
        if name not in used and name != "console":  # which is built in
            yield LintFinding(rule="", kind="channel", message=f"no rule uses the channel {name}")


def _is_choice(rule: Rule) -> bool:
    config = rule.config
    filtered = config.lang or config.feeds.ids or config.feeds.tags or config.feeds.not_ids
    usual = ("title", "summary", "content")
    clause = rule.plan
    terms = clause.children if isinstance(clause, OrClause) else (clause,)
    return not filtered and all(
        isinstance(term, TermClause) and term.fields == usual and not term.stems for term in terms
    )


def _required(clause: Clause) -> Iterator[TermClause]:
    """Yield the terms that must occur for a clause to match."""
    if isinstance(clause, TermClause):
        yield clause
    elif isinstance(clause, AndClause):
        for child in clause.children:
            yield from _required(child)


def _excluded(clause: Clause) -> Iterator[TermClause]:
    """Yield the terms that must not occur for a clause to match."""
    if isinstance(clause, NotClause):
        inner = clause.child
        terms = inner.children if isinstance(inner, OrClause) else (inner,)
        yield from (term for term in terms if isinstance(term, TermClause))
    elif isinstance(clause, AndClause):
        for child in clause.children:
            yield from _excluded(child)


def _choices(clause: Clause) -> tuple[TermClause, ...]:
    """Return the terms of a clause one of which is enough for a match by itself."""
    terms = clause.children if isinstance(clause, OrClause) else (clause,)
    return tuple(term for term in terms if isinstance(term, TermClause))


def _options(clause: Clause) -> frozenset[Atom]:
    """Return the terms one of which must occur, if a clause is or has such a choice; else nothing."""
    if isinstance(clause, TermClause):
        return frozenset([clause.atoms[0]])
    if isinstance(clause, OrClause):
        terms = [child for child in clause.children if isinstance(child, TermClause)]
        return frozenset(term.atoms[0] for term in terms) if len(terms) == len(clause.children) else frozenset()
    if isinstance(clause, AndClause):
        choices = [_options(child) for child in clause.children if not isinstance(child, NotClause)]
        return choices[0] if len(choices) == 1 else frozenset()
    return frozenset()
