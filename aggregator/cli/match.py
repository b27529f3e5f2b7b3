"""`aggregator match`: try text against rules, or against a single term."""

from typing import TYPE_CHECKING, TextIO

import click

from aggregator.cli.completion import option
from aggregator.cli.context import load
from aggregator.cli.errors import located_in, print_problems
from aggregator.cli.output import console, echo, emit, json_option
from aggregator.cli.program import config_option
from aggregator.core.errors import ConfigErrors, InvalidRule, NotFound
from aggregator.core.model import Span

if TYPE_CHECKING:
    from aggregator.core.rules import Rule

MAX_NAMED = 5


@click.command(
    epilog="""\b
Examples:
  echo 'Ankara receives S‑400s' | aggregator match
  aggregator match --rule caatsa article.txt
  echo 'С-400 и Су-57' | aggregator match --term S-400 --json"""
)
@click.argument("file", type=click.File(encoding="utf-8", errors="replace"), default="-", metavar="[FILE|-]")
@option("--rule", "rule", metavar="ID", help="Only this rule.")
@click.option("--term", metavar="T", help="Match a single term; needs no configuration.")
@config_option
@json_option
def match(file: TextIO, rule: str | None, term: str | None, as_json: bool) -> None:
    """Match text from FILE or stdin against the rules and show the matches. Exit 3 if there are none.

    Offsets count code points; the text's final line break is not part of it.
    """
    from aggregator.core.text.tokens import MAX_TEXT

    text = file.read(MAX_TEXT)
    if file.read(1).strip():
        echo(f"only the first {MAX_TEXT:,} characters were read", err=True)
    text = text.removesuffix("\n")
    found = _by_term(term, text) if term is not None else _by_rules(rule, text)
    if as_json:
        from aggregator.core.schemas import match_json

        emit([match_json(name, spans) for name, spans in found])
    else:
        _show(text, found)
    if not found:
        raise SystemExit(3)


def _by_term(term: str, text: str) -> list[tuple[str, tuple[Span, ...]]]:
    from aggregator.core.rules import lint_term
    from aggregator.core.rules.match_term import match_term

    print_problems(located_in(lint_term(term), term, "term"))
    try:
        spans = match_term(term, text)
    except InvalidRule as error:
        raise ConfigErrors(located_in(error.problems, term, "term")) from error
    return [(term, spans)] if spans else []


def _by_rules(rule: str | None, text: str) -> list[tuple[str, tuple[Span, ...]]]:
    from aggregator.core.rules import Document, RuleIndex, scope_of

    rules = load().rules
    if rule is not None and rule not in {known.id for known in rules}:
        raise NotFound("rule", rule, [known.id for known in rules])
    if rule is not None:
        return _by_rule(next(known for known in rules if known.id == rule), text)
    if scoped := [known.id for known in rules if known.config.enabled and scope_of(known)]:
        some = ", ".join(scoped[:MAX_NAMED]) + (", …" if len(scoped) > MAX_NAMED else "")
        echo(f"rules for some feeds or languages only need --rule ID here: {some}", err=True)
    return [(found.rule, found.spans) for found in RuleIndex(rules).match(Document(content=text))]


def _by_rule(rule: "Rule", text: str) -> list[tuple[str, tuple[Span, ...]]]:
    """Match as the rule's tests do, and say what else an entry would need."""
    from aggregator.core.rules import match_text, scope_of

    if scope := scope_of(rule):
        echo(f"{rule.id} only looks at entries from {' and '.join(scope)}; here it looks at the text alone", err=True)
    spans = match_text(rule, text)
    return [] if spans is None else [(rule.id, spans)]


def _show(text: str, found: list[tuple[str, tuple[Span, ...]]]) -> None:
    """Print the text with its matches marked, for each rule."""
    from rich.text import Text

    for name, spans in found:
        marked = Text(text)
        for span in spans:
            marked.stylize("bold yellow", span.start, span.end)
        terms = ", ".join(dict.fromkeys(span.term for span in spans))
        console().print(
            Text.assemble((name, "bold"), (f"  {terms}\n" if terms and terms != name else "\n", "dim"), marked)
        )
    if not found:
        echo("No match.", err=True)
