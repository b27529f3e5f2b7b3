"""Edits of feeds in their files: only lines of the keys that change, all or none."""

from pathlib import Path

import pytest

from aggregator.config.edit import change_feeds
from aggregator.core.errors import ConfigErrors, NotFound

FEEDS = """\
feeds:
  # the agency
  - url: https://a.example/feed   # slow
    id: a
    tags: [news]
  - {url: "https://b.example/feed", id: b}
  - url: https://c.example/feed
    id: c
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "feeds.yaml").write_text(FEEDS)
    (tmp_path / "rules.yaml").write_text("rules:\n  - {id: r, any: [x], feeds: {ids: [c]}}\n")
    return tmp_path


def test_keys_of_feeds_change_alone(folder: Path) -> None:
    """Comments, order and other feeds stay."""
    change_feeds(folder, {"a": {"title": "Agency", "tags": ["news", "wire"]}, "c": {"every": "30m"}}, environ={})
    assert (folder / "feeds.yaml").read_text() == FEEDS.replace(
        "    tags: [news]\n", "    tags: [news, wire]\n    title: Agency\n"
    ).replace("    id: c\n", "    id: c\n    every: 30m\n")


def test_a_feed_on_one_line_can_change(folder: Path) -> None:
    """It becomes a block."""
    change_feeds(folder, {"b": {"title": "B: news"}}, environ={})
    block = "  - url: \"https://b.example/feed\"\n    id: b\n    title: 'B: news'\n"
    assert block in (folder / "feeds.yaml").read_text()


def test_an_empty_value_removes_the_key(folder: Path) -> None:
    """And several feeds are removed at once."""
    change_feeds(folder, {"a": {"tags": None}}, environ={})
    assert "tags" not in (folder / "feeds.yaml").read_text()
    change_feeds(folder, {"a": None, "b": None}, environ={})
    assert (folder / "feeds.yaml").read_text().count("- ") == 1


def test_all_or_none(folder: Path) -> None:
    """An unknown feed, a wrong value, or a rule that still names a feed: nothing is written."""
    with pytest.raises(NotFound):
        change_feeds(folder, {"a": {"title": "x"}, "nosuch": {"title": "y"}}, environ={})
    with pytest.raises(ConfigErrors):
        change_feeds(folder, {"a": {"title": "x"}, "c": {"every": "soon"}}, environ={})
    with pytest.raises(ConfigErrors):
        change_feeds(folder, {"a": None, "c": None}, environ={})
    assert (folder / "feeds.yaml").read_text() == FEEDS
