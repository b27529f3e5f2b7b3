"""`aggregator config`: the configuration that a cluster keeps in its database."""

from difflib import unified_diff
from typing import TYPE_CHECKING

import click

from aggregator.cli.context import config_path, load, with_app
from aggregator.cli.output import echo, emit, json_option, limit_option, raw, table
from aggregator.cli.param_types import NUMBER
from aggregator.cli.program import CommandGroup, config_option
from aggregator.core.errors import NotFound, StoreError
from aggregator.core.schemas import actions, as_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aggregator.app.application import Application
    from aggregator.core.model import ConfigVersion, Json, StoredConfig
    from aggregator.core.schemas.models import Schema
    from aggregator.ports import Cluster


@click.group(
    cls=CommandGroup,
    epilog="""\b
Examples:
  aggregator config push
  aggregator config log
  aggregator config show 7
  aggregator config diff 6
  aggregator config rollback 6""",
)
def config() -> None:
    """Push, list, compare and roll back the configuration of a cluster (PostgreSQL)."""


number_argument = click.argument("number", type=NUMBER, required=False)


@config.command()
@config_option
@json_option
def push(as_json: bool) -> None:
    """Put the files in force on every node, whatever is in force now.

    `aggregator run` does so by itself after each valid edit. References to secrets (${NAME}) are stored as they are
    written, never expanded.
    """
    from aggregator.app.cluster_config import push_files
    from aggregator.app.usable import require_usable

    loaded = load()
    require_usable(loaded)

    async def work(app: "Application") -> None:
        cluster = _cluster(app)
        before = await cluster.head()
        version = await push_files(cluster, config_path(), loaded)
        new = before is None or before.number != version.number
        if as_json:
            emit(_json(actions.ConfigPushed, version, new=new))
        elif new:
            echo(f"configuration {version.number} is in force")
        else:
            echo(f"nothing to push: these files are configuration {version.number}, which is in force")

    with_app(work, loaded, reading=True)


@config.command()
@config_option
@limit_option
@json_option
def log(as_json: bool, limit: int) -> None:
    """List configurations, the newest first; the first one is in force."""

    async def work(app: "Application") -> None:
        found = await _cluster(app).history(limit)
        if as_json:
            emit([_json(actions.ConfigVersion, version) for version in found])
            return
        rows = ((version.number, f"{version.at:%Y-%m-%d %H:%M:%S}", version.by) for version in found)
        table(("number>", "put in force (UTC)", "by"), rows, empty="No configuration yet: `aggregator config push`.")

    with_app(work, reading=True)


@config.command()
@number_argument
@config_option
@json_option
def show(as_json: bool, number: int | None) -> None:
    """Print the files of a configuration (default: the one in force), references unexpanded."""
    from aggregator.app.cluster_config import shown_files

    async def work(app: "Application") -> None:
        stored = await _stored(_cluster(app), number)
        files = shown_files(stored, app.redact)
        if as_json:
            emit(_json(actions.ConfigFiles, stored.version, files=files))
            return
        for name, text in files.items():
            raw(f"# --- {name}\n{text.rstrip()}\n")

    with_app(work, reading=True)


@config.command()
@number_argument
@config_option
@json_option
def diff(as_json: bool, number: int | None) -> None:
    """Compare a configuration (default: the one in force) with the files here. Exit 1 if they differ."""
    from aggregator.app.cluster_config import file_texts, shown_files

    async def work(app: "Application") -> None:
        stored = await _stored(_cluster(app), number)
        there, here = shown_files(stored, app.redact), file_texts(config_path(), app.loaded, app.redact)
        lines = [line for name in sorted({*there, *here}) for line in _diff(stored.version.number, name, there, here)]
        if as_json:
            emit(_json(actions.ConfigDiff, stored.version, same=not lines, diff="\n".join(lines)))
        elif lines:
            raw("\n".join(lines) + "\n")
        else:
            echo(f"the files are those of configuration {stored.version.number}")
        if lines:
            raise SystemExit(1)

    with_app(work, reading=True)


@config.command()
@click.argument("number", type=NUMBER)
@config_option
@json_option
def rollback(as_json: bool, number: int) -> None:
    """Put an earlier configuration in force again, under a new number.

    The files stay as they are; the node that has them follows the rollback until they are edited.
    """
    from aggregator.app.cluster_config import roll_back

    async def work(app: "Application") -> None:
        head = await _cluster(app).head()
        before = head.number if head else 0
        version = await roll_back(_cluster(app), await _stored(_cluster(app), number))
        if as_json:
            emit(_json(actions.ConfigPushed, version, new=version.number != before))
        elif version.number == before:
            echo(f"nothing to do: configuration {before} is in force, with the files of {number}")
        else:
            echo(f"configuration {version.number} is in force, with the files of {number}")

    with_app(work, reading=True)


def _json(shape: "type[Schema]", version: "ConfigVersion", **more: object) -> "Json":
    fields = {"number": version.number, "digest": version.digest, "by": version.by, "at": version.at}
    return as_json(shape, fields | more)


def _cluster(app: "Application") -> "Cluster":
    if app.store.cluster is None:
        raise StoreError(
            "with SQLite, the service reads its configuration from the files; a database holds it with PostgreSQL only"
        )
    return app.store.cluster


async def _stored(cluster: "Cluster", number: int | None) -> "StoredConfig":
    stored = await cluster.config(number, feeds=True)
    if stored is None:
        known = [str(version.number) for version in await cluster.history(0)]
        raise NotFound("configuration", str(number or "in force"), known)
    return stored


def _diff(number: int, name: str, there: "Mapping[str, str]", here: "Mapping[str, str]") -> list[str]:
    before, after = (files.get(name, "").splitlines() for files in (there, here))
    return list(unified_diff(before, after, f"{number}/{name}", name, lineterm=""))
