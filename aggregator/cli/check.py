"""`aggregator check`: everything that can be known before the service runs."""

from typing import TYPE_CHECKING, Any

import click

from aggregator.cli.context import load, with_app
from aggregator.cli.errors import print_errors
from aggregator.cli.output import emit, json_option, plural, progress, secho
from aggregator.cli.program import config_option
from aggregator.core.errors import AggregatorError, ConfigErrors

if TYPE_CHECKING:
    from aggregator.app.application import Application
    from aggregator.config import Loaded


@click.command(
    epilog="""\b
Examples:
  aggregator check
  aggregator check --online"""
)
@click.option("--online", is_flag=True, help="Also fetch every feed.")
@config_option
@json_option
def check(online: bool, as_json: bool) -> None:
    """Validate everything: YAML, rules and their tests, channels. Exit 2 on errors."""
    from aggregator.app.usable import usage_problems

    try:
        loaded = load()
        errors = usage_problems(loaded)
        if any(error.severity == "error" for error in errors):
            raise ConfigErrors(errors)
    except ConfigErrors as failed:
        if as_json:
            emit({"ok": False, "errors": [_shape(error) for error in failed.errors]})
        else:
            print_errors(failed)
        raise SystemExit(2) from None
    findings = _try_feeds(loaded) if online else []
    config = loaded.config
    tests = sum(len(rule.tests.match) + len(rule.tests.no_match) for rule in config.rules)
    if as_json:
        emit(
            {
                "ok": not findings,
                "errors": [],
                "warnings": [_shape(warning) for warning in loaded.warnings],
                "feeds": len(config.feeds),
                "rules": len(config.rules),
                "tests": tests,
                "channels": len(config.channels),
                "unreachable": [{"feed": feed, "error": str(error)} for feed, error in findings],
            }
        )
    else:
        for feed, error in findings:
            secho(f"{feed}: {error}", fg="red", err=True)
        rules = f"{plural(len(config.rules), 'rule')} ({plural(tests, 'test')} passed)"
        good = f"{plural(len(config.feeds), 'feed')}, {rules}, {plural(len(config.channels), 'channel')}"
        bad = f"{len(findings)} of {plural(len(config.feeds), 'feed')} could not be read"
        secho(bad if findings else f"{good}: OK", fg="red" if findings else "green")
    if findings:
        raise SystemExit(1)


def _shape(error: Any) -> dict[str, Any]:
    return {
        "file": error.file,
        "line": error.line,
        "column": error.column,
        "severity": error.severity,
        "message": error.message,
        "hint": error.hint,
    }


def _try_feeds(loaded: "Loaded") -> list[tuple[str, AggregatorError]]:
    """Fetch and parse each feed once, without storing anything."""

    async def work(app: "Application") -> list[tuple[str, AggregatorError]]:
        with progress("fetching feeds", len(loaded.config.feeds)) as step:
            runtime = await app.runtime()
            tried = await runtime.try_feeds(loaded.config.feeds, step=step)
            return [(feed, error) for feed, error in tried.items() if error]

    return with_app(work, loaded)
