"""What commands share: finding the configuration, opening the house, running a coroutine."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeVar

import click

from aggregator.cli.errors import show
from aggregator.cli.output import echo, plural, secho

if TYPE_CHECKING:
    from aggregator.app.application import House
    from aggregator.app.backend import AppDesk
    from aggregator.config import Loaded

T = TypeVar("T")


def config_path() -> Path:
    """`--config`, else `$AGGREGATOR_CONFIG`, else `./config`."""
    from aggregator.app import default_config_path

    given = click.get_current_context().find_root().ensure_object(dict).get("config")
    return given or default_config_path()


def load(*, warn: bool = True) -> "Loaded":
    """The configuration, checked; its warnings go to stderr where they matter. Raises ConfigErrors."""
    from aggregator.app import load_config

    loaded = load_config(config_path())
    if warn:
        show(loaded.warnings)
    return loaded


def load_sound() -> "Loaded":
    """The configuration for those who only read what is stored: faults are told, and do not stop them.

    Raises ConfigErrors where the faults may hide which database is meant.
    """
    from aggregator.app import load_config

    loaded = load_config(config_path(), sound=True)
    if loaded.faults:
        show(loaded.faults)
        count = plural(sum(fault.severity == "error" for fault in loaded.faults), "error")
        secho(f"the configuration has {count}; what is stored is shown all the same", fg="yellow", err=True)
    return loaded


def in_house(
    work: Callable[["House"], Awaitable[T]],
    loaded: "Loaded | None" = None,
    *,
    reading: bool = False,
    console: TextIO | None = None,
) -> T:
    """Open the house (database, transport, workers), do `work`, close it. Ctrl-C is clean.

    `reading`: a faulty configuration does not stop it. `console` is where console channels print:
    not on stdout, where a JSON document goes.
    """
    from aggregator.app import open_house, quiet_logs, run

    loaded = loaded or (load_sound() if reading else load(warn=False))
    quiet_logs(loaded)

    async def visit() -> T:
        async with open_house(loaded, console=console) as house:
            return await work(house)

    try:
        return run(visit())
    except (KeyboardInterrupt, asyncio.CancelledError):
        echo("interrupted", err=True)
        raise SystemExit(130) from None


def at_desk(work: Callable[["AppDesk"], Awaitable[T]], *, reading: bool = False) -> T:
    """Like `in_house`, for what the pages can do too."""

    async def sit(house: "House") -> T:
        from aggregator.app.backend import AppDesk

        return await work(AppDesk(house, config_path()))

    return in_house(sit, reading=reading)
