"""The common part of commands: finding the configuration, opening the application, running a coroutine."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeVar

import click

from aggregator.cli.errors import print_problems
from aggregator.cli.output import echo, plural, secho

if TYPE_CHECKING:
    from aggregator.app.application import Application
    from aggregator.app.backend import AppBackend
    from aggregator.app.known import KnownConfig
    from aggregator.config import Loaded

T = TypeVar("T")


def config_path() -> Path:
    """`--config`, else `$AGGREGATOR_CONFIG`, else `./config`."""
    from aggregator.app import default_config_path

    given = click.get_current_context().find_root().ensure_object(dict).get("config")
    return given or default_config_path()


def load(*, warn: bool = True) -> "Loaded":
    """Return the checked configuration; its warnings go to stderr where they matter. Raises ConfigErrors."""
    from aggregator.app import load_config

    loaded = load_config(config_path())
    if warn:
        print_problems(loaded.warnings)
    return loaded


def load_sound(*, feeds: bool = True) -> "Loaded":
    """Return the configuration for commands that only read: errors are printed and do not stop them.

    `feeds`: those of a cluster too, where this machine has no files. Raises ConfigErrors where the faults may hide
    which database is meant.
    """
    from aggregator.app import load_config

    loaded = load_config(config_path(), sound=True, feeds=feeds)
    if loaded.faults:
        print_problems(loaded.faults)
        count = plural(sum(fault.severity == "error" for fault in loaded.faults), "error")
        secho(f"the configuration has {count}; showing stored data anyway", fg="yellow", err=True)
    return loaded


async def require_known(app: "Application", *, rule: str | None = None, feed: str | None = None) -> None:
    """Raise NotFound for a rule or feed that is neither configured nor that of something stored."""
    from aggregator.core.errors import NotFound
    from aggregator.core.model import HitFilter

    active, catalog = app.active(), app.store.catalog
    if rule and rule not in active.rules and not await catalog.hits(HitFilter(rule=rule), limit=1):
        raise NotFound("rule", rule, list(active.rules))
    if feed and feed not in active.feeds and not await catalog.entries(feed=feed, limit=1):
        raise NotFound("feed", feed, list(active.feeds))


def with_app(
    work: Callable[["Application"], Awaitable[T]],
    loaded: "Loaded | KnownConfig | None" = None,
    *,
    reading: bool = False,
    pushing: bool = False,
    console: TextIO | None = None,
) -> T:
    """Open the application (database, transport, workers), do `work`, close it. Ctrl-C is clean.

    `reading`: a faulty configuration does not stop it, and none changes the feeds in the database.
    `pushing`: where the database holds the configuration, put the files in force if that is safe, as `run` does.
    `console` is where console channels print:
    not on stdout, where a JSON document goes.
    """
    import asyncio

    from aggregator.app import open_application, quiet_logs, run
    from aggregator.app.application import Follow
    from aggregator.app.known import KnownConfig
    from aggregator.core.redaction import Redactor

    redact, active = Redactor(), None
    if isinstance(loaded, KnownConfig):
        active, loaded = loaded.active(redact), loaded.loaded()
    loaded = loaded or (load_sound() if reading else load(warn=False))
    redact.set_secrets(loaded.secrets)
    quiet_logs(loaded, redact)

    async def opened() -> T:
        follow = Follow(config_path()) if pushing else None
        async with open_application(
            loaded, reading=reading, console=console, redact=redact, follow=follow, active=active
        ) as app:
            return await work(app)

    try:
        return run(opened())
    except (KeyboardInterrupt, asyncio.CancelledError):
        echo("interrupted", err=True)
        raise SystemExit(130) from None


def with_backend(
    work: Callable[["AppBackend"], Awaitable[T]],
    loaded: "Loaded | None" = None,
    *,
    reading: bool = False,
    console: TextIO | None = None,
) -> T:
    """Like `with_app`, for what the pages can do too."""

    async def work_with_backend(app: "Application") -> T:
        from aggregator.app.backend import AppBackend

        return await work(AppBackend(app, config_path()))

    return with_app(work_with_backend, loaded, reading=reading, console=console)
