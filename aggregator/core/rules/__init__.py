"""Watch rules: what people write, held against documents. The face of the package."""

from aggregator.core.rules.compile import Rule, compile_rule, rule_for_query
from aggregator.core.rules.document import Document, document, index_text
from aggregator.core.rules.index import Match, RuleIndex
from aggregator.core.rules.match_term import match_term
from aggregator.core.rules.nodes import Node
from aggregator.core.rules.query import parse_query, print_query

__all__ = [
    "Document",
    "Match",
    "Node",
    "Rule",
    "RuleIndex",
    "compile_rule",
    "document",
    "index_text",
    "match_term",
    "parse_query",
    "print_query",
    "rule_for_query",
]
