"""`aggregator feeds`: what is watched."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aggregator.cli.completion import argument
from aggregator.cli.context import load, with_app, with_backend
from aggregator.cli.output import (
    WIDE,
    OneOf,
    echo,
    emit,
    json_option,
    limit_option,
    plural,
    print_fields,
    progress,
    raw,
    secho,
    table,
    width,
)
from aggregator.cli.program import CommandGroup, config_option
from aggregator.cli.triage import say_undo
from aggregator.core import schemas
from aggregator.core.edits import undo_name
from aggregator.core.errors import AggregatorError, NotFound, brief
from aggregator.core.humanize import ago, span
from aggregator.core.model import FeedState, FeedSummary, Health
from aggregator.core.schemas import actions, candidate_json, feed_json, imported_json
from aggregator.core.text.urls import login_in, pasted_urls, with_login
from aggregator.pipeline.triage import new_undo

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from aggregator.app.application import Application
    from aggregator.app.backend import AppBackend
    from aggregator.core.results import FeedCandidate
    from aggregator.core.settings import Feed

HEALTHY = {"ok": "green", "new": "cyan", "paused": "dim"}


@click.group(
    cls=CommandGroup,
    epilog="""\b
Examples:
  aggregator feeds list
  aggregator feeds show example
  aggregator feeds add https://example.org        finds the site's feed
  aggregator feeds discover https://example.org
  aggregator feeds pause example
  aggregator feeds resume example
  aggregator feeds change example --title "The example" --tag news --every 15m
  aggregator feeds remove example
  aggregator feeds import subscriptions.opml --check
  aggregator feeds export > subscriptions.opml""",
)
def feeds() -> None:
    """List, add, change, pause, discover, import and export feeds."""


@feeds.command("list")
@config_option
@limit_option
@json_option
def list_(as_json: bool, limit: int) -> None:
    """List feeds with their health and activity."""

    async def work(app: "Application") -> None:
        active, now = app.active(), app.clock.now()
        known = {row.state.id: row for row in await app.store.catalog.feeds()}
        rows = [known.get(name) or _unknown(app, feed) for name, feed in sorted(active.feeds.items())][: limit or None]
        if as_json:
            emit([feed_json(row, active.feeds.get(row.state.id)) for row in rows])
            return
        from rich.text import Text

        narrow = width() < WIDE  # there each feed is one line, and what is wrong with some stands below
        headings = ("id", "state!", "entries>", "last new!", "next poll!")
        table(
            headings if narrow else (*headings, "every!", "problem"),
            (
                (
                    row.state.id,
                    Text(row.state.health.value, style=HEALTHY.get(row.state.health.value, "red")),
                    row.entries,
                    ago(row.state.last_new_at, now),
                    _due(row.state, now),
                    *(() if narrow else (span(row.state.interval_s), brief(row.state.last_error or "", 120))),
                )
                for row in rows
            ),
            empty="No feeds. Add one with `aggregator feeds add URL`.",
        )
        for state in [row.state for row in rows if row.state.last_error] if narrow else []:
            echo(f"\n{state.id}: {state.last_error}")

    with_app(work, reading=True)


async def _one(app: "Application", feed_id: str) -> FeedSummary:
    known = list(app.active().feeds)
    if feed_id not in known:
        raise NotFound("feed", feed_id, known)
    try:
        return (await app.store.catalog.feeds([feed_id]))[0]
    except NotFound:
        return _unknown(app, app.active().feeds[feed_id])


def _unknown(app: "Application", feed: "Feed") -> FeedSummary:
    """Return the state of a feed that no service has taken over yet."""
    from aggregator.app.masking import shown

    url = shown(feed.url, app.redact)
    return FeedSummary(state=FeedState(id=feed.id, url=url, configured_url=url))


@feeds.command()
@argument("feed_id", "feed", metavar="ID")
@config_option
@json_option
def show(as_json: bool, feed_id: str) -> None:
    """Show one feed: schedule, activity, last error, validators."""

    async def work(app: "Application") -> None:
        row, feed = await _one(app, feed_id), app.active().feeds[feed_id]
        if as_json:
            emit(feed_json(row, feed))
        else:
            _status_fields(row, feed, app.clock.now())

    with_app(work, reading=True)


def _due(state: FeedState, now: "datetime") -> str:
    """When a feed is polled next; one that is paused or gone is not."""
    if state.health in (Health.PAUSED, Health.GONE):
        return "–"
    return ago(state.next_poll_at, now) if state.next_poll_at else "now"


def _status_fields(row: FeedSummary, feed: "Feed", now: "datetime") -> None:
    """Return the fields that describe how a feed is doing."""
    state = row.state
    seen = state.validators
    secho(feed.title or state.title or state.id, bold=True)
    print_fields(
        {
            "id": state.id,
            "url": state.url,
            "kind": "" if feed.kind == "feed" else feed.kind,
            "tags": ", ".join(feed.tags),
            "state": state.health.value
            + (f", failed {plural(state.failures, 'time')} in a row" if state.failures else ""),
            "problem": state.last_error,
            "last poll": ago(state.last_polled_at, now) + (f", HTTP {state.last_status}" if state.last_status else ""),
            "last success": ago(state.last_ok_at, now) if state.failures else "",
            "next poll": _due(state, now),
            "polled": f"every {span(state.interval_s)}" if state.interval_s else "",
            "activity": f"a new entry about every {span(state.gap_s)}, the last {ago(state.last_new_at, now)}"
            if state.gap_s
            else "",
            "stored": f"{plural(row.entries, 'entry', 'entries')}, {plural(row.hits, 'hit')}",
            "etag": seen.etag if seen else "",
            "modified": seen.last_modified if seen else "",
        }
    )


@feeds.command()
@click.argument("url")
@click.option("--id", "feed_id", default="", help="Permanent id; default: derived from the URL.")
@click.option("--tag", "tags", multiple=True, help="Tag to add; may be repeated.")
@click.option("--kind", type=OneOf(["feed", "sitemap", "page", "watch", "mail"]), help="Read URL itself, as this kind.")
@click.option("--select", "select", multiple=True, metavar="PART=CSS", help="Kinds page and watch: a part of the page.")
@click.option("--ignore", multiple=True, metavar="REGEX", help="Kind watch: text to ignore; may be repeated.")
@click.option("--from", "senders", multiple=True, metavar="GLOB", help="Kind mail: only these senders.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")
@config_option
@json_option
def add(
    as_json: bool,
    url: str,
    feed_id: str,
    tags: tuple[str, ...],
    kind: str | None,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    senders: tuple[str, ...],
    yes: bool,
) -> None:
    """Find the source at URL, preview its entries, and add it to the configuration (comments are kept).

    URL is an address of a feed or a site, a short name (telegram:channel), imaps://user:password@host/Folder or
    maildir:/path.
    """
    given = {"kind": kind, "select": dict(map(_part, select)), "ignore": list(ignore), "from": list(senders)}
    keys = {key: value for key, value in given.items() if value}

    async def work(backend: "AppBackend") -> None:
        found = await backend.find_sources(url, keys, local=True)
        if not found.candidates:
            raise NotFound("feed", _address(url), why=found.nothing)
        best = found.candidates[0]
        _show_candidate(found.candidates, backend.clock.now(), err=as_json)
        if best.existing_id:
            raise AggregatorError(f"already watched as {best.existing_id}")
        shape: dict[str, object] = {
            "added": False,
            "id": None,
            "url": best.url,
            "title": best.title,
            "tags": list(tags),
            "undo": None,
        }
        shape |= {"kind": best.kind, "select": best.select}
        if not yes and not click.confirm("Add this feed?", default=True, err=as_json):
            if as_json:
                emit(schemas.as_json(actions.FeedAdded, shape))
            raise SystemExit(3)
        added = await backend.add_feed(
            _with_login(best.url, url),
            title=best.title,
            tags=tags,
            feed_id=feed_id,
            keys={**keys, **best.keys},
            local=True,
        )
        if as_json:
            shape |= {"added": True, "id": added.id, "undo": undo_name(added.edit) or None}
            emit(schemas.as_json(actions.FeedAdded, shape))
        else:
            echo(f"added {added.id}")
            if added.edit is not None:
                say_undo(undo_name(added.edit))

    with_backend(work)


def _part(written: str) -> tuple[str, str]:
    part, equals, selector = written.partition("=")
    if not equals or not selector.strip():
        raise click.BadParameter(f"{written!r} is not PART=CSS, such as entry=article", param_hint="--select")
    return part.strip(), selector.strip()


def _address(url: str) -> str:
    """Return an address as it may be shown: without a password."""
    from aggregator.app.discovery import address_and_login

    return address_and_login(url).url


def _with_login(found: str, pasted: str) -> str:
    """Return the address of what was found, with the login of the pasted one where both are one place."""
    if found.startswith("imaps:"):
        return pasted.strip()
    return with_login(found, login_in(pasted_urls(pasted)[0])) if found.startswith("http") else found


def _show_candidate(found: "Sequence[FeedCandidate]", now: "datetime", *, err: bool) -> None:
    """Print the source that would be added: its title, last entries and rhythm."""
    best = found[0]
    secho(best.title or best.url, bold=True, err=err)
    echo(f"  {best.url}", err=err)
    _show_entries(best, err=err)
    rhythm = f", a new one about every {span(best.rhythm_s)}" if best.rhythm_s else ""
    if best.kind == "watch":
        echo(f"  {plural(best.entries, 'line')} of text; every change will be an entry", err=err)
    else:
        echo(f"  {plural(best.entries, 'entry', 'entries')}, the newest {ago(best.newest_at, now)}{rhythm}", err=err)
    for other in found[1:]:
        echo(f"  also found: {other.url}{f' ({other.kind})' if other.kind != 'feed' else ''}", err=err)


def _show_entries(candidate: "FeedCandidate", *, err: bool) -> None:
    """Print how a source would be read, unless it is a feed, and its latest entries."""
    if candidate.kind != "feed":
        parts = ", ".join(f'{part}: "{selector}"' for part, selector in candidate.select.items())
        echo(f"  kind: {candidate.kind}{f', select: {{{parts}}}' if parts else ''}", err=err)
    for title in candidate.titles:
        echo(f"  · {title}", err=err)


@feeds.command()
@argument("feed_id", "feed", metavar="ID")
@config_option
@json_option
def remove(as_json: bool, feed_id: str) -> None:
    """Remove a feed; keep its entries."""
    loaded = load()
    if ("feed", feed_id) not in loaded.places:
        raise NotFound("feed", feed_id, [feed.id for feed in loaded.config.feeds])
    file = loaded.places["feed", feed_id].file

    async def work(backend: "AppBackend") -> None:
        undo = undo_name(await backend.change_feeds({feed_id: None}, about=feed_id))
        if as_json:
            emit(schemas.as_json(actions.FeedRemoved, {"id": feed_id, "file": file, "undo": undo or None}))
        else:
            echo(f"removed {feed_id} from {file}")
            if undo:
                say_undo(undo)

    with_backend(work, loaded)


@feeds.command()
@argument("feed_id", "feed", metavar="ID")
@click.option("--title", help="Title to show; '' for the feed's own.")
@click.option("--tag", "tags", multiple=True, help="New tags; may be repeated, '' for none.")
@click.option("--every", metavar="DURATION", help="Polling interval: 15m, 2h; '' for the default.")
@config_option
@json_option
def change(as_json: bool, feed_id: str, title: str | None, tags: tuple[str, ...], every: str | None) -> None:
    """Write title, tags or interval of a feed into its file; every other line stays."""
    given = {"title": title, "tags": [tag for tag in tags if tag] if tags else None, "every": every}
    values = {key: value or None for key, value in given.items() if value is not None}
    if not values:
        raise click.UsageError("nothing to change: give --title, --tag or --every")

    async def work(backend: "AppBackend") -> None:
        edit = await backend.change_feeds({feed_id: values}, about=feed_id)
        if as_json:
            emit(schemas.as_json(actions.FeedChanged, {"feed": feed_id, "edit": edit}))
        else:
            echo(f"changed {feed_id}: {', '.join(values)}")
            if edit is not None:
                say_undo(undo_name(edit))

    with_backend(work)


@feeds.command()
@argument("ids", "feed", metavar="ID…", nargs=-1, required=True)
@config_option
@json_option
def pause(as_json: bool, ids: tuple[str, ...]) -> None:
    """Pause feeds: they are not polled until they are resumed; their entries stay."""
    _switch(ids, as_json, paused=True)


@feeds.command()
@argument("ids", "feed", metavar="ID…", nargs=-1, required=True)
@config_option
@json_option
def resume(as_json: bool, ids: tuple[str, ...]) -> None:
    """Poll paused feeds again; those that the publisher removed are tried once more."""
    _switch(ids, as_json, paused=False)


def _switch(ids: tuple[str, ...], as_json: bool, *, paused: bool) -> None:
    """Pause or resume feeds, all or none."""

    async def work(app: "Application") -> None:
        known = [feed.id for feed in app.current.feeds.values()]
        for feed_id in ids:
            if feed_id not in known:
                raise NotFound("feed", feed_id, known)
        change = new_undo(f"feeds {'paused' if paused else 'resumed'}", app.clock.now())
        for feed_id in ids:
            await app.store.catalog.pause(feed_id, paused, change.made_at, undo=change)
        if as_json:
            emit(schemas.as_json(actions.FeedsPaused, {"feeds": ids, "paused": paused, "undo": change.id}))
        else:
            echo(f"{'paused' if paused else 'resumed'}: {', '.join(ids)}")
            say_undo(change)

    with_app(work)


@feeds.command()
@click.argument("url")
@config_option
@json_option
def discover(as_json: bool, url: str) -> None:
    """List the sources that a site offers, with a preview of their entries: feeds, else sitemaps, else a list page."""

    async def work(backend: "AppBackend") -> None:
        found = await backend.find_sources(url, local=True)
        if as_json:
            emit([candidate_json(candidate) for candidate in found.candidates])
        else:
            table(
                ("url", "kind", "title", "entries>", "every"),
                ((c.url, c.kind, c.title, c.entries, span(c.rhythm_s) if c.rhythm_s else "") for c in found.candidates),
                empty=f"No feed found at {_address(url)}. {found.nothing}".rstrip(),
            )
            for candidate in found.candidates[:1]:
                _show_entries(candidate, err=False)
        if not found.candidates:
            raise SystemExit(3)

    with_backend(work)


@feeds.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--check", "online", is_flag=True, help="Fetch each feed first; skip those that fail.")
@config_option
@json_option
def import_(as_json: bool, file: Path, online: bool) -> None:
    """Add the feeds of an OPML file; folders become tags, duplicates are skipped. Exit 1 if any failed."""

    document = file.read_bytes()

    async def work(backend: "AppBackend") -> None:
        with progress("fetching feeds" if online else "importing") as step:
            report = await backend.import_opml(document, online=online, step=step)
        for url in report.known:
            echo(f"skipped {url}: already watched", err=True)
        for url in report.repeated:
            echo(f"skipped {url}: listed twice", err=True)
        for problem in report.problems:
            echo(f"skipped {problem}", err=True)
        known = len(report.known) + len(report.repeated)
        if as_json:
            emit(imported_json(report))
        else:
            echo(f"{len(report.added)} added, {known} already known, {len(report.problems)} failed")
            if report.edit is not None:
                say_undo(undo_name(report.edit))
        if report.problems:
            raise SystemExit(1)
        if not report.added:
            raise SystemExit(3)

    with_backend(work)


@feeds.command()
@config_option
def export() -> None:
    """Print the feeds as OPML; tags become folders, secrets in URLs become `***`."""
    from aggregator.app.masking import masked_feeds
    from aggregator.config import to_opml
    from aggregator.core.redaction import Redactor

    loaded = load()
    if others := sum(feed.kind != "feed" for feed in loaded.config.feeds):
        echo(f"left out: {plural(others, 'source')} that no other reader could read", err=True)
    raw(to_opml(masked_feeds(loaded.config.feeds, Redactor(loaded.secrets))))
