"""Inline tests of a rule."""

from collections.abc import Iterator

from msgspec.structs import replace

from aggregator.core.errors import Problem
from aggregator.core.model import Span
from aggregator.core.rules.clauses import fields_of
from aggregator.core.rules.compile import Rule
from aggregator.core.rules.entry_document import Document
from aggregator.core.rules.explain import ExplainedClause, explain
from aggregator.core.rules.index import spans
from aggregator.core.rules.match_context import MatchContext


def run_tests(rule: Rule) -> tuple[Problem, ...]:
    """Run a rule's inline tests; return their failures. A text stands in every field that the rule searches.

    Filters on feeds and languages are not tested: a test is a text, not an entry.
    """
    problems = []
    for index, text in enumerate(rule.config.tests.match):
        if not _holds(rule, text):
            problems.append(
                Problem(path=("tests", "match", index), message=f"does not match {text!r}", hint=_why(rule, text))
            )
    for index, text in enumerate(rule.config.tests.no_match):
        context = _sight(rule, text)
        if rule.plan.matches(context):
            found = ", ".join(dict.fromkeys(f"{span.text!r}" for span in spans(rule.plan, context)))
            problems.append(
                Problem(path=("tests", "no_match", index), message=f"matches {text!r}", hint=f"found {found}")
            )
    return tuple(problems)


def match_text(rule: Rule, text: str) -> tuple[Span, ...] | None:
    """Match a text as a rule's tests do: in every field that it searches, whatever its feeds and languages.

    None if it does not match; a match may have no spans. Every span is in one field, since all hold the same text.
    """
    context = _sight(rule, text)
    if not rule.plan.matches(context):
        return None
    found = spans(rule.plan, context)
    first = {(span.start, span.end, span.term): replace(span, field="content") for span in found}
    return tuple(first.values())


def scope_of(rule: Rule) -> tuple[str, ...]:
    """Return what an entry needs beside its text for a rule to look at it, in words; empty: nothing."""
    feeds, lang = rule.config.feeds, rule.config.lang
    parts = (
        ("a feed with one of the tags ", feeds.tags),
        ("one of the feeds ", feeds.ids),
        ("none of the feeds ", feeds.not_ids),
        ("one of the languages ", lang),
    )
    return tuple(f"{words}{', '.join(names)}" for words, names in parts if names)


def _holds(rule: Rule, text: str) -> bool:
    return rule.plan.matches(_sight(rule, text))


def _sight(rule: Rule, text: str) -> MatchContext:
    fields = fields_of(rule.plan)
    return MatchContext(_document(fields, text), fields)


def _document(fields: tuple[str, ...], text: str) -> Document:
    texts = {field: text for field in fields if field not in ("feed", "lang")}
    return Document(**texts)  # type: ignore[arg-type]


def _why(rule: Rule, text: str) -> str | None:
    tree = explain(rule, _document(fields_of(rule.plan), text)).tree
    missing = [
        node for node in _walk(tree) if not node.satisfied and not node.children and node.kind in ("term", "regex")
    ]
    return "; ".join(f"{node.text}: {node.hint}" for node in missing[:3]) or None


def _walk(node: ExplainedClause) -> Iterator[ExplainedClause]:
    yield node
    for child in node.children:
        yield from _walk(child)
