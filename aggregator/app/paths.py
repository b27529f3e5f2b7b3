"""Paths of the configuration and the default database."""

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from aggregator.config import state_directory

if TYPE_CHECKING:
    from aggregator.core.settings import Config

MAX_LOOKED_AT = 100  # files of a working directory, which may be anybody's
MAX_HEAD_CHARS = 65_536
_SECTION = re.compile(r"^(feeds|rules|channels|lists|settings):(\s|$)", re.MULTILINE)


def default_config_path() -> Path:
    """Return `$AGGREGATOR_CONFIG`, else `./config`, else the working directory if it holds configuration files."""
    if given := os.environ.get("AGGREGATOR_CONFIG"):
        return Path(given)
    config, here = Path("config"), Path()
    return here if not config.exists() and any(map(_is_config, sorted(here.glob("*.y*ml"))[:MAX_LOOKED_AT])) else config


def cluster_address(path: Path) -> str:
    """Return the database that holds the configuration because there are no files at `path`; empty: there are."""
    address = os.environ.get("AGGREGATOR_DATABASE", "")  # config.DATABASE, which loads the loader
    if not address.startswith("postgres") or path.is_file() or any(map(any, (path.glob("*.yaml"), path.glob("*.yml")))):
        return ""
    return address


def _is_config(file: Path) -> bool:
    """Tell whether a YAML file has a section of a configuration; those of other programs have none."""
    with suppress(OSError, UnicodeDecodeError):
        if file.is_file():
            with file.open(encoding="utf-8-sig") as text:
                return bool(_SECTION.search(text.read(MAX_HEAD_CHARS)))
    return False


def database_url(config: "Config") -> str:
    """Return the configured database, else SQLite in `./var` beside a `./config`, else in the state folder."""
    if config.settings.database:
        return config.settings.database.get_secret_value()
    return f"sqlite:///{state_directory() / 'aggregator.db'}"


def free_bytes(config: "Config") -> int:
    """Return what is free on the disk of the database; of a server, where this process keeps its state."""
    from aggregator.store.location import parse_location  # and with it SQLAlchemy, which `check` can do without

    path = parse_location(database_url(config)).path
    folder = path.absolute().parent if path else state_directory()
    return shutil.disk_usage(folder if folder.exists() else Path.cwd()).free
