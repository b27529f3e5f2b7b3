"""Compilation of the configured rules; the compiler's problems get their places in a file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from aggregator.config.messages import find_node
from aggregator.config.yaml_mistakes import run_together
from aggregator.config.yaml_offsets import index_of
from aggregator.config.yaml_tree import MappingNode, Node, ScalarNode, SequenceNode
from aggregator.core.errors import ConfigError, InvalidRule, Problem, did_you_mean
from aggregator.core.rules import Document, Rule, compile_rule, recompile
from aggregator.core.rules.clauses import term_clauses
from aggregator.core.rules.match_context import MatchContext
from aggregator.core.settings import RuleConfig
from aggregator.core.values import Words


class CompiledRules(NamedTuple):
    """The rules that compile, and the errors and warnings of all."""

    rules: tuple[Rule, ...]
    problems: tuple[ConfigError, ...]


def compile_rules(
    root: MappingNode,
    value: Mapping[str, Any],
    errors: Sequence[ConfigError],
    before: Sequence[Rule] = (),
    validated: Sequence[RuleConfig] | None = None,
) -> CompiledRules:
    """Compile the rules in which no error was found so far; rules of `before` that did not change are kept.

    `validated`: all rules, if all are valid.
    """
    sound = {config.id: (node, config) for node, config in _sound(root, value, errors, validated)}
    known = {rule.id: rule for rule in before}
    lists = _lists(value.get("lists"))
    rules, failures = recompile((config for _, config in sound.values()), lists, known)
    detail = [(rule.id, problem) for rule in rules for problem in rule.warnings]
    detail += [(failure.rule, problem) for failure in failures for problem in failure.problems]
    problems = [with_position(problem, sound[name][0], root) for name, problem in detail]
    used = {name for rule in rules for name, _ in rule.lists}
    idle = (with_position(problem, root, root) for name in lists if name not in used for problem in _idle(name, lists))
    problems += run_together(root)
    reported_lines = {(error.file, error.line) for error in errors}
    problems += [problem for problem in idle if (problem.file, problem.line) not in reported_lines]
    return CompiledRules(tuple(rules), tuple(problems))


def _idle(name: str, lists: Mapping[str, tuple[str, ...]]) -> Iterator[Problem]:
    """Check lists that no rule uses yet."""
    try:
        found: Sequence[Problem] = compile_rule(RuleConfig(id="list", any=(f"${name}",)), lists).warnings
    except InvalidRule as error:
        found = error.problems
    for problem in found:
        yield problem if problem.path[:1] == ("lists",) else replace(problem, path=("lists", name))


def feeds_missed(rules: Sequence[Rule], feeds: Sequence[str], root: MappingNode) -> Iterator[ConfigError]:
    """Yield warnings about `feed:` in a query that names none of the feeds."""
    nodes = rule_nodes(root)
    for rule in rules:
        for clause in term_clauses(rule.plan) if "feed" in rule.fields else ():
            named = (MatchContext(Document(feed=feed), ("feed",)) for feed in feeds)
            if clause.fields == ("feed",) and not any(clause.matches(context) for context in named):
                near = did_you_mean(clause.label, feeds).strip(" ()") or None
                message = f"no feed id contains {clause.label!r}"
                problem = Problem(path=("query",), message=message, hint=near, severity="warning")
                yield with_position(problem, nodes[rule.id], root)


def with_position(problem: Problem, item: Node, root: MappingNode) -> ConfigError:
    """Give a problem of an item its place in the file; a path into `lists` starts at the top."""
    node = find_node(root if problem.path[:1] == ("lists",) else item, problem.path)
    index, excerpt = node.start, None
    if isinstance(node, ScalarNode) and problem.offset is not None:
        index = index_of(node, problem.offset)
        excerpt = node.source.line(node.source.place(index)[0])
    error = node.source.error(index, problem.message, problem.hint)
    return replace(error, severity=problem.severity, excerpt=excerpt)


def rule_nodes(root: MappingNode) -> dict[str, Node]:
    """Return where each rule is written, by id."""
    rules = root.get("rules")
    nodes = rules.nodes if isinstance(rules, SequenceNode) else ()
    named = ((node.get("id"), node) for node in nodes if isinstance(node, MappingNode))
    return {name.text: node for name, node in named if isinstance(name, ScalarNode)}


def _sound(
    root: MappingNode,
    value: Mapping[str, Any],
    errors: Sequence[ConfigError],
    validated: Sequence[RuleConfig] | None,
) -> Sequence[tuple[Node, RuleConfig]]:
    rows, values = root.get("rules"), value.get("rules")
    if not isinstance(rows, SequenceNode) or not isinstance(values, list):
        return ()
    if validated is not None and not errors:
        return list(zip(rows.nodes, validated, strict=True))
    found = []
    for node, row in zip(rows.nodes, values, strict=True):
        if not any(position_inside(error, node) for error in errors):
            try:
                found.append((node, RuleConfig.model_validate(row, by_alias=True, by_name=False)))
            except ValidationError:
                continue  # reported with the rest of the configuration
    return found


def _lists(value: object) -> dict[str, tuple[str, ...]]:
    """Return the term lists that are valid by themselves."""
    sound: dict[str, tuple[str, ...]] = {}
    adapter: TypeAdapter[tuple[str, ...]] = TypeAdapter(Words)
    for name, terms in value.items() if isinstance(value, dict) else ():
        try:
            sound[name] = adapter.validate_python(terms)
        except ValidationError:
            continue  # reported with the rest of the configuration
    return sound


def position_inside(error: ConfigError, node: Node) -> bool:
    """Tell whether an error points into a node."""
    first, last = node.source.place(node.start), node.source.place(node.end)
    return error.file == node.source.name and first <= (error.line, error.column) <= last
