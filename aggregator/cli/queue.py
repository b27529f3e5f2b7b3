"""`aggregator queue`: what the engine of a cluster has to do."""

from typing import TYPE_CHECKING

import click

from aggregator.cli.context import load_sound, with_app
from aggregator.cli.output import echo, emit, json_option, limit_option, plural, secho, table
from aggregator.cli.program import config_option
from aggregator.core import schemas
from aggregator.core.cluster_findings import no_notifications, queue_findings
from aggregator.core.errors import StoreError
from aggregator.core.findings import is_healthy
from aggregator.core.humanize import span
from aggregator.core.schemas import actions

if TYPE_CHECKING:
    from aggregator.app.application import Application

HEARD_S = 2.0


@click.command(
    epilog="""\b
Examples:
  aggregator queue
  aggregator queue --json | jq '.jobs | length'"""
)
@config_option
@limit_option
@json_option
def queue(as_json: bool, limit: int) -> None:
    """Show the jobs of a cluster (PostgreSQL): waiting, running and failed. Exit 1 if something is wrong.

    `poll:N` polls lane N, `deliver:NAME` sends on a channel, `upkeep:NAME` is periodic work.
    """

    async def work(app: "Application") -> None:
        if app.store.cluster is None:
            raise StoreError("with SQLite, one process does everything and has no queue; `aggregator status` shows it")
        jobs = app.jobs()
        found, notified = await jobs.waiting(), await jobs.receives_notifications(HEARD_S)
        wrong = (*queue_findings(found), *(() if notified else (no_notifications(),)))
        shown = found.jobs[: limit or None]
        healthy = is_healthy(wrong)
        if as_json:
            rows = [{name: getattr(job, name) for name in actions.QueuedJob.model_fields} for job in shown]
            counts = {"failed": found.failed, "workers": found.workers, "notified": notified}
            emit(schemas.as_json(actions.Queue, {"ok": healthy, "jobs": rows, "findings": list(wrong), **counts}))
        else:
            lines = (
                (job.name, "running" if job.running else "waiting", span(job.age_s), job.attempts) for job in shown
            )
            table(("job", "state", "for>", "attempts>"), lines, empty="No jobs at the moment.")
            echo(f"{plural(found.workers, 'worker')} of the engine, {plural(found.failed, 'failed job')}")
            for finding in wrong:
                secho(f"{finding.severity}: {finding.what}", fg="red" if finding.severity == "error" else "yellow")
                echo(f"  → {finding.remedy}")
        if not healthy:
            raise SystemExit(1)

    with_app(work, load_sound(feeds=False), reading=True)
