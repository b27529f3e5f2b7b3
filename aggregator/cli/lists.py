"""`aggregator lists`: term lists of the configuration, and those shipped with the program."""

from typing import TYPE_CHECKING

import click

from aggregator.cli.completion import argument
from aggregator.cli.context import load_sound, with_app
from aggregator.cli.output import echo, emit, json_option, limit_option, plural, style, table
from aggregator.cli.program import CommandGroup, config_option
from aggregator.core.errors import AggregatorError, NotFound, did_you_mean
from aggregator.core.model import Json

if TYPE_CHECKING:
    from aggregator.app.application import Application
    from aggregator.config.shipped_lists import ShippedList


@click.group(
    cls=CommandGroup,
    epilog="""\b
Examples:
  aggregator lists list
  aggregator lists list --shipped
  aggregator lists show country/turkey
  aggregator lists search S-400
  aggregator lists fetch""",
)
def lists() -> None:
    """Show and search term lists: those of the configuration, and those shipped with the program."""


@lists.command("list")
@click.option("--shipped", is_flag=True, help="The lists shipped with the program, for `use:`.")
@config_option
@limit_option
@json_option
def list_(as_json: bool, limit: int, shipped: bool) -> None:
    """List the configuration's lists, or with --shipped those that `use:` names."""
    rows = _shipped_rows() if shipped else _own_rows()
    shown = rows[: limit or None]
    if as_json:
        emit(shown)
        return
    table(
        ("name!", "terms>", "from"),
        ((row["name"], row["terms"], row["source"]) for row in shown),
        empty="No lists; see `aggregator lists list --shipped`.",
    )
    if len(rows) > len(shown):
        echo(f"{len(rows) - len(shown):,} more; --limit 0 shows all", err=True)


@lists.command()
@argument("name", "list")
@config_option
@json_option
def show(as_json: bool, name: str) -> None:
    """Show the terms of a list: `$turkey` or `turkey` of the configuration, `country/turkey` as shipped."""
    from aggregator.config import shipped_lists

    own = name.removeprefix("$")
    if "/" not in own:
        config = load_sound().config
        if own not in config.lists:
            raise NotFound("list", own, [*config.lists, *shipped_lists.names()])
        terms = config.lists[own]
        if as_json:
            emit({"name": own, "terms": list(terms)})
        else:
            _print_terms(terms)
        return
    try:
        found = shipped_lists.members(own)
    except KeyError:
        raise NotFound("list", own, [*shipped_lists.names()]) from None
    if as_json:
        emit(_as_json(found[0]) if len(found) == 1 else {"name": own, "lists": [_as_json(one) for one in found]})
        return
    for one in found:
        _print_list(one)


@lists.command()
@click.argument("term")
@config_option
@limit_option
@json_option
def search(as_json: bool, limit: int, term: str) -> None:
    """Find the shipped lists that have a term, whatever its spelling: `S-400`, `s400`."""
    from aggregator.config import shipped_lists

    found = shipped_lists.search(term)[: limit or None]
    if as_json:
        emit([{"name": one.name, "terms": list(terms)} for one, terms in found])
    else:
        table(("name!", "terms"), ((one.name, ", ".join(terms)) for one, terms in found), empty="No matching lists.")
    if not found:
        raise SystemExit(3)


@lists.command()
@click.argument("names", nargs=-1, metavar="[NAME]…")
@config_option
@json_option
def fetch(as_json: bool, names: tuple[str, ...]) -> None:
    """Fetch lists that have a `url` now, all or the named ones; the service does this by itself."""

    async def work(app: "Application") -> None:
        from aggregator.app.list_updates import ListUpdates

        known = [one.name for one in app.loaded.fetched]
        for name in names:
            if name not in known:
                raise AggregatorError(f"no list named {name!r} has a url{did_you_mean(name, known)}")
        done = await ListUpdates(app).update(names or known, force=True)
        if as_json:
            emit([one.as_json() for one in done])
        else:
            for one in done:
                word = style("failed" if one.error else "fetched", fg="red" if one.error else "green")
                echo(f"{one.name}: ", word, f": {one.error or one.sentence()}")
            if not done:
                echo("No list has a url.", err=True)
        if any(one.error for one in done):
            raise SystemExit(1)

    with_app(work, load_sound(), reading=True)


def _shipped_rows() -> list[Json]:
    from aggregator.config import shipped_lists

    rows: list[Json] = []
    for name in shipped_lists.names():
        found = shipped_lists.members(name)
        kind = name.partition("/")[0]
        source = found[0].source if len(found) == 1 else f"{plural(len(found), 'list')} of {kind}"
        rows.append({"name": name, "terms": sum(len(terms) for one in found for _, terms in one.by_language),
                     "source": source})  # fmt: skip
    return rows


def _own_rows() -> list[Json]:
    from aggregator.app.masking import shown
    from aggregator.core.redaction import Redactor

    loaded = load_sound()
    redact = Redactor(loaded.secrets)
    fetched = {one.name: shown(one.url, redact) for one in loaded.fetched}
    return [
        {
            "name": name,
            "terms": len(terms),
            "source": fetched.get(name) or ":".join(map(str, loaded.places["list", name][:2])),
        }
        for name, terms in loaded.config.lists.items()
    ]


def _as_json(one: "ShippedList") -> Json:
    return {
        "name": one.name,
        "source": one.source,
        "group": one.group,
        "terms": {lang: list(terms) for lang, terms in one.by_language},
        "headlines": dict(one.headlines),
    }


def _print_list(one: "ShippedList") -> None:
    echo(style(one.name, bold=True), f"  ({one.source})")
    for lang, terms in one.by_language:
        echo("  ", style(lang.ljust(4), dim=True), ", ".join(terms))
    for lang, headline in one.headlines:
        echo("  ", style(lang.ljust(4), dim=True), "finds ", style(headline, italic=True))


def _print_terms(terms: tuple[str, ...]) -> None:
    for term in terms:
        echo(term)
    if not terms:
        echo("The list has no terms yet.", err=True)
