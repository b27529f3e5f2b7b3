"""`aggregator status`: health at a glance."""

from typing import TYPE_CHECKING

import click

from aggregator.cli.output import ago, emit, json_option, span
from aggregator.cli.program import config_option
from aggregator.cli.session import at_desk
from aggregator.core.shapes import status_json

if TYPE_CHECKING:
    from aggregator.app.desk import AppDesk


@click.command(
    epilog="""\b
Examples:
  aggregator status
  aggregator status --json | jq .lag_s"""
)
@config_option
@json_option
def status(as_json: bool) -> None:
    """Show feeds by state, lag, the outbox, the last alert, disk and version."""

    async def work(desk: "AppDesk") -> None:
        found = await desk.status()
        if as_json:
            emit(status_json(found))
            return
        rows = {
            "version": found.version,
            "feeds": ", ".join(f"{count} {state}" for state, count in found.feeds) or "none",
            "lag": span(found.lag_s) if found.lag_s else "none: nothing is overdue",
            "outbox": ", ".join(f"{count} {state}" for state, count in found.outbox) or "empty",
            "last alert": ago(found.last_alert_at, found.now_at),
            "stored": f"{found.stats.entries:,} entries, {found.stats.hits:,} hits, {found.stats.bytes / 1e6:.1f} MB"
            if found.stats
            else "",
            "disk free": f"{found.disk_free_bytes / 1e9:.1f} GB" if found.disk_free_bytes is not None else "",
        }
        for name, value in rows.items():
            if value:
                click.echo(f"{click.style(f'{name:>11}', bold=True)}  {value}")
        for warning in found.warnings:
            click.secho(warning, fg="yellow", err=True)

    at_desk(work)
