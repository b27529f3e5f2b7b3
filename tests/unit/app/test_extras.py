"""What needs an extra is named with its place, once, where the extra is not there."""

from pathlib import Path

import pytest

from aggregator.app import extras
from aggregator.app.usable import require_usable
from aggregator.config import load
from aggregator.core.errors import ConfigErrors

FEEDS = """\
feeds:
  - {id: plain, url: "https://a.example/feed"}
  - {id: full, url: "https://b.example/feed", full_text: true}
  - {id: fuller, url: "https://c.example/feed", full_text: true}
"""


@pytest.mark.parametrize("installed", [True, False])
def test_full_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool) -> None:
    """One clear error at the first feed that wants articles; none with the extra."""
    (tmp_path / "feeds.yaml").write_text(FEEDS)
    monkeypatch.setattr(extras, "is_available", lambda: installed)
    errors = extras.extra_errors(load(tmp_path / "feeds.yaml", {}))
    if installed:
        assert errors == ()
        return
    (error,) = errors
    assert (error.line, error.severity) == (3, "error")
    assert error.message == "full_text of feed full requires the extra fulltext, which is not installed"
    assert error.hint is not None
    assert "aggregator-watch[fulltext]" in error.hint
    with pytest.raises(ConfigErrors, match="requires the extra fulltext"):  # by run, poll and reload as by check
        require_usable(load(tmp_path / "feeds.yaml", {}))
