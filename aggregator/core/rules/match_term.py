"""A single term against a text, without a rule."""

from aggregator.core.errors import InvalidRule, Problem
from aggregator.core.model import Span
from aggregator.core.rules.compile import spellings_of
from aggregator.core.rules.document import Document
from aggregator.core.rules.index import spans
from aggregator.core.rules.nodes import Term
from aggregator.core.rules.plan import Seek
from aggregator.core.rules.sight import Sight
from aggregator.core.rules.terms import BadTerm


def match_term(term: str, text: str) -> tuple[Span, ...]:
    """Where `term` stands in `text`, judged as in a rule; the field of the spans is "content".

    `'US'c` asks for these capitals. Raises InvalidRule.
    """
    exact = len(term) > 3 and term.startswith("'") and term.endswith("'c")
    body = term[1:-2] if exact else term
    try:
        seek = Seek(Term(body, exact), body, spellings_of(body, exact), ("content",))
    except BadTerm as error:
        raise InvalidRule("term", [Problem(path=(), message=str(error), hint=error.hint)]) from error
    return spans(seek, Sight(Document(content=text), ("content",)))
