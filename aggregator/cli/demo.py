"""`aggregator demo`: see it work before trusting it."""

import tempfile
from datetime import timedelta
from pathlib import Path

import click

from aggregator.cli.output import echo, secho, style
from aggregator.cli.param_types import DURATION


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
    "--listen", default="127.0.0.1:0", show_default=True, help="Address of the web UI; port 0: any free port."
)
def demo(span: timedelta | None, listen: str) -> None:
    """Run a self-contained demo (no network).

    A local server publishes a morning of invented news in five feeds and four formats: a story from
    an agency, copied by a blog, rewritten by a newspaper and translated, among unrelated items. The
    real service polls the feeds, matches three rules and prints alerts on this console.
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
    finally:
        publisher.stop()
    raise SystemExit(code)
