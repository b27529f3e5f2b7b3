"""Paths of the configuration and the default database."""

import os
from pathlib import Path

from aggregator.core.settings import Config


def default_config_path() -> Path:
    """Return `$AGGREGATOR_CONFIG`, else `./config`."""
    return Path(os.environ.get("AGGREGATOR_CONFIG") or "config")


def database_url(config: Config) -> str:
    """Return the configured database, else SQLite in `./var` beside a `./config`, else in the state folder."""
    if config.settings.database:
        return config.settings.database.get_secret_value()
    return f"sqlite:///{state_directory() / 'aggregator.db'}"


def state_directory() -> Path:
    """Return `./var` in a working folder of its own, `$XDG_STATE_HOME/aggregator` elsewhere."""
    if Path("var").is_dir() or Path("config").exists():
        return Path("var")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "aggregator"
