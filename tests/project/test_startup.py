"""What a command loads before it does anything: counted in modules, since seconds depend on the machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RUN = """
import json, sys
from aggregator.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
finally:
    print("\\n" + json.dumps(sorted(sys.modules)), file=sys.stderr)
"""
HEAVY = {"alembic", "apprise", "fastapi", "feedparser", "opentelemetry", "starlette", "trafilatura", "uvicorn"}
OUTSIDE = {"aggregator.fetch", "aggregator.parse", "prometheus_client", "pycurl", "selectolax"}


def loaded(folder: Path, *command: str) -> set[str]:
    """The modules that a command leaves behind."""
    ended = subprocess.run(
        [sys.executable, "-c", RUN, *command],
        cwd=folder,
        env={**os.environ, "XDG_STATE_HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return set(json.loads(ended.stderr.splitlines()[-1]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration whose one feed is paused, with its database."""
    path = tmp_path_factory.mktemp("startup")
    (path / "config.yaml").write_text(
        "settings: {database: 'sqlite:///db.sqlite', default_channels: [here]}\n"
        "channels: {here: {service: console}}\nfeeds: [{id: f, url: 'https://a.example/', enabled: false}]\n"
        "rules: [{id: r, any: [S-400]}]\n",
        encoding="utf-8",
    )
    loaded(path, "db", "upgrade")
    return path


def test_idle(folder: Path) -> None:
    """A pass with nothing to do after one of the same configuration loads neither models nor the database's library."""
    loaded(folder, "poll")
    found = loaded(folder, "poll")
    assert (
        sorted(found & (HEAVY | OUTSIDE | {"asyncio", "pydantic", "sqlalchemy", "yaml", "aggregator.core.model"})) == []
    )
    assert len(found) <= 180


def test_known(folder: Path) -> None:
    """A pass with something to do of which nothing has changed loads neither models nor rules nor figures."""
    loaded(folder, "poll")
    found = loaded(folder, "poll", "--force")
    spared = {"pydantic", "yaml", "prometheus_client", "aggregator.core.settings", "aggregator.core.text.tokens"}
    spared |= {f"aggregator.{name}" for name in ("core.rules", "core.routing", "core.delivery", "store.queries")}
    assert sorted(found & (HEAVY | spared | {"selectolax", "sqlalchemy.dialects.postgresql"})) == []
    assert len(found) <= 495


@pytest.mark.parametrize(
    ("command", "most", "not_loaded"),
    [
        (("--help",), 150, {"aggregator.core.model", "asyncio", "pydantic", "sqlalchemy", "yaml"}),
        (("check",), 470, {"aggregator.fetch", "aggregator.pipeline", "pycurl", "sqlalchemy"}),
        (("poll",), 640, {"aggregator.config.opml", "sqlalchemy.dialects.postgresql", "statistics"} | OUTSIDE),
        (("poll", "--force"), 780, {"feedgenerator", "selectolax", "sqlalchemy.dialects.postgresql"}),
        (("hits", "list"), 670, OUTSIDE),
    ],
    ids=["help", "check", "poll", "force", "hits"],
)
def test_modules(folder: Path, command: tuple[str, ...], most: int, not_loaded: set[str]) -> None:
    """A command loads what it uses: a ceiling for all, and the heavy libraries by name."""
    found = loaded(folder, *command)
    assert sorted(found & (not_loaded | HEAVY)) == []
    assert len(found) <= most


def test_logs_load_no_drawing() -> None:
    """structlog takes rich, and pygments with it, if they are there; we have no traceback drawn."""
    code = (
        "import logging, sys; from aggregator.core.redaction import Redactor; from aggregator.telemetry import logs;"
        "logs.configure('info', 'console', Redactor()); logging.getLogger('a').warning('said');"
        "print(sorted({'rich', 'pygments'} & set(sys.modules))); from rich.console import Console"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "[]\n"
    assert "said" in ended.stderr


def test_rules_match_without_models() -> None:
    """To compile and match a few rules that were noted takes no models, which take longer to load than that."""
    code = "import sys, aggregator.core.rules.index, aggregator.app.known; print('pydantic' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.strip() == "False"
