"""Writes small configurations for tests and returns what the loader reports."""

from pathlib import Path
from textwrap import dedent

import pytest

from aggregator.config import Loaded, load
from aggregator.core.errors import ConfigErrors


def loaded(folder: Path, text: str, /, **environ: str) -> Loaded:
    """The configuration that `text` makes."""
    return load(written(folder, text), environ)


def refused(folder: Path, text: str, /, **environ: str) -> list[str]:
    """What is wrong with `text`, as `line:column: message (hint)`."""
    file = written(folder, text)
    with pytest.raises(ConfigErrors) as caught:
        load(file, environ)
    return [str(error).removeprefix(f"{file}:").replace(" error:", "") for error in caught.value.errors]


def written(folder: Path, text: str, name: str = "config.yaml") -> Path:
    """A file with `text`, its indentation taken away."""
    file = folder / name
    file.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
    return file
