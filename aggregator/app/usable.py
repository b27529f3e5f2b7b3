"""Requirements of a configuration beyond being well-formed; the same for `check`, `run`, `poll` and reload."""

from aggregator.config import Loaded, channel_errors, rule_test_errors
from aggregator.core.errors import ConfigError, ConfigErrors
from aggregator.notify import check_channels


def usage_problems(loaded: Loaded, *, before: Loaded | None = None) -> tuple[ConfigError, ...]:
    """Failing tests of rules, and channels that cannot work, each with its place.

    Rules that are in `before` already, and have not changed, are not tested anew.
    """
    return (
        *rule_test_errors(loaded, before=before),
        *channel_errors(loaded, check_channels(loaded.config.channels.values())),
    )


def require_usable(loaded: Loaded, *, before: Loaded | None = None) -> None:
    """Raise ConfigErrors where one of the problems is an error."""
    found = usage_problems(loaded, before=before)
    if any(problem.severity == "error" for problem in found):
        raise ConfigErrors(found)
