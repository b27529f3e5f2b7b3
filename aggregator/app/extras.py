"""Extras of the package that the configuration requires."""

from collections.abc import Iterator

from aggregator import DISTRIBUTION
from aggregator.config import Loaded
from aggregator.core.errors import ConfigError
from aggregator.core.settings import Config
from aggregator.parse.article import is_available


def missing(config: Config) -> Iterator[tuple[str, str]]:
    """Return (what is configured, the extra that it needs), once for each extra that is not installed."""
    feed = next((feed.id for feed in config.feeds if feed.full_text), None)
    if feed and not is_available():
        yield f"full_text of feed {feed}", "fulltext"


def extra_errors(loaded: Loaded) -> tuple[ConfigError, ...]:
    """Return the same as errors with their places, for `check`."""
    return tuple(_error(loaded, what, extra) for what, extra in missing(loaded.config))


def _error(loaded: Loaded, what: str, extra: str) -> ConfigError:
    place = loaded.places["feed", what.rpartition(" ")[2]]
    message = f"{what} requires the extra {extra}, which is not installed"
    hint = f"pip install '{DISTRIBUTION}[{extra}]', or remove the key"
    return ConfigError(file=place.file, line=place.line, column=place.column, message=message, hint=hint)
