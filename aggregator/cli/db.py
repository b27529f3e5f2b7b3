"""`aggregator db`: keeping the database in order."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aggregator.cli.context import config_path, load, with_app
from aggregator.cli.output import echo, emit, json_option, plural, progress, secho, size, table
from aggregator.cli.param_types import DATABASE_URL
from aggregator.cli.program import CommandGroup, config_option
from aggregator.core import schemas
from aggregator.core.errors import Conflict
from aggregator.core.schemas import actions, stats_json

if TYPE_CHECKING:
    from aggregator.app.application import Application


@click.group(
    cls=CommandGroup,
    epilog="""\b
Examples:
  aggregator db upgrade
  aggregator db backup /backup/$(date +%F).db     while the service runs
  aggregator db restore /backup/aggregator-2026-03-01.db
  aggregator db copy --to postgresql://aggregator@db.example.org/aggregator
  aggregator db check
  aggregator db prune
  aggregator db stats""",
)
def db() -> None:
    """Upgrade, back up, restore, copy, check and prune the database."""


@db.command()
@click.option("--no-backup", is_flag=True, help="Do not back up an SQLite database before changing its schema.")
@config_option
@json_option
def upgrade(as_json: bool, no_backup: bool) -> None:
    """Upgrade the schema to the latest revision (`run` does this automatically).

    An SQLite database is first copied to FILE.before-upgrade; the copy is kept until the next upgrade.
    """
    from aggregator.app import quiet_logs, run
    from aggregator.app.paths import cluster_address, database_url
    from aggregator.engine import is_available, schema_steps
    from aggregator.store import upgrade_store

    make_dirs, url = False, cluster_address(config_path())
    if not url:
        loaded = load(warn=False)
        quiet_logs(loaded)
        make_dirs, url = loaded.config.settings.database is None, database_url(loaded.config)
    engine = schema_steps() if url.startswith("postgres") and is_available() else ()
    done = run(upgrade_store(url, make_dirs=make_dirs, backup=not no_backup, engine=engine))
    if as_json:
        fields = {"revision": done.revision, "before": done.before, "copy_file": str(done.copy) if done.copy else None}
        emit(schemas.as_json(actions.SchemaUpgraded, fields))
        return
    echo(f"schema {done.revision}")
    if done.copy:
        echo(f"the previous database (schema {done.before}) is kept in {done.copy}")


@db.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@config_option
@json_option
def backup(as_json: bool, file: Path) -> None:
    """Write a consistent copy to FILE, which must not exist. The service may keep running."""

    async def work(app: "Application") -> None:
        with progress("copying", counted=False):
            written = await app.store.maintenance.backup(str(file))
        if as_json:
            emit(schemas.as_json(actions.BackupWritten, {"file": str(file), "bytes": written}))
        else:
            echo(f"{file}: {size(written)}")

    with_app(work, reading=True)


@db.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@config_option
@json_option
def restore(as_json: bool, file: Path) -> None:
    """Replace an SQLite database with the backup FILE. Stop the service first, and what cron starts.

    The old database is kept next to it as NAME.before-restore. Alerts that may have been sent since the backup are
    marked as possible repeats.
    """
    from aggregator.app import quiet_logs, run
    from aggregator.app.paths import database_url
    from aggregator.app.processes import registry_folder, running_processes
    from aggregator.store import restore_store, upgrade_store

    loaded = load(warn=False)
    quiet_logs(loaded)
    if alive := running_processes(registry_folder(loaded.config)):
        pids = ", ".join(str(process.pid) for process in alive)
        raise Conflict(f"the service is running (process {pids}); stop it before replacing its database")
    url = database_url(loaded.config)
    with progress("restoring", counted=False):
        kept = run(restore_store(url, str(file)))
        done = run(upgrade_store(url))
    if as_json:
        fields = {"file": str(file), "revision": done.revision, "kept_file": str(kept) if kept else None}
        emit(schemas.as_json(actions.DatabaseRestored, fields))
        return
    echo(f"restored {file} (schema {done.revision})")
    if kept:
        echo(f"the previous database is kept in {kept}")
    echo("alerts that may have been sent since the backup will be marked as possible repeats")


@db.command(
    epilog="""\b
Examples:
  PGPASSWORD=… aggregator db copy --to postgresql://aggregator@db/aggregator
  aggregator db copy --to sqlite:////var/lib/aggregator/aggregator.db"""
)
@click.option("--to", "target", required=True, type=DATABASE_URL, metavar="URL", help="Target database; must be empty.")
@config_option
@json_option
def copy(target: str, as_json: bool) -> None:
    """Copy everything to another database, from SQLite to PostgreSQL or back. Stop the service first.

    The copy is verified row by row. If it is interrupted, the target stays empty and the command can
    be run again. The source database is not changed.
    """
    from aggregator.app import quiet_logs, run
    from aggregator.app.paths import database_url
    from aggregator.app.processes import registry_folder, running_processes
    from aggregator.store import copy_store, count_rows

    loaded = load()
    quiet_logs(loaded)
    source = database_url(loaded.config)
    if alive := running_processes(registry_folder(loaded.config)):
        pids = ", ".join(str(process.pid) for process in alive)
        raise Conflict(f"the service is running (process {pids}); stop it first, or the copy will miss new entries")

    async def work() -> Mapping[str, int]:
        with progress("copying", await count_rows(source)) as step:
            return await copy_store(source, target, step=step)

    try:
        copied = run(work())
    except (KeyboardInterrupt, asyncio.CancelledError):
        echo("interrupted; the target database is still empty: run the same command again", err=True)
        raise SystemExit(130) from None
    if as_json:
        emit(dict(copied))
        return
    table(("table", "rows>"), ((name, f"{rows:,}") for name, rows in copied.items()), empty="")
    echo("Copy complete. Set settings.database to the new database, then start the service.")


@db.command()
@config_option
@json_option
def check(as_json: bool) -> None:
    """Check integrity; exit 1 if damaged. The service may keep running: no poll waits.

    SQLite's full-text index is checked in a copy beside the database, which may take half of its size meanwhile.
    """

    async def work(app: "Application") -> None:
        with progress("checking", counted=False):
            findings = await app.store.maintenance.check()
        if as_json:
            emit(schemas.as_json(actions.DatabaseCheck, {"ok": not findings, "problems": list(findings)}))
        else:
            for finding in findings:
                secho(finding, fg="red")
        if findings:
            raise SystemExit(1)
        if not as_json:
            secho("The database is intact.", fg="green")

    with_app(work, reading=True)


@db.command()
@config_option
@json_option
def prune(as_json: bool) -> None:
    """Delete what is older than settings.retention; entries already seen stay known."""

    async def work(app: "Application") -> None:
        with progress("pruning", counted=False):
            removed, emptied = await app.maintainer().prune()
        if as_json:
            emit(schemas.as_json(actions.DatabasePruned, {"removed": removed, "emptied": emptied}))
            return
        echo(
            f"{plural(removed, 'entry', 'entries')} removed, full text of {plural(emptied, 'entry', 'entries')} dropped"
        )

    with_app(work)


@db.command()
@config_option
@json_option
def stats(as_json: bool) -> None:
    """Show what is stored: feeds, entries, hits, deliveries, size."""

    async def work(app: "Application") -> None:
        shape = stats_json(await app.store.catalog.stats())
        if as_json:
            emit(shape)
        else:
            table(("what", "count>"), ((key, f"{value:,}") for key, value in shape.items()), empty="")

    with_app(work, reading=True)
