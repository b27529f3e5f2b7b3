"""`aggregator deliveries`: the outbox."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from aggregator.cli.completion import argument
from aggregator.cli.context import with_app
from aggregator.cli.output import OneOf, echo, emit, json_option, limit_option, print_fields, secho, short, style, table
from aggregator.cli.program import CommandGroup, config_option, where_to_look
from aggregator.cli.triage import say_undo
from aggregator.core import schemas
from aggregator.core.errors import NotFound, brief
from aggregator.core.humanize import ago
from aggregator.core.model import WAITING, DeliveryState, Json
from aggregator.core.schemas import actions, delivery_detail_json, delivery_json
from aggregator.core.titles import delivery_reason, with_titles
from aggregator.pipeline.triage import new_undo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aggregator.app.application import Application
    from aggregator.core.model import Delivery


@click.group(
    cls=CommandGroup,
    epilog="""\b
Examples:
  aggregator deliveries list --state dead
  aggregator deliveries show 5f1c09d2
  aggregator deliveries retry 5f1c09d2
  aggregator deliveries ack 5f1c09d2        stop alerting about this story
  aggregator deliveries cancel 5f1c09d2     do not send it""",
)
def deliveries() -> None:
    """Inspect deliveries: sent, waiting (and why), given up."""


@deliveries.command("list")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=OneOf([s.value for s in DeliveryState]),
    help="Only this state; may be repeated.",
)
@config_option
@limit_option
@json_option
def list_(as_json: bool, limit: int, states: tuple[str, ...]) -> None:
    """List deliveries, newest first."""

    async def work(app: "Application") -> None:
        rows = await app.store.catalog.deliveries(states=[DeliveryState(s) for s in states], limit=limit)
        if as_json:
            emit([delivery_json(row) for row in rows])
            return
        now = app.clock.now()
        table(
            ("id!", "channel!", "state!", "when!", "attempts>", "why", "title"),
            (
                (
                    short(d.id),
                    d.channel,
                    d.state.value,
                    _when(d, now),
                    d.attempts,
                    _why(d),
                    d.title,
                )
                for d in rows
            ),
            empty=f"No deliveries are {' or '.join(states)}." if states else "No deliveries yet.",
        )

    with_app(work, reading=True)


def _when(delivery: "Delivery", now: datetime) -> str:
    """Return when it was sent; if it waits, when it is due; if it was given up, when it was made."""
    if delivery.sent_at:
        return ago(delivery.sent_at, now)
    return ago(delivery.due_at, now) if delivery.state in WAITING else ago(delivery.created_at, now)


def _why(delivery: "Delivery") -> str:
    """Return in a few words why a delivery waits or failed; `show` has all of them."""
    error = (delivery.last_error or "").removeprefix(f"channel {delivery.channel}: ")
    return brief(error) or delivery_reason(delivery.reason) or ("acknowledged" if delivery.acknowledged_at else "")


@deliveries.command()
@argument("delivery_id", "delivery", metavar="ID")
@config_option
@json_option
def show(as_json: bool, delivery_id: str) -> None:
    """Show one delivery with every attempt."""

    async def work(app: "Application") -> None:
        full_id = await app.store.catalog.resolve_id("delivery", delivery_id)
        delivery, attempts, detail = await app.store.catalog.delivery(full_id)
        if as_json:
            emit(delivery_detail_json(delivery, attempts, with_titles(detail, app.current.config)))
            return
        now = app.clock.now()
        secho(delivery.title, bold=True)
        reason = f" ({delivery_reason(delivery.reason)})" if delivery.reason else ""
        print_fields(
            {
                "id": delivery.id,
                "channel": delivery.channel + (f", {delivery.recipient}" if delivery.recipient else ""),
                "state": f"{delivery.state.value}{reason}",
                "due": "" if delivery.sent_at else ago(delivery.due_at, now),
                "sent": ago(delivery.sent_at, now) if delivery.sent_at else "",
                "acknowledged": ago(delivery.acknowledged_at, now) if delivery.acknowledged_at else "",
            }
        )
        if detail:
            echo()
        for t in detail:
            echo("  ", style(t.hit.rule, bold=True), f": {t.entry.title}  {t.entry.link or ''}".rstrip())
        echo()
        table(
            ("attempt>", "when", "outcome", "detail"),
            ((a.number, ago(a.started_at, now), a.outcome or "in progress", a.detail) for a in attempts),
            empty="Not attempted yet.",
        )

    with_app(work, reading=True)


@deliveries.command()
@argument("ids", "delivery", metavar="ID…", nargs=-1, required=True)
@config_option
@json_option
def retry(as_json: bool, ids: tuple[str, ...]) -> None:
    """Queue dead, held or waiting deliveries to be sent now."""

    async def work(app: "Application") -> None:
        found, unknown = await _whole(app, ids)
        count = await app.store.catalog.retry(found, app.clock.now())
        others = "; the others were sent or are being sent" if count < len(found) else ""
        if as_json:
            emit(_changed(ids, count, unknown))
        else:
            echo(f"{count} of {len(ids)} queued{others}")
        if not count:
            raise SystemExit(3)

    with_app(work)


@deliveries.command()
@argument("ids", "delivery", metavar="ID…", nargs=-1, required=True)
@config_option
@json_option
def ack(as_json: bool, ids: tuple[str, ...]) -> None:
    """Acknowledge alerts that were sent or given up; their stories will not alert again as more sources carry them."""

    async def work(app: "Application") -> None:
        found, unknown = await _whole(app, ids)
        change = new_undo("acknowledged", app.clock.now())
        count = await app.store.catalog.acknowledge(found, change.made_at, undo=change)
        if as_json:
            emit(_changed(ids, count, unknown, undo=change.id if count else None))
        else:
            echo(f"{count} of {len(ids)} acknowledged")
            if count:
                say_undo(change)
        if not count:
            raise SystemExit(3)

    with_app(work)


@deliveries.command()
@argument("ids", "delivery", metavar="ID…", nargs=-1, required=True)
@config_option
@json_option
def cancel(as_json: bool, ids: tuple[str, ...]) -> None:
    """Cancel alerts that wait or were given up; they are not sent. The next report of their stories alerts again.

    To hear nothing more of a story, silence it.
    """

    async def work(app: "Application") -> None:
        found, unknown = await _whole(app, ids)
        change = new_undo("cancelled", app.clock.now())
        count = await app.store.catalog.cancel(found, undo=change)
        if as_json:
            emit(_changed(ids, count, unknown, undo=change.id if count else None))
        else:
            others = "; the others were sent or are being sent" if count < len(found) else ""
            echo(f"{count} of {len(ids)} cancelled{others}")
            if count:
                say_undo(change)
        if not count:
            raise SystemExit(3)

    with_app(work)


def _changed(ids: "Sequence[str]", count: int, unknown: "Sequence[str]", *, undo: str | None = None) -> Json:
    fields = {"given": len(ids), "changed": count, "unknown": list(unknown), "undo": undo}
    return schemas.as_json(actions.DeliveriesChanged, fields)


async def _whole(app: "Application", ids: "Sequence[str]") -> tuple[list[str], list[str]]:
    """Make ids whole that are written as an alert shows them; those that name nothing are said, and returned apart."""
    found, unknown = [], []
    for beginning in ids:
        try:
            found.append(await app.store.catalog.resolve_id("delivery", beginning))
        except NotFound as error:
            echo(f"skipped: {error}{where_to_look(error)}", err=True)
            unknown.append(beginning)
    return found, unknown
