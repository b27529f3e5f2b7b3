"""The program: its commands, what they have in common, and how errors leave it.

Exit codes: 0 fine · 1 the operation failed · 2 usage or configuration error · 3 nothing found,
where that is the answer.
"""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from aggregator import __version__
from aggregator.cli.errors import emit_error, print_errors
from aggregator.cli.output import secho, wrapped
from aggregator.core.errors import AggregatorError, ConfigErrors, NotFound, did_you_mean

COMMANDS = {
    "init": ("init", "Write a commented starter configuration."),
    "demo": ("demo", "Run a self-contained demo (no network)."),
    "check": ("check", "Validate the configuration and run the rules' tests."),
    "run": ("run", "Run the service: poll, match, alert, serve the web UI."),
    "worker": ("run", "Run an additional process that polls and delivers."),
    "poll": ("poll", "Poll the feeds that are due, once."),
    "status": ("status", "Show the service's health at a glance."),
    "doctor": ("doctor", "Diagnose the installation and suggest fixes."),
    "feeds": ("feeds", "List, add, change, pause, import and export feeds."),
    "rules": ("rules", "List, test, explain, backtest and pause watch rules."),
    "lists": ("lists", "Show the term lists of the configuration and those shipped with the program."),
    "match": ("match", "Match text against the rules."),
    "hits": ("hits", "List, show, mark and export hits."),
    "search": ("search", "Search stored entries in the rule language."),
    "deliveries": ("deliveries", "Inspect, retry, acknowledge and cancel deliveries."),
    "channels": ("channels", "List channels; send a test alert."),
    "stories": ("stories", "Show stories; split, join, label and annotate them."),
    "views": ("triage", "Save filters of hits under a name."),
    "undo": ("triage", "Undo a change made by a command or a page."),
    "silence": ("silence", "Mute a rule, feed or story for a while."),
    "config": ("config", "Push, compare and roll back the configuration of a cluster."),
    "queue": ("queue", "Show the jobs of a cluster."),
    "db": ("db", "Upgrade, back up, restore, copy, check and prune the database."),
    "schema": ("init", "Print the JSON Schema of the configuration."),
    "service": ("service", "Print a systemd unit, compose files, alerting rules or a dashboard."),
    "completion": ("service", "Print a shell completion script."),
}


# Other words for commands, of pages and of other programs.
SYNONYMS = {
    "alert": "deliveries", "alerts": "deliveries", "outbox": "deliveries", "notify": "channels test",
    "serve": "run", "start": "run", "daemon": "run", "server": "run", "fetch": "poll", "update": "poll",
    "validate": "check", "lint": "rules lint", "test": "rules test", "health": "status", "info": "status",
    "add": "feeds add", "import": "feeds import", "opml": "feeds import", "export": "hits export",
    "mute": "silence add", "snooze": "silence add", "ack": "deliveries ack", "retry": "deliveries retry",
    "backup": "db backup", "upgrade": "db upgrade", "migrate": "db upgrade", "prune": "db prune", "grep": "search",
}  # fmt: skip


def asks_json(arguments: Sequence[str]) -> bool:
    """Tell whether a command line asks for a document; also one that is not understood."""
    return "--json" in arguments[: arguments.index("--") if "--" in arguments else None]


class Suggesting(click.Group):
    """A group that answers an unknown command with the nearest one."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-") and not ctx.resilient_parsing:
            other = SYNONYMS.get(args[0].casefold()) if ctx.parent is None else None
            near = f" (did you mean {other!r}?)" if other else did_you_mean(args[0], known)
            ctx.fail(f"no command {f'{ctx.command_path} {args[0]}'!r}{near}")
        return super().resolve_command(ctx, args)


class Program(Suggesting):
    """A group that imports a command only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"aggregator.cli.{COMMANDS[name][0]}")
        command: click.Command = getattr(module, name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def make_context(self, info_name: str | None, args: list[str], *more: Any, **named: Any) -> click.Context:
        as_json = asks_json(args)
        try:
            ctx = super().make_context(info_name, args, *more, **named)
        except BrokenPipeError:  # `aggregator --help | true`
            raise SystemExit(0) from None
        ctx.ensure_object(dict)["json"] = as_json
        return ctx

    def invoke(self, ctx: click.Context) -> Any:
        as_json = ctx.ensure_object(dict).get("json")
        try:
            return super().invoke(ctx)
        except ConfigErrors as errors:
            if as_json:
                emit_error(str(errors), errors.errors)
            print_errors(errors)
            ctx.exit(2)
        except AggregatorError as error:
            if as_json:
                emit_error(str(error))
            remedy = where_to_look(error) if isinstance(error, NotFound) else ""
            secho(wrapped(f"error: {error}{remedy}", "  ", stderr=True), fg="red", err=True)
            ctx.exit(1)
        except BrokenPipeError:  # `aggregator hits list | head -1`: who reads has had enough
            raise SystemExit(0) from None


def where_to_look(error: NotFound) -> str:
    """Name the command that lists what there is, unless the message has a remedy already."""
    lists = {"delivery": "deliveries", "story": "stories", "silence": "silence"}
    group = lists.get(error.kind, f"{error.kind}s")
    return f"; see `aggregator {group} list`" if group in COMMANDS and str(error).endswith(f"{error.name!r}") else ""


class CommandWithExamples(click.Command):
    """A command of a group: its help ends with the group's examples of it."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        said = (ctx.parent.command.epilog or "") if ctx.parent else ""
        beginning = f"aggregator {ctx.parent.info_name if ctx.parent else ''} {ctx.info_name}"
        examples = [line.strip() for line in said.splitlines() if f"{line.strip()} ".startswith(f"{beginning} ")]
        if examples and not self.epilog:
            formatter.write("\n  Examples:\n" + "".join(f"    {line}\n" for line in examples))


class CommandGroup(Suggesting):
    """A group whose epilog has an example of each of its commands."""

    command_class = CommandWithExamples

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(limit=200)) for name, command in found if command])


def config_option(command: Any) -> Any:
    """`--config PATH` on a command; what stands before the command's name holds too."""

    def remember(ctx: click.Context, _: click.Parameter, value: Path | None) -> None:
        if value is not None:
            ctx.find_root().ensure_object(dict)["config"] = value

    return click.option(
        "--config",
        "-c",
        type=click.Path(path_type=Path),
        metavar="PATH",
        callback=remember,
        expose_value=False,
        is_eager=True,
        help="Configuration file or folder [default: $AGGREGATOR_CONFIG, else ./config, else . if it has such files].",
    )(command)


unread_config_option = click.option(
    "--config", "-c", metavar="PATH", expose_value=False, help="Accepted as everywhere; this command reads none."
)


@click.command(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  aggregator demo                     see it work (no network needed)
  aggregator init && aggregator run   start watching
  echo 'S-400s arrive' | aggregator match --term S-400""",
)
@click.version_option(__version__, prog_name="aggregator")
@config_option
def program() -> None:
    """Watch news and blog feeds, and alert people within minutes when something they care about appears."""
