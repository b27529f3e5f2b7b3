"""`aggregator channels`: where alerts go."""

import sys
from typing import TYPE_CHECKING

import click

from aggregator.cli.context import load_sound, with_backend
from aggregator.cli.output import echo, emit, json_option, limit_option, style, table
from aggregator.cli.program import CommandGroup, config_option
from aggregator.core.model import Json
from aggregator.core.titles import channel_service

if TYPE_CHECKING:
    from aggregator.app.backend import AppBackend


@click.group(
    cls=CommandGroup,
    epilog="""\b
Examples:
  aggregator channels list
  aggregator channels test desk-email""",
)
def channels() -> None:
    """List channels; send a test alert."""


@channels.command("list")
@config_option
@limit_option
@json_option
def list_(as_json: bool, limit: int) -> None:
    """List channels and the rules that use them (secrets are never shown)."""
    config = load_sound().config
    default = config.settings.default_channels
    rows: list[Json] = [
        {
            "name": name,
            "service": channel_service(channel),
            "rules": [rule.id for rule in config.rules if name in (default if rule.notify is None else rule.notify)],
            "default": name in default,
            "quiet_hours": channel.quiet_hours,
            "time_zone": channel.time_zone,
            "max_per_hour": channel.max_per_hour,
            "fallback": channel.fallback,
        }
        for name, channel in list(config.channels.items())[: limit or None]
    ]
    if as_json:
        emit(rows)
        return
    table(
        ("name", "service", "rules>", "default", "quiet hours"),
        ((r["name"], r["service"], len(r["rules"]), "yes" if r["default"] else "", r["quiet_hours"]) for r in rows),
        empty="No channels.",
    )


@channels.command()
@click.argument("name")
@config_option
@json_option
def test(as_json: bool, name: str) -> None:
    """Send a test alert and print each service's actual response."""

    async def work(backend: "AppBackend") -> None:
        done = await backend.test_channel(name)
        results = [{"recipient": one.recipient, "ok": one.ok, "detail": one.detail} for one in done.answers]
        if as_json:
            emit({"channel": name, "results": results})
        else:
            for row in results:
                word = style("delivered" if row["ok"] else "failed", fg="green" if row["ok"] else "red")
                detail = f" ({row['detail']})" if row["detail"] else ""
                echo(" ".join(filter(None, (name, str(row["recipient"])))), ": ", word, detail)
        if not all(row["ok"] for row in results):
            raise SystemExit(1)

    with_backend(work, console=sys.stderr if as_json else None)
