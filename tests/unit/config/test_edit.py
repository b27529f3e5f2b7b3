"""Edits: one change in the text, everything else byte for byte, nothing saved that does not load."""

import os
import tempfile
from collections.abc import Callable, Mapping
from errno import EACCES, EPERM, EROFS
from pathlib import Path

import pytest

from aggregator.config import (
    add_feed,
    add_feeds,
    change_feeds,
    digest,
    load,
    remove_feed,
    rule_files,
    save_file,
    with_rule_text,
)
from aggregator.config.digests import file_digest
from aggregator.core.errors import AggregatorError, ConfigErrors, Conflict, NotFound
from tests.unit.config.config_files import written

FEEDS = """
# The feeds of the desk.
feeds:

  - url: https://a.example/feed    # the first
    id: a

  # the second
  - {url: "https://b.example/feed", id: b}
  # nothing below
settings: {}
"""


def test_a_feed_is_added_below_the_last_one(tmp_path: Path) -> None:
    """Comments and layout stay; the new lines have the indentation of their neighbours."""
    file = written(tmp_path, FEEDS)
    before = file.read_text()
    added = add_feed(file, url="https://c.example/feed", title="C: the ${new} one", tags=["x", "no"], environ={})
    assert (added.id, added.file) == ("c-example-feed", str(file))
    new = (
        "  - url: https://c.example/feed\n    id: c-example-feed\n"
        "    title: 'C: the $${new} one'\n    tags: [x, 'no']\n"
    )
    assert file.read_text() == before.replace("  # nothing below\n", new + "  # nothing below\n")
    assert load(file, {}).config.feeds[2].title == "C: the ${new} one"


@pytest.mark.parametrize(
    "text",
    [
        "feeds: []\nrules: []\n",
        "feeds:\n# none yet\nrules: []\n",
        "rules: []\n",
        "rules: []",
        "feeds: [{url: 'https://a.example/'}]\n",
        "feeds:\n- url: https://a.example/\n",
        "feeds:\n  - url: https://a.example/",
        "feeds:\r\n  - url: https://a.example/\r\nrules: []\r\n",
    ],
)
def test_feeds_are_added_to_lists_of_every_style(tmp_path: Path, text: str) -> None:
    """Empty, missing, in brackets, without a last line break, with line ends of Windows."""
    file = tmp_path / "config.yaml"
    file.write_bytes(text.encode())
    known = len(load(file, {}).config.feeds)
    rows: list[dict[str, object]] = [{"url": "https://x.example/"}, {"url": "https://y.example/", "tags": ["t"]}]
    add_feeds(file, rows, environ={})
    assert [feed.id for feed in load(file, {}).config.feeds[known:]] == ["x-example", "y-example"]
    assert ("\r\n" in text) == ("\r\n" in file.read_bytes().decode())


def test_a_feed_goes_to_the_file_of_feeds(tmp_path: Path) -> None:
    """In a folder the new feed stands with the others, or in a new feeds.yaml."""
    written(tmp_path, "rules: [{id: a, any: [x]}]\n", "rules.yaml")
    assert add_feed(tmp_path, url="https://a.example/", environ={}).file == str(tmp_path / "feeds.yaml")
    assert add_feed(tmp_path, url="https://b.example/", environ={}).file == str(tmp_path / "feeds.yaml")
    assert len(load(tmp_path, {}).config.feeds) == 2


def test_an_edit_that_does_not_load_changes_nothing(tmp_path: Path) -> None:
    """A known address, or a rule that names the removed feed: the file stays as it was."""
    file = written(tmp_path, FEEDS + "rules: [{id: r, any: [x], feeds: {ids: [b]}}]\n")
    before = file.read_bytes()
    with pytest.raises(ConfigErrors, match="defined twice"):
        add_feed(file, url="https://a.example/feed", feed_id="again", environ={})
    with pytest.raises(ConfigErrors, match="no feed named 'b'"):
        remove_feed(file, "b", environ={})
    assert file.read_bytes() == before
    assert os.listdir(tmp_path) == ["config.yaml"]


@pytest.mark.parametrize("code", [EACCES, EPERM, EROFS])
def test_a_configuration_that_is_read_only_says_what_to_do(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no fault of the program but a conflict, with the remedy; nothing is changed."""
    file = written(tmp_path, FEEDS)
    before = file.read_text()

    def refused(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(tempfile, "mkstemp", refused)
    with pytest.raises(Conflict, match=f"{os.strerror(code)}; edit it where it comes from"):
        add_feed(file, url="https://c.example/", environ={})
    assert file.read_text() == before


def test_a_feed_is_removed_with_its_lines_only(tmp_path: Path) -> None:
    """Block and bracket style; the last one leaves an empty list."""
    file = written(tmp_path, FEEDS)
    assert remove_feed(file, "a", environ={}) == str(file)
    assert "  # the second\n  - {url" in file.read_text()
    assert "the first" not in file.read_text()
    remove_feed(file, "b", environ={})
    assert load(file, {}).config.feeds == ()
    assert "# nothing below" in file.read_text()
    with pytest.raises(NotFound, match="no feed named 'b'"):
        remove_feed(file, "b", environ={})


def test_a_feed_that_is_a_text_is_removed(tmp_path: Path) -> None:
    """A short name or an address that stands alone, with its line and no other."""
    file = written(tmp_path, "feeds:\n  - telegram:durov\n  # kept\n  - https://b.example/feed\n")
    remove_feed(file, "telegram-durov", environ={})
    assert file.read_text() == "feeds:\n  # kept\n  - https://b.example/feed\n"
    remove_feed(file, "b-example-feed", environ={})
    assert load(file, {}).config.feeds == ()


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_a_feed_is_removed_from_brackets(tmp_path: Path, name: str) -> None:
    """First, middle and last of a list on one line, with its comma."""
    rows = ", ".join(f"{{url: 'https://{n}.example/', id: {n}}}" for n in "abc")
    file = written(tmp_path, f"feeds: [{rows}]\n")
    remove_feed(file, name, environ={})
    assert [feed.id for feed in load(file, {}).config.feeds] == [n for n in "abc" if n != name]


RULES = """
rules:
  # about sanctions
  - id: a
    any: [CAATSA]   # the act

  - id: b
    any:
      - S-400
# the end
"""


def test_a_rule_is_written_anew_in_its_place(tmp_path: Path) -> None:
    """The text between its dash and its last line changes, comments around it stay."""
    file = written(tmp_path, RULES)
    where, text = with_rule_text(file, "b", "  - id: b\n    any: [S-500]", environ={})
    assert where == file
    assert text == RULES.lstrip().replace("any:\n      - S-400", "any: [S-500]")


def test_a_change_on_disk_is_not_overwritten(tmp_path: Path) -> None:
    """Who edits an old text is told so."""
    file = written(tmp_path, RULES)
    (text,) = rule_files(file)
    file.write_text(text.text + "# somebody was here\n")
    with pytest.raises(Conflict, match="changed on disk"):
        save_file(file, file, text.text, before=text.digest, environ={})
    assert "somebody" in file.read_text()


def test_a_saved_file_keeps_link_and_mode(tmp_path: Path) -> None:
    """A symbolic link stays one; its target is replaced whole and keeps its permissions."""
    target = written(tmp_path, RULES, "real.txt")
    target.chmod(0o640)
    link = tmp_path / "rules.yaml"
    link.symlink_to(target)
    save_file(link, link, "rules: [{id: c, any: [x]}]\n", before=digest(link), environ={})
    assert link.is_symlink()
    assert target.read_text() == "rules: [{id: c, any: [x]}]\n"
    assert target.stat().st_mode & 0o777 == 0o640


def test_only_files_of_the_configuration_are_saved(tmp_path: Path) -> None:
    """A path from a browser leads nowhere else."""
    written(tmp_path, RULES, "rules.yaml")
    with pytest.raises(NotFound):
        save_file(tmp_path, tmp_path / ".." / "elsewhere.yaml", "rules: []\n", environ={})


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason of the operating system is in the error."""
    file = written(tmp_path, FEEDS)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AggregatorError, match="No space left on device"):
        add_feed(file, url="https://c.example/", environ={})
    assert os.listdir(tmp_path) == ["config.yaml"]


class EditedMeanwhile(dict[str, str]):
    """Variables; whenever one is looked up, somebody adds a line to a file."""

    def __init__(self, file: Path) -> None:
        super().__init__(A_SECRET="abcdefgh")
        self.file = file

    def __getitem__(self, name: str) -> str:
        self.file.write_text(self.file.read_text() + "# somebody was here\n")
        return super().__getitem__(name)


EDITS: dict[str, Callable[[Path, Mapping[str, str]], object]] = {
    "whole": lambda path, env: save_file(
        path, path / "edited.yaml", "rules: []\n", before=file_digest(path / "edited.yaml"), environ=env
    ),
    "added": lambda path, env: add_feed(path, url="https://new.example/feed", environ=env),
    "changed": lambda path, env: change_feeds(path, {"a": {"title": "New"}}, environ=env),
    "removed": lambda path, env: remove_feed(path, "a", environ=env),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_file_that_changes_during_an_edit_is_not_overwritten(tmp_path: Path, edit: str) -> None:
    """To check an edit takes a while, and what somebody saves meanwhile stays."""
    hook = "channels: {hook: {service: webhook, url: 'https://example.org/', token: '${A_SECRET}'}}\n"
    written(tmp_path, hook, "channels.yaml")
    file = written(tmp_path, FEEDS if edit != "whole" else RULES, "edited.yaml")
    before = file.read_text()
    with pytest.raises(Conflict, match="changed on disk"):
        EDITS[edit](tmp_path, EditedMeanwhile(file))
    assert file.read_text().replace("# somebody was here\n", "") == before
