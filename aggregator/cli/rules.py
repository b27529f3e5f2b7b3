"""`aggregator rules`: write, test, understand and change watch rules."""

from collections import deque
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aggregator.cli.completion import argument
from aggregator.cli.context import config_path, load, load_sound, with_app, with_backend
from aggregator.cli.highlight import clause_lines, highlighted
from aggregator.cli.output import (
    WIDE,
    console,
    echo,
    emit,
    json_option,
    limit_option,
    plural,
    progress,
    secho,
    style,
    table,
    width,
    wrapped,
)
from aggregator.cli.param_types import SINCE, SINCE_HELP
from aggregator.cli.program import CommandGroup, config_option
from aggregator.cli.rule_edits import pause, remove, resume
from aggregator.core.errors import ConfigErrors, NotFound
from aggregator.core.humanize import dated
from aggregator.core.model import Entry, Hit, Json
from aggregator.core.values import period

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.text import Text

    from aggregator.app.application import Application
    from aggregator.app.backend import AppBackend
    from aggregator.config import Loaded
    from aggregator.core.results import BacktestResult, EntryMatch, RuleTally
    from aggregator.core.rules import Rule

BARS = " ▁▂▃▄▅▆▇█"
MAX_BARS = 50
SHOWN = 20


@click.group(
    cls=CommandGroup,
    epilog="""\b
Examples:
  aggregator rules list
  aggregator rules show caatsa
  aggregator rules test
  aggregator rules lint
  aggregator rules proposals s400-turkey
  aggregator rules backtest caatsa --since 30d --against edited.yaml
  aggregator rules explain 4711 caatsa   the entry's number or link, or a hit
  aggregator rules apply caatsa --since 7d --alert
  aggregator rules pause caatsa
  aggregator rules resume caatsa
  aggregator rules remove caatsa""",
)
def rules() -> None:
    """List, test, explain, backtest, apply, pause and remove watch rules."""


for command in (pause, resume, remove):
    rules.add_command(command)


@rules.command("list")
@config_option
@limit_option
@json_option
def list_(as_json: bool, limit: int) -> None:
    """List rules with hits, alerts, precision (the share of marked hits that were relevant) and folded retellings."""

    async def work(app: "Application") -> None:
        figures = {f.rule: f for f in await app.store.catalog.rules(app.local_now())}
        from aggregator.core.schemas import rule_json

        shapes = [rule_json(r, figures.get(r.id)) for r in app.current.config.rules][: limit or None]
        if as_json:
            emit(shapes)
            return
        narrow = width() < WIDE  # there the title stands below the id, cut where it is long
        figures_ = ("hits>", "alerts>", "precision>", "30 days!")
        table(
            ("id", *figures_) if narrow else ("id", "title", *figures_, "folds", "deliver"),
            (
                (
                    *((_two_lines(s),) if narrow else (_name(s), s["title"])),
                    s["hits"],
                    s["alerts"],
                    "" if s["precision"] is None else f"{s['precision']:.0%}",
                    sparkline([day["hits"] for day in s["days"]], 15 if narrow else 30),
                    *(() if narrow else (_folds(s), s["deliver"])),
                )
                for s in shapes
            ),
            empty="No rules. Write one in rules.yaml.",
        )

    with_app(work, reading=True)


def _name(shape: Json) -> str:
    return str(shape["id"]) if shape["enabled"] else f"{shape['id']} (off)"


def _folds(shape: Json) -> str:
    """Return "31 folds, 1 undone"; nothing for a rule without any."""
    undone = f", {shape['undone']} undone" if shape["undone"] else ""
    return f"{plural(shape['folded'], 'fold')}{undone}" if shape["folded"] else ""


def _two_lines(shape: Json) -> "Text":
    """Return a rule for a narrow table: its id, and below it the title, when its alerts are delivered, its folds."""
    from rich.text import Text

    title = "" if shape["title"] == shape["id"] else shape["title"]
    below = " · ".join(filter(None, (title, "" if shape["deliver"] == "instant" else shape["deliver"], _folds(shape))))
    lines = [Text(_name(shape), style="bold"), *([Text(f"  {below}", style="dim")] if below else [])]
    return Text("\n", no_wrap=True, overflow="ellipsis").join(lines)


def sparkline(values: "Sequence[int]", bars: int = 30) -> str:
    """Draw a row of bars: one for each value, or for several if there are more of them."""
    size = -(-len(values) // bars) or 1
    values = [sum(values[at : at + size]) for at in range(0, len(values), size)]
    most = max(values, default=0) or 1
    return "".join(BARS[-(-value * (len(BARS) - 1) // most)] for value in values)


def _rule(rule_id: str, known: "Sequence[Rule]") -> "Rule":
    for rule in known:
        if rule.id == rule_id:
            return rule
    raise NotFound("rule", rule_id, [rule.id for rule in known])


@rules.command()
@argument("rule_id", "rule", metavar="ID")
@config_option
@json_option
def show(as_json: bool, rule_id: str) -> None:
    """Show a rule as the matcher reads it, including the spellings it adds."""
    from aggregator.core.rules import print_query, spellings

    loaded = load_sound()
    rule = _rule(rule_id, loaded.rules)
    place = loaded.places.get(("rule", rule_id))
    if as_json:

        async def work(app: "Application") -> None:
            from aggregator.core.schemas import rule_detail_json

            figures = await app.store.catalog.rules(app.local_now(), [rule_id])
            emit(rule_detail_json(rule, place or (), next(iter(figures), None)))

        with_app(work, loaded, reading=True)
        return
    added = dict(spellings(rule))
    secho(rule.title or rule.id, bold=True)
    if place:
        echo(f"  defined in   {place.file}:{place.line}")
    echo(f"  as a query   {print_query(rule.tree)}")
    echo(f"  searches     {', '.join(rule.config.in_)}")
    for term, others in added.items():
        echo(f"  {term} also matches {', '.join(others)}")


@rules.command()
@config_option
@json_option
def test(as_json: bool) -> None:
    """Run the rules' inline tests. Exit 2 if any fails."""
    from aggregator.config import rule_test_errors

    loaded = load()
    failed = rule_test_errors(loaded)
    count = sum(len(r.tests.match) + len(r.tests.no_match) for r in loaded.config.rules)
    if as_json:
        emit({"tests": count, "failed": [{"place": f"{e.file}:{e.line}", "message": e.message} for e in failed]})
        raise SystemExit(2 if failed else 0)
    if failed:
        raise ConfigErrors(failed)
    secho(f"{plural(count, 'test')} passed", fg="green")


@rules.command()
@config_option
@json_option
def lint(as_json: bool) -> None:
    """Point out rules that are valid but probably not what you meant, and suggest exclusions for noisy ones."""

    async def work(app: "Application") -> list[Json]:
        from aggregator.core.schemas import lint_json
        from aggregator.pipeline.advise import advise

        return [lint_json(f) for f in await advise(app.context, app.store.catalog)]

    findings = with_app(work)
    if as_json:
        emit(findings)
        return
    for finding in findings:
        hint = f" ({finding['hint']})" if finding["hint"] else ""
        rule = f"{finding['rule']}: " if finding["rule"] else ""
        said = wrapped(f"{rule}{finding['message']}{hint}", "  ")
        echo(style(rule, bold=True), said.removeprefix(rule)) if said.startswith(rule) else echo(said)
    if not findings:
        secho("No issues found.", fg="green")


@rules.command()
@argument("rule_id", "rule", metavar="ID")
@config_option
@json_option
def proposals(as_json: bool, rule_id: str) -> None:
    """Propose words to exclude, from at least ten hits marked relevant and ten irrelevant. Exit 3 if there are none."""

    async def work(backend: "AppBackend") -> None:
        found = await backend.proposals(rule_id)
        if as_json:
            from aggregator.core import schemas

            emit([schemas.as_json(schemas.models.Exclusion, one) for one in found])
        for one in () if as_json else found:
            echo(style(one.term, bold=True), f": would have removed {plural(one.removed, 'hit')}:", nl=False)
            echo(
                f" {one.irrelevant} of {one.irrelevant_of} irrelevant, {one.relevant} of {one.relevant_of} relevant,"
                f" {one.unmarked} unmarked"
            )
            for title in one.titles:
                echo(f"  {title}")
        if not found:
            echo("Nothing to propose: mark ten hits of each kind, or no word tells them apart.", err=True)
            raise SystemExit(3)

    with_backend(work, reading=True)


@rules.command()
@argument("rule_id", "rule", metavar="ID")
@click.option("--since", type=SINCE, default="30d", metavar="WHEN", help=f"How far back: {SINCE_HELP} Default: 30d.")
@click.option(
    "--against",
    type=click.Path(exists=True, path_type=Path),
    metavar="FILE",
    help="File or folder with the edited rule; shows the hits it adds and removes.",
)
@config_option
@json_option
def backtest(as_json: bool, rule_id: str, since: str, against: Path | None) -> None:
    """Run a rule over stored entries: hits per day, top feeds, samples, and the effect of an edit."""
    loaded = load()
    known = loaded.rules
    edited = _edited(rule_id, against, loaded) if against else _rule(rule_id, known)
    old = [rule for rule in known if rule.id == rule_id]

    async def work(app: "Application") -> None:
        from aggregator.pipeline.backtest import backtest as run

        span = period(since, app.local_now())
        with progress("backtesting", await app.store.catalog.count_entries(span.since, span.until)) as step:
            done = await run(
                app.store.catalog,
                app.current,
                old,
                [edited],
                since=span.since,
                until=span.until,
                step=step,
            )
        tally = done.tallies[rule_id]
        if as_json:
            from aggregator.core.schemas import backtest_json

            emit(backtest_json(rule_id, done.entries, tally))
        else:
            _show_backtest(done, tally, against is not None)

    with_app(work, loaded)


def _edited(rule_id: str, path: Path, loaded: "Loaded") -> "Rule":
    """Return the rule of another file, which may be complete or an edited copy of the file that holds the rule."""
    from aggregator.app import load_config

    try:
        return _rule(rule_id, load_config(path).rules)
    except ConfigErrors:
        place = loaded.places.get(("rule", rule_id))
        if place is None or path.is_dir():
            raise
    try:
        text = path.read_text(encoding="utf-8-sig")
        return _rule(rule_id, load_config(config_path(), edited={Path(place.file): text}).rules)
    except ConfigErrors as errors:
        raise ConfigErrors(
            [replace(e, file=str(path) if e.file == place.file else e.file) for e in errors.errors]
        ) from None


def _show_backtest(done: "BacktestResult", tally: "RuleTally", compared: bool) -> None:
    change = f" ({tally.before} before: +{tally.added_count} −{tally.removed_count})" if compared else ""
    secho(f"{plural(tally.after, 'hit')} in {plural(done.entries, 'entry', 'entries')}{change}", bold=True)
    _histogram(tally.days)
    if tally.feeds:
        echo("  by feed " + ", ".join(f"{feed} {hits}" for feed, hits in tally.feeds.most_common(5)))
    if compared:
        _show_samples("added:", tally.added, "+", "green")
        _show_samples("removed:", tally.removed, "−", "red")
    else:
        _show_samples("for example:", tally.samples)


def _show_samples(heading: str, found: "Sequence[EntryMatch]", sign: str = " ", colour: str = "white") -> None:
    """Print some of what was found, the newest first."""
    from rich.text import Text

    if found:
        secho(heading, bold=True)
    for one in reversed(found):
        snippet = f"\n    {one.snippet}" if one.snippet != one.entry.title else ""
        console().print(Text.assemble((f"{sign} ", colour), highlighted(f"{one.entry.title}{snippet}", one.spans)))


def _histogram(days: "Mapping[str, int]") -> None:
    """Draw a bar for each day from the first hit to the last; for each week if days would be too many."""
    if not days:
        return
    known = {date.fromisoformat(day): hits for day, hits in days.items()}
    first, last = min(known), max(known)
    size, unit = (1, "day") if (last - first).days < MAX_BARS else (7, "week")
    buckets = [0] * ((last - first).days // size + 1)
    for day, hits in known.items():
        buckets[(day - first).days // size] += hits
    bars = style(sparkline(buckets, len(buckets)).replace(" ", "·"), fg="cyan")
    echo(f"  by {unit}  {first} ", bars, f" {last}, peak {max(buckets)}")


@rules.command()
@argument("entry", "hit")
@argument("rule_id", "rule", metavar="[RULE]", required=False)
@config_option
@json_option
def explain(as_json: bool, entry: str, rule_id: str | None) -> None:
    """Show clause by clause why rules match a stored entry, or why they do not.

    ENTRY is the number shown by `search` and `hits show`, the entry's link, or the id of a hit (which
    implies the rule).
    """

    async def work(app: "Application") -> None:
        from aggregator.core.rules import document
        from aggregator.core.rules.explain import explain as of_rule
        from aggregator.pipeline.search import feed_tags, find_entry

        stored, of_hit = await find_entry(app.store.catalog, app.current, entry)
        wanted, known = rule_id or of_hit, tuple(app.current.rules.values())
        chosen = [_rule(wanted, known)] if wanted else known
        text = document(stored, feed_tags(app.current, stored.feed))
        found = [of_rule(rule, text) for rule in chosen]
        shown = found if wanted else [one for one in found if one.matched] or found
        if as_json:
            from aggregator.core.schemas import explanation_json

            emit([explanation_json(one) for one in shown])
            return
        secho(stored.title, bold=True)
        if stored.is_from_future:
            secho(dated(stored, app.clock.now()), dim=True)
        for one in shown:
            verdict = style("matches", fg="green") if one.matched else style("does not match", fg="yellow")
            echo(style(one.rule, bold=True), " ", verdict, f": {one.excluded_by}" if one.excluded_by else "")
            clause_lines(one.tree)

    with_app(work, reading=True)


@rules.command()
@argument("rule_id", "rule", metavar="[ID]", required=False)
@click.option("--since", type=SINCE, default="7d", metavar="WHEN", help=f"How far back: {SINCE_HELP} Default: 7d.")
@click.option("--alert", is_flag=True, help="Record the hits and alert, one digest per rule.")
@config_option
@json_option
def apply(as_json: bool, alert: bool, since: str, rule_id: str | None) -> None:
    """Run rules over stored entries, e.g. after writing a new rule. A dry run unless --alert."""
    loaded = load()
    chosen = [_rule(rule_id, loaded.rules)] if rule_id else [r for r in loaded.rules if r.config.enabled]

    async def work(app: "Application") -> None:
        from aggregator.pipeline.apply_rules import find_hits, record_hits

        asked = period(since, app.local_now())
        entries, hits, rows = list[Entry](), list[Hit](), list[Json]()
        shown: deque[tuple[str, str]] = deque(maxlen=SHOWN)
        count = known = 0
        with progress("applying", await app.store.catalog.count_entries(asked.since, asked.until)) as step:
            # There may be a hit for each stored entry: only what is needed later is kept.
            async for of_entries, found in find_hits(app.context, app.store.catalog, chosen, asked, step):
                titles = {(e.feed, e.key): e.title for e in of_entries}
                count += len(found)
                known += len(await app.store.catalog.recorded([hit.id for hit in found]))
                shown += [(hit.rule, titles[hit.feed, hit.entry_key]) for hit in found[-SHOWN:]]
                if as_json:
                    rows += [{"rule": h.rule, "entry": h.entry_id, "title": titles[h.feed, h.entry_key]} for h in found]
                if alert:
                    entries += of_entries
                    hits += found
        applied = await record_hits(app.context, app.store.feeds, entries, hits) if alert else None
        if as_json:
            emit(
                {
                    "hits": rows,
                    "recorded": applied.recorded if applied else 0,
                    "queued": applied.queued if applied else 0,
                    "known": known,
                }
            )
            return
        for rule, title in shown:
            echo(style(rule, bold=True), f": {title}")
        if count > len(shown):
            echo(f"… and {count - len(shown):,} older")
        done = "dry run; use --alert to record them and alert"
        if applied:
            done = f"{applied.recorded} recorded, {applied.queued} queued for alerts"
        before = f", {known:,} of them already recorded" if known else ""
        echo(f"{plural(count, 'hit')} since {since}{before}: {done}")

    with_app(work, loaded)
