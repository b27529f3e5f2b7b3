"""`aggregator run`: the service."""

import os
import sys
from typing import TYPE_CHECKING

import click

from aggregator.cli.context import config_path
from aggregator.cli.param_types import ADDRESS, DATABASE_URL
from aggregator.cli.program import config_option

if TYPE_CHECKING:
    from aggregator.cli.live import LiveLine

ROLES = ("plan", "poll", "deliver", "route", "web")
WORKER = frozenset({"poll", "deliver", "route"})


def _roles(_: click.Context, __: click.Parameter, value: str) -> frozenset[str]:
    roles = frozenset(filter(None, (role.strip() for role in value.split(","))))
    unknown = sorted(roles - set(ROLES))
    if unknown or not roles:
        raise click.BadParameter(f"unknown role {', '.join(unknown) or value!r}; choose from {', '.join(ROLES)}")
    return roles


def live_line() -> "LiveLine | None":
    """Return the line at the foot of a terminal; none where stderr goes to a file or a pipe."""
    if not sys.stderr.isatty():
        return None
    from aggregator.cli.live import LiveLine

    return LiveLine(sys.stderr, sys.stdout)


metrics_option = click.option(
    "--metrics",
    type=ADDRESS,
    metavar="ADDRESS",
    help="Also serve /metrics, /healthz and /readyz on this address, e.g. 127.0.0.1:9464 [default: "
    "settings.metrics.listen if this process serves no web UI].",
)


@click.command(
    epilog="""\b
Examples:
  aggregator run                       everything in one process
  aggregator run --roles plan,web      one of several processes (PostgreSQL)"""
)
@click.option("--roles", default=",".join(ROLES), show_default=True, callback=_roles, help="Comma-separated roles.")
@metrics_option
@config_option
def run(roles: frozenset[str], metrics: str | None) -> None:
    """Run the service until SIGTERM or Ctrl-C: poll, match, alert, serve the web UI.

    Changes to the configuration take effect within seconds; if they are invalid, the running
    configuration stays active. SIGHUP reloads at once.
    """
    from aggregator.app import serve

    raise SystemExit(serve(config_path(), roles, metrics=metrics, watch=live_line()))


@click.command(
    epilog="""\b
Examples:
  AGGREGATOR_DATABASE=postgresql://aggregator@db/aggregator aggregator worker
  aggregator worker --metrics 127.0.0.1:9465    with metrics for Prometheus"""
)
@click.option(
    "--database",
    type=DATABASE_URL,
    metavar="URL",
    help="Address of the PostgreSQL database [default: $AGGREGATOR_DATABASE, else settings.database of the files].",
)
@metrics_option
@config_option
def worker(database: str | None, metrics: str | None) -> None:
    """Run an additional process that polls and delivers (useful only with PostgreSQL).

    It needs no files: it follows the configuration in the database. Secrets that it refers to (${NAME}) must be in
    its environment; what lacks one is left to other processes.
    """
    from aggregator.app import serve
    from aggregator.config import DATABASE

    if database:
        os.environ[DATABASE] = database
    raise SystemExit(serve(config_path(), WORKER, metrics=metrics, files=False))
