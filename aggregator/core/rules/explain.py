"""Explanations of why a rule matched a document, or what was missing. Same code path as matching."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import islice

from aggregator.core.model import Span
from aggregator.core.rules import foreign_syntax
from aggregator.core.rules.atoms import Atom, atom
from aggregator.core.rules.clauses import (
    AndClause,
    Clause,
    NearClause,
    NotClause,
    OrClause,
    RegexClause,
    TermClause,
    fields_of,
    term_clauses,
)
from aggregator.core.rules.compile import ALL_FIELDS, Rule
from aggregator.core.rules.entry_document import Document
from aggregator.core.rules.index import spans
from aggregator.core.rules.match_context import MatchContext
from aggregator.core.rules.query_parser import print_query
from aggregator.core.rules.snippet import snippet
from aggregator.core.text.language import has_stemmer

MAX_SHOWN = 5  # spans of one clause
MAX_ENDING = 4  # letters by which two forms of a word differ


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedClause:
    """A clause of a rule: whether it is satisfied, the evidence, and otherwise a near miss.

    `kind` is one of all, any, not, near, list, term, regex, lang.
    """

    kind: str
    text: str
    satisfied: bool
    spans: tuple[Span, ...] = ()
    hint: str = ""
    children: tuple["ExplainedClause", ...] = ()

    def lines(self, depth: int = 0) -> Iterator[str]:
        """Yield the tree as text, one clause a line."""
        found = ", ".join(dict.fromkeys(f"{span.text!r} in {span.field}" for span in self.spans))
        detail = f" — {found or self.hint}" if found or self.hint else ""
        yield f"{'  ' * depth}{'✓' if self.satisfied else '✗'} {self.kind}: {self.text}{detail}"
        for child in self.children:
            yield from child.lines(depth + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A rule's explanation: `matched`, and `excluded_by`, the filter that excluded the document, or ""."""

    rule: str
    matched: bool
    excluded_by: str
    tree: ExplainedClause
    snippet: str


def explain(rule: Rule, document: Document) -> Explanation:
    """Explain every clause of `rule` for `document`."""
    context = MatchContext(document, tuple(dict.fromkeys((*ALL_FIELDS, *fields_of(rule.plan)))))
    tree = _explained(rule.plan, context)
    barred = _barred(rule, document, context)
    if (rule.langs or any(clause.lang for clause in term_clauses(rule.plan))) and not context.lang and not barred:
        text = f"lang: {', '.join(rule.config.lang)}".rstrip(": ")
        hint = "too few words to detect the language, so it excludes nothing"
        unsure = ExplainedClause(kind="lang", text=text, satisfied=True, hint=hint)
        whole = ExplainedClause(kind="all", text=tree.text, satisfied=tree.satisfied, children=(tree, unsure))
        tree = replace(tree, children=(*tree.children, unsure)) if tree.kind == "all" else whole
    return Explanation(
        rule=rule.id,
        matched=tree.satisfied and not barred,
        excluded_by=barred,
        tree=tree,
        snippet=snippet(document, spans(rule.plan, context)) if tree.satisfied else "",
    )


def _barred(rule: Rule, document: Document, context: MatchContext) -> str:
    if rule.admits(document, context):
        return ""
    feeds = rule.config.feeds
    if document.feed in feeds.not_ids:
        return f"feed {document.feed} is excluded by not_ids"
    if barred := sorted(set(feeds.not_tags) & set(document.feed_tags)):
        return f"feed {document.feed} has the tag {barred[0]}, which is excluded by not_tags"
    if feeds.ids and document.feed not in feeds.ids:
        return f"feed {document.feed} is not among the rule's feeds"
    if feeds.tags and not set(feeds.tags) & set(document.feed_tags):
        return f"feed {document.feed} has none of the tags {', '.join(feeds.tags)}"
    wanted = " or ".join(sorted(rule.langs))
    if context.lang:
        return f"the language is {context.lang}{'' if context.said_lang else ' (detected)'}, not {wanted}"
    return f"the script does not match {wanted}"


def _explained(clause: Clause, context: MatchContext, *, missed: bool = True) -> ExplainedClause:
    """Explain a clause; `missed`: the rule would need it, so a near miss is worth a hint."""
    satisfied = clause.matches(context)
    text = print_query(clause.node)
    shown = tuple(islice(dict.fromkeys(clause.spans(context)), MAX_SHOWN)) if satisfied else ()
    missed = missed and not satisfied
    match clause:
        case TermClause():
            hint = "" if satisfied else _near_miss(clause, context) if missed else "not found"
            return ExplainedClause(kind="term", text=text, satisfied=satisfied, spans=shown, hint=hint)
        case RegexClause():
            hint = "" if satisfied else "no match"
            return ExplainedClause(kind="regex", text=text, satisfied=satisfied, spans=shown, hint=hint)
        case NotClause(child=child):
            inner = _explained(child, context, missed=False)
            hint = "" if satisfied else "found, but excluded"
            return ExplainedClause(kind="not", text=text, satisfied=satisfied, hint=hint, children=(inner,))
        case NearClause():
            children = tuple(_explained(child, context, missed=missed) for child in clause.children)
            hint = "" if satisfied else _too_far(clause, context, all(c.satisfied for c in children))
            return ExplainedClause(
                kind="near", text=text, satisfied=satisfied, spans=shown, hint=hint, children=children
            )
        case AndClause() | OrClause():
            kind = "all" if isinstance(clause, AndClause) else "list" if text.startswith("$") else "any"
            return ExplainedClause(
                kind=kind,
                text=text,
                satisfied=satisfied,
                children=tuple(_explained(child, context, missed=missed) for child in clause.children),
            )


def _too_far(clause: NearClause, context: MatchContext, present: bool) -> str:
    if not present:
        return ""
    for within in (50, 200, 1000):
        wider = NearClause(clause.node, clause.children, within, clause.ordered, clause.fields, clause.total)
        if within > clause.within and wider.matches(context):
            return f"they occur, but more than {clause.within} words apart (within {within})"
    if clause.ordered:
        return "they occur, but not in this order and this close together"
    return "they occur, but far apart or in different fields"


def _near_miss(clause: TermClause, context: MatchContext) -> str:
    """Describe what the document has instead of a term, and how to search for that."""
    written = clause.atoms[0]
    if hint := _other_field(clause, context):
        return f"not found; {hint}"
    if syntax := foreign_syntax.advise_item(clause.label):
        return f"no literal match; {syntax.hint}"
    for miss in (_other_capitals, _other_separators, _other_inflection, _similar):
        if hint := miss(written, clause.fields, context):
            return f"not found; {hint}"
    if clause.stems and context.lang and not has_stemmer(context.lang):
        return f"not found; stem: knows no endings of {context.lang}: write the beginning of the word and a star"
    return "not found"


def _other_field(clause: TermClause, context: MatchContext) -> str:
    for field in ALL_FIELDS:
        if field not in clause.fields and any(context.token_ranges(each, field) for each in clause.atoms):
            also = f", or write {field}:{print_query(clause.node)} in query:" if len(clause.fields) == 1 else ""
            return f"it is in {field}, which is not searched: add {field} to in:{also}"
    return ""


def _other_capitals(written: Atom, fields: tuple[str, ...], context: MatchContext) -> str:
    if written.cased is None:
        return ""
    folded = atom(written.term)
    found = next(((f, at) for f in fields for at in context.token_ranges(folded, f)), None)
    return f"found {_text(folded, context, *found)!r}: the case differs" if found else ""


def _other_separators(written: Atom, fields: tuple[str, ...], context: MatchContext) -> str:
    size = len(written.tokens)
    if size < 2 or not context.vocabulary.issuperset(written.required):
        return ""
    for field in fields:
        reading = context.reading(field)
        for at in reading.at(written.tokens[0]):
            if tuple(reading.words[at : at + size]) == written.tokens:
                found = reading.text[reading.starts[at] : reading.ends[at + size - 1]]
                return f"found {' '.join(found.split())!r}, which does not count as a match"
    words = written.term.split()
    return (
        f"its words occur, but not together: near: {{terms: [{', '.join(words)}]}}, or {' NEAR '.join(words)} in query:"
    )


def _other_inflection(written: Atom, fields: tuple[str, ...], context: MatchContext) -> str:
    """Return the word of the document that shares the most letters with the term's last word."""
    token = written.tokens[-1]
    if len(token) < 4:
        return ""
    known = {word for field in fields for word in context.reading(field).words}
    kin = [(_shared(word, token), word) for word in known if word[:3] == token[:3]]
    shared, word = max(kin, default=(0, ""))
    shorter, longer = sorted((len(word), len(token)))
    if shared < max(4, shorter - 2) or longer > shared + MAX_ENDING or (shared == 4 < shorter):
        return ""
    whole = written.term if written.term.lower().endswith(token) else token
    return f"found {word!r}: write {whole[: len(whole) - len(token) + shared]}*"


def _similar(written: Atom, fields: tuple[str, ...], context: MatchContext) -> str:
    token = written.tokens[-1]
    if len(token) < 5:
        return ""
    known = dict.fromkeys(word for field in fields for word in context.reading(field).words)
    near = get_close_matches(token, islice(known, 5000), n=1, cutoff=0.8)
    return f"found the similar {near[0]!r}" if near else ""


def _text(found: Atom, context: MatchContext, field: str, place: tuple[int, int]) -> str:
    start, end = found.span(context.reading(field), place[0])
    return context.reading(field).text[start:end]


def _shared(one: str, other: str) -> int:
    """Count the letters that two words share at their beginning."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
