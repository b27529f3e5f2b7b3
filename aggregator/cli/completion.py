"""Completion of names and ids, for shells: of rules, feeds, channels and lists those of the configuration.

What is completed of hits, stories and deliveries are the latest.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from aggregator.core.errors import AggregatorError

if TYPE_CHECKING:
    from aggregator.app.application import Application

FC = TypeVar("FC", bound=Callable[..., Any] | click.Command)

LATEST = 200
Found = list[tuple[str, str]]  # (id, what it is)
Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def complete(kind: str) -> Complete:
    """Return what completes an argument or option: rule, feed, channel, list, hit, story, delivery, view, silence."""

    def completing(ctx: click.Context, _: click.Parameter, beginning: str) -> list[CompletionItem]:
        try:
            with ctx:
                found = _named(kind) if kind in NAMED else _stored(kind)
        except (AggregatorError, OSError):  # a shell asks while somebody types: the command itself says what is wrong
            return []
        return [CompletionItem(name, help=title) for name, title in found if name.startswith(beginning)]

    return completing


def argument(name: str, kind: str, **how: Any) -> Callable[[FC], FC]:
    """Return an argument whose ids a shell completes."""
    return click.argument(name, shell_complete=complete(kind), **how)


def option(name: str, kind: str, **how: Any) -> Callable[[FC], FC]:
    """Return an option whose ids a shell completes."""
    return click.option(name, shell_complete=complete(kind), **how)


def _config() -> Any:
    from aggregator.app import load_config
    from aggregator.cli.context import config_path

    return load_config(config_path(), sound=True)


NAMED: dict[str, Callable[[Any], Found]] = {
    "rule": lambda config: [(rule.id, rule.title or "") for rule in config.rules],
    "feed": lambda config: [(feed.id, feed.title or "") for feed in config.feeds],
    "channel": lambda config: [(name, "") for name in config.channels],
    "list": lambda config: [(name, "") for name in config.lists],
}


def _named(kind: str) -> Found:
    found: Found = NAMED[kind](_config().config)
    return found


def _stored(kind: str) -> Found:
    import asyncio

    from aggregator.app import open_application, run

    async def look() -> Found:
        async with open_application(_config(), reading=True) as app:
            found: Found = await STORED[kind](app)
            return found

    try:
        return run(look())
    except (KeyboardInterrupt, asyncio.CancelledError):
        return []


async def _hits(app: "Application") -> Found:
    from aggregator.core.model import HitFilter

    found = await app.store.catalog.hits(HitFilter(by="recorded"), limit=LATEST)
    return [(detail.hit.id, detail.entry.title) for detail in found]


async def _stories(app: "Application") -> Found:
    return [(one.id, one.title) for one in await app.store.catalog.stories(limit=LATEST)]


async def _deliveries(app: "Application") -> Found:
    return [(one.id, f"{one.channel}: {one.title}") for one in await app.store.catalog.deliveries(limit=LATEST)]


async def _views(app: "Application") -> Found:
    return [(view.id, view.name) for view in await app.store.catalog.views()]


async def _silences(app: "Application") -> Found:
    found = await app.store.catalog.silences(app.clock.now())
    return [(str(one.id), one.rule or one.feed or one.story or "") for one in found]


async def _labels(app: "Application") -> Found:
    return [(label, "") for label in await app.store.catalog.label_counts()]


STORED: dict[str, Callable[["Application"], Any]] = {
    "hit": _hits,
    "story": _stories,
    "delivery": _deliveries,
    "view": _views,
    "silence": _silences,
    "label": _labels,
}
