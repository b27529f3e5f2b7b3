"""Watch rules: written by people, matched against documents. The public interface of the package."""

from aggregator.core.rules.compile import Rule, compile_rule, recompile, rule_for_query
from aggregator.core.rules.entry_document import Document, document, index_text
from aggregator.core.rules.explain import ExplainedClause, Explanation, explain
from aggregator.core.rules.feedback import Proposal, propose
from aggregator.core.rules.index import RuleIndex, RuleMatch
from aggregator.core.rules.items import usable_terms
from aggregator.core.rules.lint import LintFinding, lint, not_near
from aggregator.core.rules.match_term import lint_term, match_term
from aggregator.core.rules.prefilter import prefilter, spellings
from aggregator.core.rules.query_parser import parse_query, print_query
from aggregator.core.rules.rule_tests import match_text, run_tests, scope_of
from aggregator.core.rules.snippet import snippet
from aggregator.core.rules.syntax_tree import Node
from aggregator.core.rules.triggers import TriggerDecision, fires

__all__ = [
    "Document",
    "ExplainedClause",
    "Explanation",
    "LintFinding",
    "Node",
    "Proposal",
    "Rule",
    "RuleIndex",
    "RuleMatch",
    "TriggerDecision",
    "compile_rule",
    "document",
    "explain",
    "fires",
    "index_text",
    "lint",
    "lint_term",
    "match_term",
    "match_text",
    "not_near",
    "parse_query",
    "prefilter",
    "print_query",
    "propose",
    "recompile",
    "rule_for_query",
    "run_tests",
    "scope_of",
    "snippet",
    "spellings",
    "usable_terms",
]  # fmt: skip
