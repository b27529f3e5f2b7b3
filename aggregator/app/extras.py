"""Extras of the package that the configuration requires."""

from collections.abc import Iterator

from aggregator import DISTRIBUTION
from aggregator.config import Loaded, settings_errors
from aggregator.core.errors import ConfigError, Problem
from aggregator.core.settings import Config

MODEL = "settings.stories.languages: model"


def missing(config: Config) -> Iterator[tuple[str, str]]:
    """Return (what is configured, the extra that it needs), once for each extra that is not installed."""
    feed = next((feed.id for feed in config.feeds if feed.full_text), None)
    if feed:
        from aggregator.parse import article

        if not article.is_available():
            yield f"full_text of feed {feed}", "fulltext"
    if config.settings.stories.languages == "model":
        from aggregator.core.events import encoder

        if not encoder.is_available():
            yield MODEL, "languages"


def extra_errors(loaded: Loaded) -> tuple[ConfigError, ...]:
    """Return the same as errors with their places, for `check`."""
    return tuple(_error(loaded, what, extra) for what, extra in missing(loaded.config))


def _error(loaded: Loaded, what: str, extra: str) -> ConfigError:
    message = f"{what} requires the extra {extra}, which is not installed"
    hint = f"pip install '{DISTRIBUTION}[{extra}]', or remove the key"
    if what == MODEL:
        problem = Problem(path=("settings", "stories", "languages"), message=message, hint=hint)
        return settings_errors(loaded, [problem])[0]
    place = loaded.places["feed", what.rpartition(" ")[2]]
    return ConfigError(file=place.file, line=place.line, column=place.column, message=message, hint=hint)
