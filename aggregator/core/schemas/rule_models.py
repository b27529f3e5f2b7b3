"""The models of JSON about rules: their text, checks, edits, explanations and advice."""

from aggregator.core.schemas.base import At, ConfigProblem, Schema, Span, Text


class RuleItem(Schema):
    """One rule as it is written: its YAML without the dash, what a form shows of it, and the file it is in."""

    rule: Text
    name: Text
    item: Text
    form: dict[str, Text]


class RuleItemCheck(Schema):
    """The verdict on an item; lines count from its first one. `item` and `form` are those after what the form said."""

    ok: bool
    item: Text
    form: dict[str, Text]
    problems: list["ConfigProblem"]


class RuleSaved(Schema):
    """A rule that was written; `edit` is the number by which that can be undone, null if nothing changed."""

    rule: Text
    name: Text
    digest: Text
    edit: int | None


class Edit(Schema):
    """An edit of rules: from `line` on, `removed` became `added`."""

    id: int | None
    file: Text
    line: int
    removed: Text
    added: Text
    about: Text
    undoes: int | None
    at: At


class RulesCheck(Schema):
    ok: bool
    problems: list[ConfigProblem]
    rules: list[Text]


class RulesFile(Schema):
    name: Text
    text: Text
    digest: Text


class RuleSpans(Schema):
    """One rule's answer to a text."""

    rule: Text
    spans: list[Span]


class Evidence(Schema):
    field: Text
    start: int
    end: int
    text: Text


class Clause(Schema):
    kind: Text
    text: Text
    satisfied: bool
    found: list[Evidence]
    hint: Text
    children: list["Clause"]


class Explanation(Schema):
    rule: Text
    matched: bool
    excluded_by: Text
    barred: Text  # the old key, for one release
    tree: Clause
    snippet: Text


class Exclusion(Schema):
    """A term that a rule might exclude, and how many hits that would have removed, by their marks."""

    term: Text
    irrelevant: int
    irrelevant_of: int
    relevant: int
    relevant_of: int
    unmarked: int
    removed: int
    titles: list[Text]
    query: Text


class LintAdvice(Schema):
    rule: Text
    kind: Text
    message: Text
    hint: Text
