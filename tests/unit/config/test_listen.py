"""Where the page listens in a container: the environment names the address, and others need a password."""

from pathlib import Path

import pytest

from aggregator.config import load
from aggregator.core.errors import ConfigErrors

LISTEN = {"AGGREGATOR_LISTEN": "0.0.0.0:8080"}
FEEDS = "feeds: [{url: 'https://a.example/feed'}]\nrules: [{id: a, any: [x]}]\n"


def written(folder: Path, web: str = "") -> Path:
    path = folder / "all.yaml"
    path.write_text(FEEDS + (f"settings: {{web: {web}}}\n" if web else ""), encoding="utf-8")
    return path


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    """What an image sets goes before the file; without it the file, else loopback."""
    path = written(tmp_path, "{listen: '127.0.0.1:9000', password: correct horse battery}")
    assert load(path, LISTEN).config.settings.web.listen == "0.0.0.0:8080"
    assert load(path, LISTEN).warnings == ()
    assert load(path, {}).config.settings.web.listen == "127.0.0.1:9000"
    assert load(path, {"AGGREGATOR_LISTEN": ""}).config.settings.web.listen == "127.0.0.1:9000"
    assert load(written(tmp_path), {}).config.settings.web.listen == "127.0.0.1:8080"


def test_an_open_page_without_a_password_is_warned_of(tmp_path: Path) -> None:
    """`check` says that the service will not start, and what to write; loopback and no page need nothing."""
    [warning] = load(written(tmp_path), LISTEN).warnings
    assert str(warning).startswith("$AGGREGATOR_LISTEN:1:1: warning: 0.0.0.0:8080 is not a loopback address")
    assert "WEB_PASSWORD" in (warning.hint or "")
    assert load(written(tmp_path, "{enabled: false}"), LISTEN).warnings == ()
    assert load(written(tmp_path), {"AGGREGATOR_LISTEN": "127.0.0.1:80"}).warnings == ()


@pytest.mark.parametrize("listen", ["8080", "0.0.0.0", "0.0.0.0:http", "0.0.0.0:99999"])
def test_an_address_that_is_none(listen: str, tmp_path: Path) -> None:
    """It is refused by the name of the variable."""
    with pytest.raises(ConfigErrors, match=r"\$AGGREGATOR_LISTEN"):
        load(written(tmp_path), {"AGGREGATOR_LISTEN": listen})


@pytest.mark.parametrize("url", ["nonsense", "mysql://u:secretword@h/db", "postgres://h/db", "sqlite://"])
def test_a_database_that_is_none_is_refused_by_the_name_of_its_variable(url: str, tmp_path: Path) -> None:
    """As in the file; the address itself is not shown."""
    with pytest.raises(ConfigErrors, match=r"\$AGGREGATOR_DATABASE:1:1: error") as refused:
        load(written(tmp_path), {"AGGREGATOR_DATABASE": url})
    assert "secretword" not in str(refused.value)
    kept = load(written(tmp_path), {"AGGREGATOR_DATABASE": "postgresql://u:secretword@h/db"}).config.settings.database
    assert kept is not None
    assert kept.get_secret_value() == "postgresql://u:secretword@h/db"
