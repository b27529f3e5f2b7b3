"""`aggregator channels`: where alerts go."""

import sys
from typing import TYPE_CHECKING

import click

from aggregator.cli.completion import argument
from aggregator.cli.context import with_app, with_backend
from aggregator.cli.output import echo, emit, json_option, limit_option, style, table
from aggregator.cli.program import CommandGroup, config_option

if TYPE_CHECKING:
    from aggregator.app.application import Application
    from aggregator.app.backend import AppBackend


LAST_ATTEMPT = {"sent": "accepted", "dead": "failed", "retry": "failed, retrying", "never": "never tried"}


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

    async def work(app: "Application") -> None:
        from aggregator.core.schemas import channel_json

        config, catalog = app.loaded.config, app.store.catalog
        chosen = list(config.channels)[: limit or None]
        tests = await catalog.channel_tests()
        activity = await catalog.channel_activity(chosen, app.clock.now())
        rows = [channel_json(name, config, activity[name], tests.get(name)) for name in chosen]
        if as_json:
            emit(rows)
            return
        table(
            ("name", "service", "last attempt", "rules>", "default", "quiet hours"),
            (
                (
                    r["name"],
                    r["service"],
                    LAST_ATTEMPT[r["state"]],
                    len(r["rules"]),
                    "yes" if r["default"] else "",
                    r["quiet_hours"],
                )
                for r in rows
            ),
            empty="No channels. Write one in channels.yaml.",
        )

    with_app(work, reading=True)


@channels.command()
@argument("name", "channel")
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
