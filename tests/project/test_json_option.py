"""Every command that lists or acts answers programs, too: it takes --json."""

from collections.abc import Iterator

import click
import pytest

from aggregator.cli.program import program

# Their output is a document of its own, a running process, or nothing.
WITHOUT = {
    "completion", "demo", "feeds export", "hits export", "run", "schema", "service print-alert-rules",
    "service print-compose", "service print-dashboard", "service print-scrape-config", "service print-unit", "worker",
}  # fmt: skip


def walk(command: click.Command, name: tuple[str, ...], above: click.Context) -> Iterator[tuple[str, click.Command]]:
    here = click.Context(command, parent=above, info_name=name[-1] if name else "aggregator")
    if not isinstance(command, click.Group):
        yield " ".join(name), command
        return
    for word in command.list_commands(here):
        below = command.get_command(here, word)
        assert below is not None
        yield from walk(below, (*name, word), here)


COMMANDS = dict(walk(program, (), click.Context(program)))


def test_the_walk_reaches_every_command() -> None:
    """Those of groups, too; and no exception is left over."""
    assert {"feeds add", "hits mark", "hits send", "silence remove", "deliveries ack", "db prune"} <= COMMANDS.keys()
    assert len(COMMANDS) > 40
    assert COMMANDS.keys() >= WITHOUT


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - WITHOUT))
def test_commands_take_json(name: str) -> None:
    """One JSON document on stdout."""
    assert any("--json" in param.opts for param in COMMANDS[name].params)
