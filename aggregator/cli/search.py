"""`aggregator search`: the rule language over everything stored."""

from math import inf
from typing import TYPE_CHECKING, Any

import click

from aggregator.cli.completion import option
from aggregator.cli.context import require_known, with_backend
from aggregator.cli.errors import located_in, print_problems
from aggregator.cli.highlight import highlighted
from aggregator.cli.output import OneOf, echo, emit, json_option, limit_option
from aggregator.cli.param_types import NUMBER, SINCE, SINCE_HELP
from aggregator.cli.program import config_option
from aggregator.core.errors import ConfigErrors, InvalidRule
from aggregator.core.humanize import dated
from aggregator.core.model import Period, SearchOrder
from aggregator.core.values import period

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aggregator.app.backend import AppBackend

TIME_LIMIT_S = 10.0


@click.command(
    epilog="""\b
Examples:
  aggregator search 'S-400 AND (Turkey OR Türkiye)'
  aggregator search 'title:sanction* NEAR/5 Russia' --since 30d --json
  aggregator search '/S-?[345]00/' --limit 0   all entries, without a limit"""
)
@click.argument("query")
@option("--feed", "feed", default="", metavar="ID", help="Only entries of this feed.")
@click.option("--lang", default="", metavar="CODE", help="Only entries in this language, e.g. de.")
@click.option("--since", type=SINCE, metavar="WHEN", help=f"Only entries since then: {SINCE_HELP}")
@click.option(
    "--by",
    type=OneOf(["published", "recorded", "relevance"]),
    default="published",
    show_default=True,
    help="Newest by publication or by recording (as --since, then, too), or the most relevant first.",
)
@click.option("--before", type=NUMBER, metavar="ENTRY", help="Continue: only entries older than ENTRY.")
@config_option
@limit_option
@json_option
def search(
    query: str, feed: str, lang: str, since: str | None, by: SearchOrder, before: int | None, limit: int, as_json: bool
) -> None:
    """Search stored entries, newest first. Exit 3 if none match.

    A query that cannot use the index, such as a regular expression, scans the entries; after 10
    seconds the output says how far back it got. With --limit 0 there is no time limit.
    """

    async def work(backend: "AppBackend") -> None:
        await require_known(backend.app, feed=feed)
        _check_query(query, backend.current().config.lists)
        now = backend.current().config.settings.local(backend.clock.now())
        span = period(since, now) if since else Period()
        answer = await backend.search(
            query,
            since=span.since,
            until=span.until,
            by=by,
            limit=limit,
            before=before,
            feed=feed,
            lang=lang,
            within_s=TIME_LIMIT_S if limit else inf,
        )
        found = answer.found
        if as_json:
            from aggregator.core.schemas import found_json

            emit([found_json(f) for f in found])
        else:
            _show(found, now)
        if answer.searched_back_to:
            reached = f"{answer.searched_back_to.astimezone(now.tzinfo):%Y-%m-%d %H:%M %Z}"
            echo(f"searched back to {reached}; to continue, add --before {answer.more}", err=True)
        if not found:
            raise SystemExit(3)

    with_backend(work, reading=True)


def _check_query(query: str, lists: "Mapping[str, tuple[str, ...]]") -> None:
    """Warn of what was surely not meant. Raises ConfigErrors, each pointing into the query."""
    from aggregator.core.rules import rule_for_query

    try:
        warnings = rule_for_query(query, lists).warnings
    except InvalidRule as error:
        raise ConfigErrors(located_in(error.problems, query, "query")) from error
    print_problems(located_in(warnings, query, "query"))


def _show(found: Any, now: Any) -> None:
    from rich.text import Text

    from aggregator.cli.output import console

    for f in found:
        console().print(highlighted(f.entry.title, f.spans, "bold"))
        if f.snippet != f.entry.title:
            console().print(highlighted(f"  {f.snippet}", f.spans))
        when = dated(f.entry, now)
        console().print(
            Text(f"  {f.feed_title}, {when} · entry {f.entry.id} · {f.entry.link or 'no link'}", style="dim")
        )
    if not found:
        echo("No entries found.", err=True)
