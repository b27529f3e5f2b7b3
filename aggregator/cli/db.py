"""`aggregator db`: keeping the database in order."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aggregator.cli.output import emit, json_option, table
from aggregator.cli.program import config_option
from aggregator.cli.session import in_house
from aggregator.core.shapes import stats_json

if TYPE_CHECKING:
    from aggregator.app.house import House


@click.group(
    epilog="""\b
Examples:
  aggregator db backup /backup/aggregator-$(date +%F).db    while the service runs
  aggregator db check"""
)
def db() -> None:
    """Upgrade, back up, check and prune the database."""


@db.command()
@config_option
def upgrade() -> None:
    """Bring the schema to the newest revision (`run` does this by itself)."""

    async def work(house: "House") -> None:
        click.echo(f"schema {await house.store.upkeep.upgrade()}")

    in_house(work)


@db.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@config_option
def backup(file: Path) -> None:
    """Write a consistent copy to FILE, which must not exist; the service may go on."""

    async def work(house: "House") -> None:
        size = await house.store.upkeep.backup(str(file))
        click.echo(f"{file}: {size / 1e6:.1f} MB")

    in_house(work)


@db.command()
@config_option
def check() -> None:
    """Look for damage; exit 1 where there is some."""

    async def work(house: "House") -> None:
        troubles = await house.store.upkeep.check()
        for trouble in troubles:
            click.secho(trouble, fg="red")
        if troubles:
            raise SystemExit(1)
        click.secho("the database is sound", fg="green")

    in_house(work)


@db.command()
@config_option
def prune() -> None:
    """Remove what is older than settings.retention; the memory of what was seen stays."""

    async def work(house: "House") -> None:
        removed, emptied = await house.maintainer().prune()
        click.echo(f"{removed} entries removed, {emptied} texts emptied")

    in_house(work)


@db.command()
@config_option
@json_option
def stats(as_json: bool) -> None:
    """Count what is stored."""

    async def work(house: "House") -> None:
        shape = stats_json(await house.store.catalog.stats())
        if as_json:
            emit(shape)
        else:
            table(("what", "how many>"), ((key, f"{value:,}") for key, value in shape.items()), empty="")

    in_house(work)
