"""What needs an extra is named with its place, once, where the extra is not there."""

from pathlib import Path

import pytest

from aggregator.app import extras
from aggregator.app.usable import require_usable
from aggregator.config import load
from aggregator.core.errors import ConfigErrors
from aggregator.core.events import encoder
from aggregator.parse import article

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
    monkeypatch.setattr(article, "is_available", lambda: installed)
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


@pytest.mark.parametrize("installed", [True, False])
def test_model_of_languages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool) -> None:
    """The same for the setting, at its place."""
    file = tmp_path / "feeds.yaml"
    file.write_text("feeds: [{url: 'https://example.org/feed'}]\nsettings:\n  stories: {languages: model}\n")
    monkeypatch.setattr(encoder, "is_available", lambda: installed)
    errors = extras.extra_errors(load(file, {}))
    if installed:
        assert errors == ()
        return
    (error,) = errors
    assert (error.line, error.column, error.severity) == (3, 24, "error")
    assert error.message == "settings.stories.languages: model requires the extra languages, which is not installed"
    assert "aggregator-watch[languages]" in str(error.hint)
    with pytest.raises(ConfigErrors, match="requires the extra languages"):
        require_usable(load(file, {}))
