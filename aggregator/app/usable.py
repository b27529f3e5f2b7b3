"""Requirements of a configuration beyond being well-formed; the same for `check`, `run`, `poll` and reload."""

from collections.abc import Iterator

from aggregator.app.extras import extra_errors
from aggregator.config import Loaded, channel_errors, feed_errors, rule_test_errors
from aggregator.core.errors import ConfigError, ConfigErrors, Problem
from aggregator.core.settings import Feed
from aggregator.notify import check_channels


def usage_problems(loaded: Loaded, *, before: Loaded | None = None) -> tuple[ConfigError, ...]:
    """Missing extras, failing tests of rules, wrong selectors, channels that cannot work: each with its place.

    Rules that are in `before` already, and have not changed, are not tested anew.
    """
    return (
        *extra_errors(loaded),
        *rule_test_errors(loaded, before=before),
        *feed_errors(loaded, {feed.id: tuple(_selectors(feed)) for feed in loaded.config.feeds if feed.select}),
        *channel_errors(loaded, check_channels(loaded.config.channels.values())),
    )


def _selectors(feed: Feed) -> Iterator[Problem]:
    from aggregator.parse.html import selector_problem  # loads a parser of pages that few configurations need

    for part, selector in feed.reading.select:
        if wrong := selector_problem(selector):
            yield Problem(path=("select", part), message=f"select.{part}: {wrong}", hint="for example article h2 > a")


def refusal(loaded: Loaded) -> tuple[ConfigError, ...]:
    """Return why `run` and a reload would refuse a configuration of which only the sound parts were loaded."""
    found = loaded.faults or usage_problems(loaded)
    return found if any(problem.severity == "error" for problem in found) else ()


def require_usable(loaded: Loaded, *, before: Loaded | None = None) -> None:
    """Raise ConfigErrors where one of the problems is an error."""
    found = usage_problems(loaded, before=before)
    if any(problem.severity == "error" for problem in found):
        raise ConfigErrors(found)
