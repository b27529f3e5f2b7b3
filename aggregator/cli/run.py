"""`aggregator run`: the service."""

import click

from aggregator.cli.context import config_path
from aggregator.cli.program import config_option

ROLES = ("poll", "deliver", "web")


def _roles(_: click.Context, __: click.Parameter, value: str) -> frozenset[str]:
    roles = frozenset(filter(None, (role.strip() for role in value.split(","))))
    unknown = sorted(roles - set(ROLES))
    if unknown or not roles:
        raise click.BadParameter(f"unknown role {', '.join(unknown) or value!r}; choose from {', '.join(ROLES)}")
    return roles


metrics_option = click.option(
    "--metrics",
    metavar="ADDRESS",
    help="Also serve /metrics, /healthz and /readyz on this address, e.g. 127.0.0.1:9464 [default: "
    "settings.metrics.listen if this process serves no web UI].",
)


@click.command(
    epilog="""\b
Examples:
  aggregator run                       everything in one process
  aggregator run --roles poll,deliver  one of several processes, with PostgreSQL"""
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

    raise SystemExit(serve(config_path(), roles, metrics=metrics))


@click.command(
    epilog="""\b
Examples:
  aggregator worker
  aggregator worker --metrics 127.0.0.1:9465    with metrics for Prometheus"""
)
@metrics_option
@config_option
def worker(metrics: str | None) -> None:
    """Run an additional process that polls and delivers (requires PostgreSQL)."""
    from aggregator.app import serve

    raise SystemExit(serve(config_path(), frozenset({"poll", "deliver"}), metrics=metrics))
