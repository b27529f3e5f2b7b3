"""`aggregator demo`: see it work before trusting it."""

import tempfile
from datetime import timedelta
from pathlib import Path

import click

from aggregator.cli.output import echo, plural, secho, style, wrapped
from aggregator.cli.param_types import ADDRESS, DURATION
from aggregator.cli.program import unread_config_option

EVERYTHING = 1000  # of the demo, which has some dozens


@click.command(
    epilog="""\b
Examples:
  aggregator demo
  aggregator demo --for 30s --listen 127.0.0.1:9090"""
)
@click.option(
    "--for", "span", type=DURATION, metavar="DURATION", help="Stop after DURATION; default: run until Ctrl-C."
)
@click.option(
    "--listen",
    type=ADDRESS,
    metavar="ADDRESS",
    default="127.0.0.1:0",
    show_default=True,
    help="Address of the web UI; port 0: any free port.",
)
@unread_config_option
def demo(span: timedelta | None, listen: str) -> None:
    """Run a self-contained demo (no network).

    A local server publishes a morning of invented news in five feeds and four formats: a story from
    an agency, copied by a blog, rewritten by a newspaper and translated, among unrelated items. The
    real service polls the feeds, matches three rules and prints alerts on this console. At the end it
    says what it did not alert about, and why.
    """
    from aggregator.app import serve
    from aggregator.app.clock import SystemClock
    from aggregator.demo.server import PublisherServer
    from aggregator.demo.show import stage

    publisher = PublisherServer(SystemClock().now())
    publisher.start()
    try:
        with tempfile.TemporaryDirectory(prefix="aggregator-demo-") as folder:
            config = stage(Path(folder), publisher.base, listen)
            secho("Publishing a morning of news. Watching five feeds for S-400, CAATSA and exploited flaws.", bold=True)
            echo(f"Feeds: {publisher.base}/…/feed   Rules: {config}/rules.yaml   Press Ctrl-C to stop.")

            def ready(page: str | None) -> None:
                publisher.begin()
                if page:
                    echo("Web UI: ", style(page, underline=True), "\n")

            code = serve(config, frozenset({"poll", "deliver", "web"}), ready=ready, span=span)
            _sum_up(config)
    finally:
        publisher.stop()
    raise SystemExit(code)


def _sum_up(config: Path) -> None:
    """Print how many alerts there were, and what was held back and why."""
    from aggregator.app import load_config, open_application, quiet_logs, run
    from aggregator.core.model import DeliveryState, HitFilter
    from aggregator.demo.show import held_back

    loaded = load_config(config)
    quiet_logs(loaded)

    async def read() -> None:
        async with open_application(loaded, reading=True) as app:
            catalog = app.store.catalog
            entries, hits = await catalog.entries(limit=EVERYTHING), await catalog.hits(HitFilter(), limit=EVERYTHING)
            sent = await catalog.deliveries(states=[DeliveryState.SENT], limit=EVERYTHING)
        alerts = plural(sum(bool(one.hits) for one in sent), "alert")
        secho(f"\n{plural(len(entries), 'entry', 'entries')} were read, {alerts} sent. Held back, and why:", bold=True)
        for title, feed, reason in held_back(hits, entries):
            echo("  ", style(title, bold=True))
            echo("    ", style(feed, dim=True), f" · {reason}")
        echo(wrapped("Your own installation says the same on its Hits page, and with `aggregator hits list`."))

    run(read())
