"""`aggregator channels`: where alerts go."""

import sys
from typing import TYPE_CHECKING

import click

from aggregator.cli.context import load_sound, with_app
from aggregator.cli.output import echo, emit, json_option, limit_option, style, table
from aggregator.cli.program import CommandGroup, config_option
from aggregator.core.errors import AggregatorError, NotFound
from aggregator.core.model import Json, Receipt
from aggregator.core.settings import Channel

if TYPE_CHECKING:
    from aggregator.app.application import Application


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
            "service": _service(channel),
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

    async def work(app: "Application") -> None:
        channel = app.active().config.channels.get(name)
        if channel is None:
            raise NotFound("channel", name, list(app.active().config.channels))
        runtime = await app.runtime()
        results = [
            {"recipient": recipient, "ok": isinstance(answer, Receipt), "detail": _words(answer)}
            for recipient, answer in await runtime.test_channel(channel)
        ]
        if as_json:
            emit({"channel": name, "results": results})
        else:
            for row in results:
                word = style("delivered" if row["ok"] else "failed", fg="green" if row["ok"] else "red")
                detail = f" ({row['detail']})" if row["detail"] else ""
                echo(" ".join(filter(None, (name, str(row["recipient"])))), ": ", word, detail)
        if not all(row["ok"] for row in results):
            raise SystemExit(1)

    with_app(work, console=sys.stderr if as_json else None)


def _words(answer: Receipt | AggregatorError) -> str:
    return answer.detail if isinstance(answer, Receipt) else str(answer).partition(": ")[2] or str(answer)


def _service(channel: Channel) -> str:
    """Return what kind of service a channel is; an Apprise URL shows its scheme and nothing else."""
    schemes = (url.get_secret_value().partition("://")[0] for url in channel.url)
    return channel.service or ", ".join(dict.fromkeys(schemes))
