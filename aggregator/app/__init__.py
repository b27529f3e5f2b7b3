"""The composition root: the only package that imports all adapters, and the only reader of the clock."""

import gc
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from aggregator.app.paths import cluster_address, default_config_path

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from aggregator.app.application import Application, Follow
    from aggregator.app.service import Watch
    from aggregator.config import Loaded
    from aggregator.core.redaction import Redactor
    from aggregator.pipeline.context import ActiveConfig

__all__ = ["default_config_path", "load_config", "open_application", "quiet_logs", "run", "serve"]

T = TypeVar("T")

M_ARENA_MAX, ARENAS = -8, 2  # of glibc's malloc
END_S = 10.0  # from the signal to end on; systemd and container engines kill later than this


def load_config(
    path: Path, *, sound: bool = False, feeds: bool = True, edited: Mapping[Path, str] | None = None
) -> "Loaded":
    """Return the checked configuration at `path`. Raises ConfigErrors.

    `sound`: faulty parts are left out instead, unless they may hide which database is meant; and where there are no
    files, it is the configuration in $AGGREGATOR_DATABASE (raises StoreError). Without `feeds` only the rest, where
    the database has it. `edited`: texts that stand for files.
    """
    import os

    from aggregator.config import is_large, load, load_valid

    with _uncollected():
        if sound and (address := cluster_address(path)):
            from aggregator.app.cluster_config import load_from_database

            return load_from_database(address, whole=feeds, web=False)
        if sound and not feeds and is_large(path):
            from aggregator.app.cluster_config import load_in_force

            if in_force := load_in_force(path):
                return in_force
        return load_valid(path, os.environ) if sound else load(path, os.environ, edited=edited or {})


def open_application(
    loaded: "Loaded",
    *,
    reading: bool = False,
    console: TextIO | None = None,
    redact: "Redactor | None" = None,
    follow: "Follow | None" = None,
    engine: bool = False,
    active: "ActiveConfig | None" = None,
) -> "AbstractAsyncContextManager[Application]":
    """Open the application for one command or the service; `console` is where console channels print.

    `reading`: the feeds in the database stay what they are.
    `redact`: what cuts secrets out of the logs; a reload gives it the new ones.
    `follow`: be on the configuration in force, where the database holds it. `engine`: with the tables of the engine.
    `active`: what the pipeline reads, if the feeds in the database are known to be those of the configuration.
    """
    from aggregator.app.application import open_application as open_

    return open_(loaded, reading=reading, console=console, redact=redact, follow=follow, engine=engine, active=active)


def quiet_logs(loaded: "Loaded", redact: "Redactor | None" = None) -> None:
    """Set up the logs of a command: errors only, unless the configuration asks for debug."""
    from aggregator.core.redaction import Redactor
    from aggregator.telemetry.logs import configure_plain

    level = "debug" if loaded.config.settings.logging.level == "debug" else "error"
    configure_plain(level, redact or Redactor(loaded.secrets))


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the fastest available loop."""
    import asyncio

    gc.freeze()  # what is loaded by now stays: the collector need not look at it
    _share_arenas()
    if sys.platform == "win32":
        return asyncio.run(work)
    try:
        import uvloop
    except ImportError:  # it is an optional speed-up
        return asyncio.run(work)
    return uvloop.run(work)


def serve(
    path: Path,
    roles: frozenset[str],
    *,
    ready: Callable[[str | None], None] | None = None,
    span: timedelta | None = None,
    metrics: str | None = None,
    files: bool = True,
    watch: "Watch | None" = None,
) -> int:
    """Run the service until it is asked to stop; return the exit code. `metrics`: see Service.

    `watch`: what a terminal shows meanwhile. `files`: the configuration is at `path`; else, and where there is
    nothing, it is the one in the database.
    """
    from aggregator.app.application import Follow
    from aggregator.app.service import Service
    from aggregator.core.redaction import Redactor
    from aggregator.core.rules import forget_spellings
    from aggregator.telemetry.logs import configure

    loaded, here = _startable(path, roles, files=files)
    logging = loaded.config.settings.logging
    redact = Redactor(loaded.secrets)
    watch = watch if logging.format != "json" else None
    configure(logging.level, logging.format, redact, watch.stderr if watch else None)
    follow = Follow(here, whole="plan" in roles or "web" in roles, web="web" in roles)

    async def live() -> None:
        console = watch.stdout if watch else None
        async with open_application(loaded, redact=redact, follow=follow, console=console, engine=True) as app:
            app.current.index.prepare()
            forget_spellings()
            service = Service(app, await app.runtime(), here, roles, metrics=metrics, watch=watch, on_stop=_end_in_time)
            await service.run(ready=ready, span=span)

    gc.set_threshold(25_000, 20, 50)  # of a process that lasts: sooner than of a command, but not every 700 values
    try:
        run(live())
    finally:
        if watch:
            watch.close()
    return 0


def _startable(path: Path, roles: frozenset[str], *, files: bool) -> "tuple[Loaded, Path | None]":
    """Return the configuration to start with, and the path of its files, if it comes from files.

    Raises ConfigErrors, StoreError.
    """
    import os

    from aggregator.app.usable import require_usable
    from aggregator.config import DATABASE

    address = cluster_address(path) if files else os.environ.get(DATABASE, "")
    if not address.startswith("postgres"):
        loaded = load_config(path, sound=not files)
        address = loaded.config.settings.database.get_secret_value() if loaded.config.settings.database else ""
        if files or not address.startswith("postgres"):
            require_usable(loaded)
            return loaded, path
    from aggregator.app.cluster_config import load_from_database

    return load_from_database(address, whole="plan" in roles or "web" in roles, web="web" in roles), None


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector away: of rules by the thousand it would look at every one, again and again."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _share_arenas() -> None:
    """Let threads share glibc's arenas: one for each, which they do not need, reserves 64 to 128 MB of addresses."""
    import ctypes

    try:
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)
    except (AttributeError, OSError, TypeError):  # another C library
        return


def _end_in_time() -> None:
    """Ensure that the process ends, even if a thread of a library, which nobody can cancel, goes on.

    For stored data it is a power cut, which loses nothing; the sender of the signal is not kept waiting.
    """
    import logging
    import os
    import threading

    def end() -> None:
        logging.getLogger(__name__).warning("some work did not end within %g s; it is left to its lease", END_S)
        logging.shutdown()
        os._exit(0)

    timer = threading.Timer(END_S, end)
    timer.daemon = True
    timer.start()
