"""Watch rules: written by people, matched against documents. The public interface of the package.

With `explain`, `lint`, `match_term`, `prefilter` and `snippet`, each in the module of its name. What is needed is
imported when it is asked for: to tell whether a document could match takes neither the compiler nor models.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aggregator.core.rules.compile import Rule, compile_later, compile_rule, recompile, rule_for_query
    from aggregator.core.rules.entry_document import Document, document, index_text
    from aggregator.core.rules.explain import ExplainedClause, Explanation
    from aggregator.core.rules.feedback import Proposal, propose
    from aggregator.core.rules.index import RuleIndex, RuleMatch
    from aggregator.core.rules.items import forget_spellings, usable_terms
    from aggregator.core.rules.lint import LintFinding, not_near
    from aggregator.core.rules.match_term import lint_term
    from aggregator.core.rules.prefilter import spellings
    from aggregator.core.rules.query_parser import parse_query, print_query
    from aggregator.core.rules.rule_tests import match_text, run_tests, scope_of
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
    "compile_later",
    "compile_rule",
    "document",
    "fires",
    "forget_spellings",
    "index_text",
    "lint_term",
    "match_text",
    "not_near",
    "parse_query",
    "print_query",
    "propose",
    "recompile",
    "rule_for_query",
    "run_tests",
    "scope_of",
    "spellings",
    "usable_terms",
]

_LATER = {
    "Document": "entry_document",
    "ExplainedClause": "explain",
    "Explanation": "explain",
    "LintFinding": "lint",
    "Node": "syntax_tree",
    "Proposal": "feedback",
    "Rule": "compile",
    "RuleIndex": "index",
    "RuleMatch": "index",
    "TriggerDecision": "triggers",
    "compile_later": "compile",
    "compile_rule": "compile",
    "document": "entry_document",
    "fires": "triggers",
    "forget_spellings": "items",
    "index_text": "entry_document",
    "lint_term": "match_term",
    "match_text": "rule_tests",
    "not_near": "lint",
    "parse_query": "query_parser",
    "print_query": "query_parser",
    "propose": "feedback",
    "recompile": "compile",
    "rule_for_query": "compile",
    "run_tests": "rule_tests",
    "scope_of": "rule_tests",
    "spellings": "prefilter",
    "usable_terms": "items",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(name)
    found = globals()[name] = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    return found
