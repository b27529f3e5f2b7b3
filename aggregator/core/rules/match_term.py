"""Matching of a single term against a text, without a rule."""

from aggregator.core.errors import InvalidRule, Problem
from aggregator.core.model import Span
from aggregator.core.rules import foreign_syntax
from aggregator.core.rules.atoms import BadTerm
from aggregator.core.rules.clauses import TermClause
from aggregator.core.rules.entry_document import Document
from aggregator.core.rules.index import spans
from aggregator.core.rules.items import Spelling, item, item_body
from aggregator.core.rules.match_context import MatchContext
from aggregator.core.rules.syntax_tree import ListRef, Term


def match_term(term: str, text: str) -> tuple[Span, ...]:
    """Return where `term` occurs in `text`, as an item of a rule would; the spans' field is "content".

    `'US'c` asks for these capitals. Raises InvalidRule.
    """
    node = item(term)
    wanted = node if isinstance(node, Term) else Term(term)
    try:
        if syntax := foreign_syntax.advise_term(wanted.text):
            raise BadTerm(syntax.message, syntax.hint)
        spelling = Spelling(wanted.text, wanted.exact)
        spelling.check()
    except BadTerm as error:
        raise InvalidRule("term", [Problem(path=(), message=str(error), hint=error.hint)]) from error
    clause = TermClause(wanted, wanted.text, spelling, ("content",))
    return spans(clause, MatchContext(Document(content=text), ("content",)))


def lint_term(term: str) -> tuple[Problem, ...]:
    """Warn about a term that looks like something else: an operator, a list, a pattern."""
    node = item(term)
    if isinstance(node, ListRef):
        message = f"lists are defined in the configuration; here {term} is matched literally"
        return (Problem(path=(), message=message, hint="write one of its terms, or use --rule ID", severity="warning"),)
    syntax = foreign_syntax.advise_item(node.text) if node.text == item_body(term) else None
    if syntax is None:
        return ()
    hint = f"{syntax.hint}; --term takes a single term"
    return (Problem(path=(), message=syntax.message, hint=hint, severity="warning"),)
