"""`aggregator run`: the service."""

import click

from aggregator.cli.program import config_option
from aggregator.cli.session import config_path

ROLES = ("poll", "deliver", "web")


def _roles(_: click.Context, __: click.Parameter, value: str) -> frozenset[str]:
    roles = frozenset(filter(None, (role.strip() for role in value.split(","))))
    unknown = sorted(roles - set(ROLES))
    if unknown or not roles:
        raise click.BadParameter(f"unknown role {', '.join(unknown) or value!r}; choose from {', '.join(ROLES)}")
    return roles


@click.command(
    epilog="""\b
Examples:
  aggregator run                       everything in one process
  aggregator run --roles poll,deliver  one of several, on PostgreSQL"""
)
@click.option("--roles", default=",".join(ROLES), show_default=True, callback=_roles, help="What this process does.")
@config_option
def run(roles: frozenset[str]) -> None:
    """Run the service until SIGTERM or Ctrl-C: poll, match, alert, serve the page.

    An edited configuration is taken over within seconds; a faulty edit leaves the old one running.
    SIGHUP reloads at once.
    """
    from aggregator.app import serve

    raise SystemExit(serve(config_path(), roles))


@click.command()
@config_option
def worker() -> None:
    """Run a further process that polls and delivers (needs PostgreSQL to be of use)."""
    from aggregator.app import serve

    raise SystemExit(serve(config_path(), frozenset({"poll", "deliver"})))
