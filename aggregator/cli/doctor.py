"""`aggregator doctor`: what is wrong, and how to mend it."""

import click

from aggregator.cli.context import config_path
from aggregator.cli.output import echo, emit, json_option, plural, secho, style
from aggregator.cli.program import config_option

COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


@click.command(
    epilog="""\b
Examples:
  aggregator doctor
  aggregator doctor --json | jq '.troubles[].remedy'"""
)
@config_option
@json_option
def doctor(as_json: bool) -> None:
    """Find what is wrong and say how to mend it; change nothing.

    Looks at programs, configuration, channels, files, disk, clock, database, feeds, rules, alerts
    and the running service. Exit 0: healthy (notes are no illness), 1: something is wrong.
    """
    from aggregator.app import run
    from aggregator.app.doctor.checks import Trouble
    from aggregator.app.doctor.probe import examine
    from aggregator.telemetry.logs import configure_plain

    configure_plain("critical")  # what the libraries complain about is said better here
    report = run(examine(config_path()))

    def shape(trouble: Trouble) -> dict[str, str]:
        names = ("kind", "severity", "about", "message", "remedy")
        return {name: str(getattr(trouble, name)) for name in names}

    if as_json:
        troubles = [shape(trouble) for trouble in report.troubles]
        emit({"ok": report.healthy, "troubles": troubles, "looked_at": list(report.looked_at)})
    else:
        for trouble in report.troubles:
            secho(f"{trouble.severity:<8}", fg=COLOURS[trouble.severity], nl=False)
            echo(style(trouble.about, bold=True), f": {trouble.message}")
            echo(f"        → {trouble.remedy}")
        secho(_verdict(len(report.troubles), report.healthy), fg="green" if report.healthy else "red")
        echo(f"looked at: {', '.join(report.looked_at)}", err=True)
    raise SystemExit(0 if report.healthy else 1)


def _verdict(count: int, healthy: bool) -> str:
    if healthy:
        return "healthy" if not count else f"healthy; {plural(count, 'note')}"
    return f"{plural(count, 'thing')} to look at"
