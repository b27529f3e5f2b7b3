"""`aggregator init` and `aggregator schema`: how people begin."""

from pathlib import Path

import click

from aggregator.cli.output import echo, emit, json_option
from aggregator.cli.program import unread_config_option
from aggregator.core import schemas
from aggregator.core.schemas import actions

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command(
    epilog="""\b
Examples:
  aggregator init            writes ./config
  aggregator init /etc/aggregator"""
)
@click.argument("folder", metavar="[DIR]", required=False, type=FOLDER)
@click.option("--config", "-c", "configured", metavar="DIR", type=FOLDER, help="The same as DIR.")
@json_option
@click.pass_context
def init(ctx: click.Context, folder: Path | None, configured: Path | None, as_json: bool) -> None:
    """Write a commented starter configuration to DIR (default: config). Never overwrites files."""
    from aggregator.config import write_starter

    folder = folder or configured or ctx.find_root().ensure_object(dict).get("config") or Path("config")
    files = write_starter(folder)
    if as_json:
        emit(schemas.as_json(actions.FilesWritten, {"files": [str(file) for file in files]}))
        return
    for file in files:
        echo(f"wrote {file}")
    option = "" if folder == Path("config") else f" --config {folder}"
    echo(f"next: aggregator check{option} && aggregator run{option}")
    echo("The web UI at http://127.0.0.1:8080 then leads through the first steps.")
    echo("Until you configure another channel, alerts are printed where it runs.")


@click.command(
    epilog="""\b
Examples:
  aggregator schema > schema.json"""
)
@unread_config_option
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors that complete and validate YAML."""
    from aggregator.config import build_schema as of_configuration

    emit(of_configuration())
