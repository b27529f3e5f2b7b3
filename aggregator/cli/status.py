"""`aggregator status`: health at a glance."""

import asyncio
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from aggregator.cli.context import load_sound, with_backend
from aggregator.cli.output import echo, emit, json_option, plural, print_fields, secho, size, wrapped
from aggregator.cli.program import config_option
from aggregator.core.cluster_findings import is_alive
from aggregator.core.findings import findings
from aggregator.core.humanize import ago, span

if TYPE_CHECKING:
    from datetime import datetime

    from aggregator.app.backend import AppBackend
    from aggregator.core.model import Process, Queue, Stats


@click.command(
    epilog="""\b
Examples:
  aggregator status
  aggregator status --json | jq .lag_s"""
)
@config_option
@json_option
def status(as_json: bool) -> None:
    """Show whether the service is running, feeds by state, lag, deliveries, last alert, disk and version."""

    async def work(backend: "AppBackend") -> None:
        from aggregator.app.processes import loops_of
        from aggregator.app.usable import refusal

        refused = await asyncio.to_thread(refusal, backend.current())
        found = replace(await backend.status(), config_errors=tuple(map(str, refused)))
        asked = [(process, await asyncio.to_thread(loops_of, process)) for process in found.processes]
        known = (replace(p, loops=None if loops is None else tuple(loops.items())) for p, loops in asked)
        found = replace(found, processes=tuple(known))
        if as_json:
            from aggregator.core.schemas import status_json

            emit(status_json(found))
            return
        elsewhere = any(map(is_alive, found.nodes))
        for process in found.processes or (() if elsewhere else (None,)):
            _status_fields(process, found.now_at)
        print_fields(
            {
                "feeds": ", ".join(f"{count:,} {state}" for state, count in found.feeds) or "none",
                "lag": span(found.lag_s) if found.lag_s else "none",
                "deliveries": ", ".join(f"{count:,} {state}" for state, count in found.outbox) or "none",
                "last alert": ago(found.last_alert_at, found.now_at),
                "stored": _stored(found.stats) if found.stats else None,
                "disk free": size(found.disk_free_bytes) if found.disk_free_bytes is not None else None,
                "jobs": _jobs(found.queue) if found.queue else None,
                "version": found.version,
            }
        )
        for node in found.nodes:
            heard = f"heard of {span(node.silent_s)} ago" if node.silent_s >= 1 else "heard of just now"
            program = f"{node.version}, schema {node.schema}"
            echo(f"node {node.name}: {', '.join(node.roles)}; {program}, configuration {node.config}, {heard}")
        for finding in findings(found):
            colour = "red" if finding.severity == "error" else "yellow"
            secho(wrapped(f"{finding.severity}: {finding.what}", "  "), fg=colour)
            echo(wrapped(f"  → {finding.remedy}", "    "))
        for warning in found.warnings if not backend.current().faults else ():
            secho(warning, fg="yellow", err=True)

    with_backend(work, load_sound(feeds=False), reading=True)


def _status_fields(process: "Process | None", now: "datetime") -> None:
    """Return the fields that say whether the service runs, and its health."""
    if process is None:
        secho("not running on this machine; start the service with `aggregator run`", fg="yellow")
        return
    late = [name for name, well in process.loops or () if not well]
    since = f"running since {process.started_at:%Y-%m-%d %H:%M} UTC ({ago(process.started_at, now)})"
    secho(f"{since}, process {process.pid}: {', '.join(process.roles)}", fg="green" if not late else "yellow")
    if process.page:
        echo(f"web UI: {process.page}")
    if late:
        hint = "`aggregator doctor` checks why"
        secho(f"{'this loop is' if len(late) == 1 else 'these loops are'} late: {', '.join(late)}; {hint}", fg="red")


def _jobs(queue: "Queue") -> str:
    running = sum(job.running for job in queue.jobs)
    return f"{len(queue.jobs) - running} waiting, {running} running"


def _stored(stats: "Stats") -> str:
    counts = (plural(stats.entries, "entry", "entries"), plural(stats.hits, "hit"), size(stats.bytes))
    return ", ".join(counts)
