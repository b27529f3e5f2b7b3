"""`aggregator service` and `aggregator completion`: files that other programs read, printed for this installation."""

import shutil
import sys
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import click

from aggregator.cli.output import OneOf, raw
from aggregator.cli.program import CommandGroup, unread_config_option
from aggregator.core.errors import AggregatorError

UNIT_PROGRAM = "/opt/aggregator/bin/aggregator"  # what the packaged unit starts


@click.group(
    cls=CommandGroup,
    epilog="""\b
Examples:
  aggregator service print-unit > /etc/systemd/system/aggregator.service
  aggregator service print-compose > compose.yaml
  aggregator service print-unit --worker > aggregator-worker@.service
  aggregator service print-compose --postgres > compose.yaml
  aggregator service print-compose --scale > compose.yaml
  aggregator service print-alert-rules > alerts.yaml
  aggregator service print-scrape-config > prometheus.yaml
  aggregator service print-dashboard > grafana.json""",
)
def service() -> None:
    """Print files for systemd, containers, Prometheus and Grafana."""


@service.command("print-unit")
@click.option("--worker", is_flag=True, help="A template for workers: aggregator-worker@1, aggregator-worker@2, …")
@unread_config_option
def print_unit(worker: bool) -> None:
    """Print a hardened systemd unit that starts this installation."""
    unit = "aggregator-worker@.service" if worker else "aggregator.service"
    raw(_deploy_file(unit).replace(UNIT_PROGRAM, _program()))


@service.command("print-compose")
@click.option("--postgres", is_flag=True, help="Use PostgreSQL instead of SQLite.")
@click.option("--scale", is_flag=True, help="A planner and workers without files, on PostgreSQL.")
@unread_config_option
def print_compose(postgres: bool, scale: bool) -> None:
    """Print a compose file."""
    raw(_deploy_file("compose.scale.yaml" if scale else "compose.postgres.yaml" if postgres else "compose.yaml"))


@service.command("print-alert-rules")
@unread_config_option
def print_alert_rules() -> None:
    """Print alerting rules for Prometheus."""
    raw(_deploy_file("alerts.yaml"))


@service.command("print-scrape-config")
@unread_config_option
def print_scrape_config() -> None:
    """Print what Prometheus scrapes beside `print-compose --scale`."""
    raw(_deploy_file("prometheus.yaml"))


@service.command("print-dashboard")
@unread_config_option
def print_dashboard() -> None:
    """Print a Grafana dashboard."""
    raw(_deploy_file("grafana.json"))


@click.command(
    epilog="""\b
Examples:
  eval "$(aggregator completion bash)"          in ~/.bashrc
  aggregator completion zsh > ~/.zfunc/_aggregator
  aggregator completion fish > ~/.config/fish/completions/aggregator.fish"""
)
@click.argument("shell", type=OneOf(["bash", "zsh", "fish"]))
@unread_config_option
def completion(shell: str) -> None:
    """Print a script that completes commands and options in SHELL."""
    from click.shell_completion import get_completion_class

    from aggregator.cli.program import program

    found = get_completion_class(shell)
    assert found is not None
    raw(found(program, {}, "aggregator", "_AGGREGATOR_COMPLETE").source() + "\n")


def _deploy_file(name: str) -> str:
    """Read a file of deploy/: inside the package where it is installed, beside it in a checkout."""
    installed: Traversable = files("aggregator").joinpath("deploy", name)
    checkout = Path(__file__).parents[2] / "deploy" / name
    for place in (installed, checkout):
        if place.is_file():
            return place.read_text("utf-8")
    raise AggregatorError(f"this installation lacks deploy/{name}; reinstall it from the wheel")


def _program() -> str:
    """Return the absolute path of the running program."""
    called = shutil.which(sys.argv[0]) or shutil.which("aggregator")
    return str(Path(called).absolute()) if called else UNIT_PROGRAM
