"""`aggregator doctor`: diagnose the installation and suggest fixes."""

import click

from aggregator.cli.context import config_path
from aggregator.cli.output import echo, emit, json_option, plural, secho, style, wrapped
from aggregator.cli.program import config_option

COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


@click.command(
    epilog="""\b
Examples:
  aggregator doctor
  aggregator doctor --json | jq '.findings[].remedy'"""
)
@config_option
@json_option
def doctor(as_json: bool) -> None:
    """Diagnose the installation and suggest fixes (read-only).

    Checks programs, configuration, channels, files, disk, clock, database, feeds, rules, alerts and
    the running service. Exit 0 if healthy, 1 if there are warnings or errors; notes do not affect
    the exit status.
    """
    from aggregator.app import run
    from aggregator.app.doctor.checks import DoctorFinding
    from aggregator.app.doctor.probe import run_checks
    from aggregator.core.redaction import Redactor
    from aggregator.telemetry.logs import configure_plain

    redact = Redactor()
    configure_plain("critical", redact)  # what the libraries complain about is said better here
    report = run(run_checks(config_path(), redact))

    def shape(problem: DoctorFinding) -> dict[str, str]:
        names = ("kind", "severity", "about", "message", "remedy")
        return {name: str(getattr(problem, name)) for name in names}

    if as_json:
        findings = [shape(problem) for problem in report.findings]
        checked = list(report.checked)
        old_names = {"troubles": findings, "looked_at": checked}  # of 0.2; kept for one release
        emit({"ok": report.healthy, "findings": findings, "checked": checked} | old_names)
    else:
        for finding in report.findings:
            about = f"{finding.severity:<8}{finding.about}"
            said = wrapped(f"{about}: {finding.message}", " " * 8)
            if said.startswith(about):  # not where it had to be broken
                secho(f"{finding.severity:<8}", fg=COLOURS[finding.severity], nl=False)
                echo(style(finding.about, bold=True), said.removeprefix(about))
            else:
                echo(said)
            echo(wrapped(f"        → {finding.remedy}", " " * 10))
        secho(_verdict(len(report.findings), report.healthy), fg="green" if report.healthy else "red")
        echo(f"checked: {', '.join(report.checked)}", err=True)
    raise SystemExit(0 if report.healthy else 1)


def _verdict(count: int, healthy: bool) -> str:
    if healthy:
        return "healthy" if not count else f"healthy; {plural(count, 'note')}"
    return plural(count, "finding")
