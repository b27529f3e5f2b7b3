"""`aggregator hits`: what was found."""

import sys
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING, Any, get_args

import click
from msgspec.structs import replace

from aggregator.cli.completion import argument, option
from aggregator.cli.context import require_known, with_app
from aggregator.cli.highlight import highlighted
from aggregator.cli.output import (
    ROWS,
    OneOf,
    console,
    echo,
    emit,
    json_option,
    limit_option,
    plural,
    print_fields,
    raw,
    secho,
    short,
)
from aggregator.cli.param_types import SINCE, SINCE_HELP
from aggregator.cli.program import CommandGroup, config_option
from aggregator.cli.triage import say_undo
from aggregator.core import schemas
from aggregator.core.errors import NotFound, brief
from aggregator.core.humanize import ago, dated, published
from aggregator.core.model import By, HitDetail, HitFilter
from aggregator.core.schemas import actions, baseline_json, hit_json
from aggregator.core.titles import hit_outcome, reasons, with_titles
from aggregator.core.values import period
from aggregator.pipeline.triage import new_undo

if TYPE_CHECKING:
    from aggregator.app.application import Application
    from aggregator.core.results import BaselineSent

PAGE_SIZE = 500
FEED_CHARS = 24
MARKS = ("relevant", "irrelevant", "seen")


@click.group(
    cls=CommandGroup,
    epilog="""\b
Examples:
  aggregator hits list --rule caatsa --since 24h
  aggregator hits list --todo --since 2026-11-01..2026-11-15
  aggregator hits show 5f1c09d2
  aggregator hits mark 5f1c09d2 irrelevant
  aggregator hits export --format csv > hits.csv""",
)
def hits() -> None:
    """List, show, mark and export hits (a hit is one rule matching one entry)."""


def filters(command: Any) -> Any:
    """Add the options that choose hits."""
    for add in (
        option("--view", "view", metavar="ID", help="Only what a saved view shows; see `aggregator views`."),
        option("--label", "label", metavar="LABEL", help="Only stories with this label."),
        click.option("--mark", type=OneOf(MARKS), help="Only hits with this mark."),
        click.option("--todo", is_flag=True, help="Only unmarked hits, without copies."),
        option("--story", "story", metavar="ID", help="Only this story."),
        click.option(
            "--by",
            type=OneOf(get_args(By)),
            default="published",
            show_default=True,
            help="The time that order and --since go by: of publication, or when the hit was recorded.",
        ),
        click.option("--since", type=SINCE, metavar="WHEN", help=f"Only hits since then: {SINCE_HELP}"),
        option("--feed", "feed", metavar="ID", help="Only this feed."),
        option("--rule", "rule", metavar="ID", help="Only this rule."),
    ):
        command = add(command)
    return command


async def _find(
    app: "Application",
    limit: int,
    *,
    rule: str | None,
    since: str | None,
    by: By,
    view: str | None,
    before: tuple[datetime, str] | None = None,
    **others: Any,
) -> tuple[HitDetail, ...]:
    await require_known(app, rule=rule, feed=others.get("feed"))
    if others.get("story"):
        others["story"] = await app.store.catalog.resolve_id("story", others["story"])
    wanted = await _of_view(app, view) if view else HitFilter()
    given = {name: value for name, value in ({"rule": rule} | others).items() if value}
    if since:
        span = period(since, app.local_now())
        given |= {"since": span.since, "until": span.until}
    wanted = replace(wanted, by=by, before=before, **given)
    return with_titles(await app.store.catalog.hits(wanted, limit=limit), app.current.config)


async def _of_view(app: "Application", view_id: str) -> HitFilter:
    """Return the filters of a saved view. Raises NotFound."""
    from aggregator.web.params import HitQuery

    known = {view.id: view for view in await app.store.catalog.views()}
    if view_id not in known:
        raise NotFound("view", view_id, list(known))
    if question := dict(known[view_id].query).get("q"):
        raise click.UsageError(f"view {view_id} is a search: aggregator search {question!r}")
    return HitQuery.model_validate(dict(known[view_id].query)).filter(app.local_now())


@hits.command("list")
@config_option
@filters
@limit_option
@json_option
def list_(as_json: bool, limit: int, **wanted: Any) -> None:
    """List hits, newest first."""

    async def work(app: "Application") -> None:
        found = await _find(app, limit, **wanted)
        if as_json:
            emit([hit_json(detail) for detail in found])
            return
        now = app.local_now()
        for detail in found:
            _two_lines(detail, now)
        outcomes = Counter(said for said in (hit_outcome(t.hit) for t in found) if ": " in said)
        for outcome, count in outcomes.most_common() if console().is_terminal else ():
            secho(f"{count:,} {outcome}", dim=True, err=True)
        if not found:
            asked = any(value for name, value in wanted.items() if name != "by")
            echo("No matching hits." if asked else "No hits yet; `aggregator poll` polls the feeds.", err=True)

    with_app(work, reading=True)


def _two_lines(detail: HitDetail, now: datetime) -> None:
    """Print a hit: what it is of, when, and what became of it; then its title and the words around the match.

    On a terminal each line is cut to its width; in a pipe it is whole, the id, too.
    """
    from rich.text import Text

    hit, out = detail.hit, console()
    feed = brief(detail.feed_title or hit.feed, FEED_CHARS) if out.is_terminal else hit.feed
    when, outcome = published(detail.dated_at, detail.recorded_at, now), hit_outcome(hit)
    outcome = outcome.partition(": ")[0].partition(" of ")[0] if out.is_terminal else outcome
    meta = Text.assemble((short(hit.id), "bold"), f"  {when} · ", (hit.rule, "cyan"), f" · {outcome} · {feed}")
    if hit.mark:
        meta.append(f" · {hit.mark}")
    for line in (meta, Text("  ").append_text(_evidence(detail, " — "))):
        if out.is_terminal:
            line.truncate(out.width, overflow="ellipsis")
        out.print(line)


def _evidence(detail: HitDetail, between: str = "\n") -> Any:
    """Title and snippet, with the matched words marked."""
    from rich.text import Text

    snippet = detail.hit.snippet if detail.hit.snippet != detail.entry.title else ""
    title = highlighted(detail.entry.title, detail.hit.spans, "bold")
    return Text(between).join([title, highlighted(snippet, detail.hit.spans)]) if snippet else title


@hits.command()
@argument("hit_id", "hit", metavar="ID")
@config_option
@json_option
def show(as_json: bool, hit_id: str) -> None:
    """Show one hit with its entry, its story, and why the rule matched."""

    async def work(app: "Application") -> None:
        catalog, now = app.store.catalog, app.local_now()
        (detail,) = with_titles([await catalog.hit(await catalog.resolve_id("hit", hit_id))], app.current.config)
        if as_json:
            emit(hit_json(detail))
            return
        hit, entry = detail.hit, detail.entry
        console().print(_evidence(detail))
        print_fields(
            {
                "link": entry.link,
                "rule": hit.rule + (f" ({detail.rule_title})" if detail.rule_title not in ("", hit.rule) else ""),
                "feed": f"{detail.feed_title}, {dated(entry, now)}",
                "found": ago(hit.created_at, now),
                "state": hit_outcome(hit),
                "marked": hit.mark,
                "story": hit.story,
                "because": "\n".join(reasons(hit.because, earlier_alerts=detail.earlier_alerts)),
                "also in": ", ".join(detail.also_in),
                "entry": str(entry.id),
                "why": f"aggregator rules explain {hit.id[:8]}",
            }
        )

    with_app(work, reading=True)


@hits.command()
@argument("hit_id", "hit", metavar="ID")
@click.argument("mark", type=OneOf([*MARKS, "none"]))
@config_option
@json_option
def mark(as_json: bool, hit_id: str, mark: str) -> None:
    """Mark a hit as relevant or irrelevant; `rules list` shows each rule's precision."""

    async def work(app: "Application") -> None:
        full_id = await app.store.catalog.resolve_id("hit", hit_id)
        kept = None if mark == "none" else mark
        change = new_undo(kept or "unmarked", app.clock.now())
        changed = await app.store.catalog.mark([full_id], kept, undo=change)
        if as_json:
            undo = change.id if changed else None
            emit(schemas.as_json(actions.HitMarked, {"id": full_id, "mark": kept, "undo": undo}))
        else:
            echo(f"{full_id}: {mark}")
            if changed:
                say_undo(change)

    with_app(work)


@hits.command()
@click.option("--format", "style", type=OneOf(["csv", "jsonl", "atom"]), default="csv", show_default=True)
@config_option
@filters
@click.option("--limit", "-n", type=ROWS, default=0, help="Maximum number of hits; default: all.")
def export(style: str, limit: int, **wanted: Any) -> None:
    """Print hits as CSV (safe to open in a spreadsheet), JSON lines or Atom."""

    async def work(app: "Application") -> None:
        from aggregator.web.export import as_atom, as_csv, as_jsonl

        if style == "atom":
            web = app.current.config.settings.web
            site = (web.public_url or f"http://{web.listen}").rstrip("/")
            found, now = await _find(app, limit, **wanted), app.clock.now()
            raw(as_atom(found, title="Hits", site=site, path="/feeds/hits.atom", now=now))
            return
        left, before, first = limit or inf, None, True
        while left > 0:  # by the page: there may be more of them than memory
            page = await _find(app, int(min(left, PAGE_SIZE)), before=before, **wanted)
            raw(as_csv(page, head=first) if style == "csv" else as_jsonl(page))
            if len(page) < PAGE_SIZE:
                return
            left, before, first = left - len(page), page[-1].place(wanted["by"]), False

    with_app(work, reading=True)


@hits.command(
    epilog="""\b
Examples:
  aggregator hits send --baseline           what was there at first polls
  aggregator hits send --baseline --rule caatsa"""
)
@click.option("--baseline", is_flag=True, required=True, help="Hits that were already there at a feed's first poll.")
@option("--rule", "rule", metavar="ID", help="Only hits of this rule.")
@config_option
@json_option
def send(as_json: bool, baseline: bool, rule: str | None) -> None:  # noqa: ARG001
    """Send hits that nobody was alerted to, as one digest per channel, each hit once. Exit 3 if there are none."""

    async def work(app: "Application") -> None:
        from aggregator.pipeline.apply_rules import send_baseline

        sent = await send_baseline(app.context, app.store.catalog, rule)
        counts = await (await app.runtime()).deliver_due() if sent.hits else None
        outcome = {name: getattr(counts, name, 0) for name in ("sent", "retry", "dead", "held")}
        if as_json:
            emit(baseline_json(sent) | {"outcome": outcome})
        else:
            _say_sent(sent, outcome)
        if not sent.hits:
            raise SystemExit(3)
        if outcome["retry"] or outcome["dead"]:
            raise SystemExit(1)

    with_app(work, console=sys.stderr if as_json else None)


def _say_sent(sent: "BaselineSent", outcome: Mapping[str, int]) -> None:
    if sent.hits:
        words = {"sent": "sent", "retry": "to be tried again", "dead": "given up", "held": "held"}
        done = ", ".join(f"{outcome[name]} {word}" for name, word in words.items() if outcome[name])
        digests = plural(len(sent.deliveries), "digest")
        echo(f"{plural(sent.hits, 'hit')} in {digests} to {', '.join(sent.channels)}: {done or 'queued'}")
    elif not sent.unsent:
        echo("Nothing to send: no hit was there at a first poll, or all were sent.", err=True)
    if sent.unsent:
        echo(f"{plural(sent.unsent, 'hit')} not sent: the rule is gone, or notifies no channel", err=True)
