"""`aggregator hits`: what was found."""

from datetime import datetime, timedelta
from math import inf
from typing import TYPE_CHECKING, Any

import click

from aggregator.cli.context import in_house
from aggregator.cli.highlight import marked
from aggregator.cli.output import ago, console, echo, emit, json_option, limit_option, raw, sheet, short, table
from aggregator.cli.param_types import SINCE
from aggregator.cli.program import Group, config_option
from aggregator.core.errors import NotFound
from aggregator.core.model import HitFilter, Told
from aggregator.core.schemas import hit_json
from aggregator.core.titles import named

if TYPE_CHECKING:
    from aggregator.app.application import House

ROWS_AT_ONCE = 500


@click.group(
    cls=Group,
    epilog="""\b
Examples:
  aggregator hits list --rule caatsa --since 24h
  aggregator hits show 5f1c09d2
  aggregator hits mark 5f1c09d2 irrelevant
  aggregator hits export --format csv > hits.csv""",
)
def hits() -> None:
    """List, show, mark and export hits: one rule × one entry, with the evidence."""


def filters(command: Any) -> Any:
    """The options that choose hits."""
    for option in (
        click.option("--story", metavar="ID", help="Only this story."),
        click.option("--since", type=SINCE, metavar="AGE", help="Only newer ones, e.g. 24h or 7d."),
        click.option("--feed", metavar="ID", help="Only from this feed."),
        click.option("--rule", metavar="ID", help="Only of this rule."),
    ):
        command = option(command)
    return command


async def _find(
    house: "House",
    limit: int,
    rule: str | None,
    feed: str | None,
    story: str | None,
    since: timedelta | None,
    before: tuple[datetime, str] | None = None,
) -> tuple[Told, ...]:
    setup = house.setup()
    if rule and rule not in setup.rules and not await house.store.catalog.hits(HitFilter(rule=rule), limit=1):
        raise NotFound("rule", rule, list(setup.rules))
    now = house.clock.now()
    wanted = HitFilter(rule=rule, feed=feed, story=story, since=now - since if since else None, before=before)
    return named(await house.store.catalog.hits(wanted, limit=limit), house.current.config)


@hits.command("list")
@config_option
@filters
@limit_option
@json_option
def list_(as_json: bool, limit: int, **wanted: Any) -> None:
    """List hits, newest first."""

    async def work(house: "House") -> None:
        found = await _find(house, limit, **wanted)
        if as_json:
            emit([hit_json(told) for told in found])
            return
        now = house.clock.now()
        table(
            ("id!", "when!", "rule!", "feed!", "state", "evidence"),
            (
                (short(t.hit.id), ago(t.hit.created_at, now), t.hit.rule, t.hit.feed, _state(t), _evidence(t))
                for t in found
            ),
            empty="no hit is like that" if any(wanted.values()) else "no hits yet; `aggregator poll` looks for some",
        )

    in_house(work, reading=True)


def _state(told: Told) -> str:
    return f"{told.hit.state.value}{f' ({told.hit.reason})' if told.hit.reason else ''}"


def _evidence(told: Told) -> Any:
    """Title and snippet, with the matched words marked."""
    from rich.text import Text

    snippet = told.hit.snippet if told.hit.snippet != told.entry.title else ""
    title = marked(told.entry.title, told.hit.spans, "bold")
    return Text("\n").join([title, marked(snippet, told.hit.spans)]) if snippet else title


@hits.command()
@click.argument("hit_id", metavar="ID")
@config_option
@json_option
def show(as_json: bool, hit_id: str) -> None:
    """Show one hit with its entry, its story, and why the rule matched."""

    async def work(house: "House") -> None:
        catalog, now = house.store.catalog, house.clock.now()
        (told,) = named([await catalog.hit(await catalog.named("hit", hit_id))], house.current.config)
        if as_json:
            emit(hit_json(told))
            return
        hit, entry = told.hit, told.entry
        console().print(_evidence(told))
        sheet(
            {
                "link": entry.link,
                "rule": hit.rule + (f" ({told.rule_title})" if told.rule_title not in ("", hit.rule) else ""),
                "feed": f"{told.feed_title}, {ago(entry.published_at or entry.seen_at, now)}",
                "found": ago(hit.created_at, now),
                "state": _state(told),
                "marked": hit.mark,
                "story": hit.story,
                "also in": ", ".join(told.also_in),
                "entry": str(entry.id),
                "why": f"aggregator rules explain {hit.id[:8]}",
            }
        )

    in_house(work, reading=True)


@hits.command()
@click.argument("hit_id", metavar="ID")
@click.argument("mark", type=click.Choice(["relevant", "irrelevant", "none"]))
@config_option
def mark(hit_id: str, mark: str) -> None:
    """Say whether a hit was worth your time; `rules list` shows each rule's precision."""

    async def work(house: "House") -> None:
        whole = await house.store.catalog.named("hit", hit_id)
        await house.store.catalog.mark(whole, None if mark == "none" else mark)
        echo(f"{whole}: {mark}")

    in_house(work)


@hits.command()
@click.option("--format", "style", type=click.Choice(["csv", "jsonl", "atom"]), default="csv", show_default=True)
@config_option
@filters
@click.option("--limit", "-n", type=click.IntRange(0), default=0, help="At most N hits; default: all.")
def export(style: str, limit: int, **wanted: Any) -> None:
    """Write hits to stdout as CSV (safe to open in a spreadsheet), JSON lines or Atom; all of them."""

    async def work(house: "House") -> None:
        from aggregator.web.export import as_atom, as_csv, as_jsonl

        if style == "atom":
            web = house.current.config.settings.web
            site = (web.public_url or f"http://{web.listen}").rstrip("/")
            found, now = await _find(house, limit, **wanted), house.clock.now()
            raw(as_atom(found, title="Hits", site=site, path="/feeds/hits.atom", now=now))
            return
        left, before, first = limit or inf, None, True
        while left > 0:  # by the page: there may be more of them than memory
            page = await _find(house, int(min(left, ROWS_AT_ONCE)), before=before, **wanted)
            raw(as_csv(page, head=first) if style == "csv" else as_jsonl(page))
            if len(page) < ROWS_AT_ONCE:
                return
            left, before, first = left - len(page), (page[-1].hit.created_at, page[-1].hit.id), False

    in_house(work, reading=True)
