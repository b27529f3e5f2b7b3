"""`aggregator views` and `aggregator undo`: filters under a name, and the way back."""

from typing import TYPE_CHECKING

import click

from aggregator.cli.completion import argument
from aggregator.cli.context import require_known, with_app, with_backend
from aggregator.cli.output import echo, emit, json_option, limit_option, plural, style, table
from aggregator.cli.program import CommandGroup, config_option
from aggregator.core import schemas
from aggregator.core.model import Undo, View
from aggregator.core.schemas import actions, undone_json, view_json
from aggregator.pipeline.triage import new_undo

if TYPE_CHECKING:
    from aggregator.app.application import Application
    from aggregator.app.backend import AppBackend


def say_undo(undo: Undo | str) -> None:
    """Print how to take back what was just done."""
    echo(style(f"undo: aggregator undo {undo if isinstance(undo, str) else undo.id}", dim=True), err=True)


@click.command(
    epilog="""\b
Examples:
  aggregator hits mark 5f1c09d2 irrelevant     prints the id of its undo
  aggregator undo Jx0aV3yq2m1k9_aB
  aggregator undo edit-12                      an edit of feeds or rules"""
)
@click.argument("undo_id", metavar="ID")
@config_option
@json_option
def undo(as_json: bool, undo_id: str) -> None:
    """Undo a change made by a command, a page or the API; ID is what it printed (`undo: …`).

    Marks, labels, notes, views, silences, pauses, acknowledgements, cancellations, edits of feeds and rules, joined
    and split stories; digests until they are sent.
    """

    async def work(backend: "AppBackend") -> None:
        done = await backend.undo(undo_id)
        if as_json:
            emit(undone_json(done))
        else:
            echo(f"undone: {done.kind}, {plural(done.count, 'row')}")

    with_backend(work)


@click.group(
    cls=CommandGroup,
    epilog="""\b
Examples:
  aggregator views list
  aggregator views save "Turkey, this week" "rule=s400-turkey&since=7d"
  aggregator views remove turkey-this-week
  aggregator hits list --view turkey-this-week""",
)
def views() -> None:
    """List, save and remove views: filters of hits under a name, each with its Atom and CSV address."""


@views.command("list")
@config_option
@limit_option
@json_option
def list_(as_json: bool, limit: int) -> None:
    """List the saved views, by name."""

    async def work(app: "Application") -> None:
        found = [view_json(view) for view in (await app.store.catalog.views())[: limit or None]]
        if as_json:
            emit(found)
            return
        rows = ((one["id"], one["name"], one["query"]) for one in found)
        table(("id!", "name", "filters"), rows, empty="No saved views; `aggregator views save NAME FILTERS` saves one.")

    with_app(work, reading=True)


@views.command()
@click.argument("name")
@click.argument("filters")
@config_option
@json_option
def save(as_json: bool, name: str, filters: str) -> None:
    """Save FILTERS, written as in the address of the Hits or Search page, under NAME; one of that name is replaced."""

    async def work(app: "Application") -> None:
        from aggregator.core.rules import rule_for_query
        from aggregator.web.params import WrongView, view_of

        change = new_undo("view saved", app.clock.now())
        try:
            view: View = view_of(name, filters, app.local_now(), change.made_at, strict=True)
        except WrongView as error:
            raise click.UsageError(str(error)) from None
        kept = dict(view.query)
        await require_known(app, rule=kept.get("rule"), feed=kept.get("feed"))
        if question := kept.get("q"):
            rule_for_query(question, app.loaded.config.lists)
        await app.store.catalog.save_view(view, undo=change)
        if as_json:
            emit(view_json(view) | {"undo": change.id})
        else:
            where = f"; see {view_json(view)['atom']}" if question else f": `aggregator hits list --view {view.id}`"
            echo(f"view {view.id} saved{where}")
            say_undo(change)

    with_app(work)


@views.command()
@argument("view_id", "view", metavar="ID")
@config_option
@json_option
def remove(as_json: bool, view_id: str) -> None:
    """Remove a saved view; its Atom and CSV addresses stop working."""

    async def work(app: "Application") -> None:
        change = new_undo("view removed", app.clock.now())
        await app.store.catalog.remove_view(view_id, undo=change)
        if as_json:
            emit(schemas.as_json(actions.ViewRemoved, {"id": view_id, "undo": change.id}))
        else:
            echo(f"view {view_id} removed")
            say_undo(change)

    with_app(work)
