"""The valid parts of a faulty configuration, for commands that only read the database."""

from pathlib import Path

import pytest

from aggregator.config import load, load_valid
from aggregator.core.errors import ConfigErrors

SOUND = """\
feeds:
  - {id: wire, url: "https://wire.example/feed"}
  - {id: blog, url: "https://blog.example/feed"}
lists: {turkey: [Turkey]}
channels: {desk: {service: console}}
rules:
  - {id: one, any: [S-400], notify: [desk]}
  - {id: two, all: [$turkey]}
settings: {database: "sqlite:///kept.db", polling: {every: 15m}}
"""


def loaded(tmp_path: Path, *edits: tuple[str, str]) -> tuple[list[str], list[str], int]:
    """Ids of the feeds and rules that are left, and how many faults were told."""
    text = SOUND
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "all.yaml"
    path.write_text(text, encoding="utf-8")
    found = load_valid(path, {})
    database = found.config.settings.database
    assert database
    assert database.get_secret_value() == "sqlite:///kept.db"
    return [f.id for f in found.config.feeds], [r.id for r in found.rules], len(found.faults)


def test_a_sound_configuration_has_no_faults(tmp_path: Path) -> None:
    """Then it is what `load` gives."""
    assert loaded(tmp_path) == (["wire", "blog"], ["one", "two"], 0)


@pytest.mark.parametrize(
    ("edit", "feeds", "rules"),
    [
        (("any: [S-400]", 'query: "(S-400"'), ["wire", "blog"], ["two"]),
        (("any: [S-400]", "ayn: [S-400]"), ["wire", "blog"], ["two"]),
        (("notify: [desk]", "notify: [dsek]"), ["wire", "blog"], ["two"]),
        (("id: two", "id: one"), ["wire", "blog"], ["one"]),
        (("[Turkey]", "{a: b}"), ["wire", "blog"], ["one"]),
        (("{service: console}", "{url: '${NO_SUCH_SECRET}'}"), ["wire", "blog"], ["two"]),
        (('"https://blog.example/feed"', "ftp"), ["wire"], ["one", "two"]),
        (("every: 15m", "every: soon"), ["wire", "blog"], ["one", "two"]),
        (("feeds:", "feedz: 5\nfeeds:"), ["wire", "blog"], ["one", "two"]),
    ],
)
def test_a_faulty_part_is_left_out(tmp_path: Path, edit: tuple[str, str], feeds: list[str], rules: list[str]) -> None:
    """And what needs it: a rule without its list or channel; the rest stands, and the fault is told."""
    left = loaded(tmp_path, edit)
    assert left[:2] == (feeds, rules)
    assert left[2] >= 1


@pytest.mark.parametrize(
    "edit",
    [
        ("sqlite:///kept.db", "mysql://kept"),
        ("sqlite:///kept.db", "${NO_SUCH_SECRET}"),
        ("settings:", "setings:"),
        ("database:", "databse:"),
        ("rules:", "rules: ["),
        ("lists:", "a: &anchor b\nlists:"),
    ],
)
def test_no_other_database_is_read_by_mistake(tmp_path: Path, edit: tuple[str, str]) -> None:
    """Where a fault may hide which database is meant, the faults are all that is told."""
    if edit[1].startswith("a: &"):
        assert loaded(tmp_path, edit)[2] == 2, "a key that nobody reads hides nothing"
        return
    with pytest.raises(ConfigErrors):
        loaded(tmp_path, edit)


def test_a_file_that_is_not_yaml_is_left_out_of_a_folder(tmp_path: Path) -> None:
    """Unless it is the one with the settings."""
    (tmp_path / "all.yaml").write_text(SOUND, encoding="utf-8")
    (tmp_path / "more.yaml").write_text("rules: [\n", encoding="utf-8")
    found = load_valid(tmp_path, {})
    assert len(found.rules) == 2
    assert "never closed" in str(found.faults[0])
    (tmp_path / "more.yaml").write_text("settings: {\n", encoding="utf-8")
    with pytest.raises(ConfigErrors):
        load_valid(tmp_path, {})
    with pytest.raises(ConfigErrors):
        load(tmp_path, {})
