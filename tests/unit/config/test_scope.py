"""What the page and the API may change: rules and lists, whatever YAML can do; all else is byte for byte as on disk."""

from pathlib import Path

import pytest

from aggregator.config import restrict, save_file
from aggregator.core.errors import AggregatorError, ConfigErrors, Conflict
from tests.unit.config.config_files import written

FILE = """\
# Everything in one file.
feeds:
  - url: https://a.example/feed   # the only one

# How people hear of it.
channels:
  chat: {service: slack, token_a: "${A}", token_b: b, token_c: c}

# What is watched.
rules:
  - id: s400
    any: [S-400]
    tests:
      match: ["An S-400"]

lists:
  turkey: [Turkey]

settings:
  web: {token: "${TOKEN}"}
  # the end
"""
FEEDS = FILE[FILE.index("feeds:") : FILE.index("channels:")]


def tried(folder: Path, text: str, before: str = FILE) -> None:
    file = folder / "all.yaml"
    file.write_text(before)
    restrict(file, text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("any: [S-400]", "any: [S-400, 'SA-21 Growler']"),
        ("# What is watched.", "# What we watch.\n\n# And why."),
        ("lists:\n  turkey: [Turkey]\n\n", ""),
        ("turkey: [Turkey]", "turkey: [Turkey, Türkiye]\n  greece: [Greece]"),
        ('rules:\n  - id: s400\n    any: [S-400]\n    tests:\n      match: ["An S-400"]\n', "rules: []\n"),
        ("  # the end\n", "  # the end\n\n\n"),
        ("any: [S-400]", "notify: chat\n    any: [S-400]"),
        ("lists:\n  turkey: [Turkey]\n", 'lists: {turkey: [Turkey], "a: b": ["x # y"]}\n'),
    ],
)
def test_rules_and_lists_may_change(tmp_path: Path, old: str, new: str) -> None:
    """Also the comments above them, and a section that goes."""
    assert old in FILE
    tried(tmp_path, FILE.replace(old, new))


def test_sections_may_come(tmp_path: Path) -> None:
    """A list in a file of rules, rules in a file without any, and an empty file of comments."""
    tried(tmp_path, "rules: []\nlists: {a: [x]}\n", "rules: []\n")
    tried(tmp_path, "channels: {}\nrules: [{id: a, any: [x]}]\n", "channels: {}")
    tried(tmp_path, "# nothing yet\nrules: []\n", "# nothing yet\n")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("token_b: b", "token_b: evil", "line 7 (channels)"),
        ("https://a.example/feed", "https://evil.example/feed", "line 3 (feeds)"),
        ('{token: "${TOKEN}"}', '{token: "known-to-me"}', "line 20 (settings)"),
        ('  web: {token: "${TOKEN}"}\n', "", "(settings)"),
        ("# the only one", "# the best one", "(feeds)"),
        ("# How people hear of it.", "# How nobody does.", "(feeds)"),
        ("# Everything in one file.", "# $schema=https://evil.example", "above the first section"),
        ("lists:\n", "lists2:\n", "unknown key 'lists2'"),
        ("\nsettings:\n", "\nsettings: \n", "(settings)"),
        ("  # the end\n", "  # the end\n  http: {proxy: 'http://evil.example:1'}\n", "(settings)"),
        ("channels:\n  chat", "channels:\n  evil: {url: 'json://evil.example'}\n  chat", "(channels)"),
        ("# What is watched.\nrules:", "channels2: {}\nrules:", "unknown key"),
        (FEEDS, "", "feeds is missing"),
        # tricks of YAML
        ("lists:\n", 'channels:\n  chat: {url: "json://evil"}\nlists:\n', "key 'channels' is defined twice"),
        ("lists:\n", "<<: {channels: {chat: {url: 'json://evil'}}}\nlists:\n", "unknown key '<<'"),
        ("lists:\n", "? channels\n: {x: {url: 'json://evil'}}\nlists:\n", "defined twice"),
        ("lists:\n", '"chann\\x65ls": {x: {url: "json://evil"}}\nlists:\n', "defined twice"),
        ("turkey: [Turkey]", "turkey: &a [Turkey]", "anchors are not allowed"),
        ("any: [S-400]", "any: *a", "aliases are not allowed"),
        ("any: [S-400]", "any: !!python/object/apply:os.system [x]", "tags are not allowed"),
        ("  # the end\n", "  # the end\n---\nchannels: {}\n", "second YAML document"),
        ("  # the end\n", "  # the end\n...\nchannels: {}\n", "invalid YAML"),
        ("# Everything in one file.\n", "---\nrules: []\n---\n", "second YAML document"),
        ("# Everything in one file.\n", "%YAML 1.1\n---\n", "above the first section"),
        ("any: [S-400]", "any: [S-400", ""),
        ("any: [S-400]", "any: [\ud800]", "invalid UTF-8"),
        ("any: [S-400]", "any: ['\x00']", "NUL"),
        ("any: [S-400]", "any: ['\x1b[31m']", "U+001B"),
        ("any: [S-400]", "any: [x]\u2028channels:\u2028  x: {url: 'json://evil'}", ""),
        ("any: [S-400]", "any: [x]\r\rchannels: {}", ""),
        # references
        ("any: [S-400]", 'any: ["${file:/etc/passwd}"]', "does not contain the reference ${file:/etc/passwd}"),
        ("turkey: [Turkey]", 'turkey: ["\\x24{HOME}"]', "reference ${HOME}"),
        ("any: [S-400]", "title: Now ${WEB_PASSWORD}\n    any: [S-400]", "reference ${WEB_PASSWORD}"),
        ("any: [S-400]", "any:\n      - >-\n        $\n        {A}${B}", "reference ${B}"),
        # sources of lists
        ("turkey: [Turkey]", "turkey: {file: /etc/passwd}", "list 'turkey' is loaded from elsewhere"),
        ("turkey: [Turkey]", "turkey: {url: 'http://127.0.0.1/'}", "list 'turkey' is loaded from elsewhere"),
        ("turkey: [Turkey]", "turkey: [{file: /etc/passwd}]", "list 'turkey' is loaded from elsewhere"),
    ],
)  # fmt: skip
def test_nothing_else_may_change(tmp_path: Path, old: str, new: str, says: str) -> None:
    """The refusal says what differs, and where."""
    assert old in FILE
    with pytest.raises((Conflict, ConfigErrors)) as refused:
        tried(tmp_path, FILE.replace(old, new, 1))
    assert says in str(refused.value)


def test_known_references_and_sources_may_stay(tmp_path: Path) -> None:
    """A reference and a list from a file that are on disk may be sent back, and a list from the package may come."""
    before = FILE.replace("turkey: [Turkey]", "turkey: {file: turkey.txt}")
    tried(tmp_path, before.replace("any: [S-400]", 'any: ["${A}", x]'), before)
    tried(tmp_path, before.replace("turkey:", "ships: {use: ships}\n  turkey:"), before)


def test_sections_in_braces_are_distinguished(tmp_path: Path) -> None:
    """A file on one line is judged by its text and by its meaning."""
    before = "{channels: {}, rules: []}\n"
    tried(tmp_path, "{channels: {}, rules: [{id: a, any: [x]}]}\n", before)
    for text in ("{channels: {x: 1}, rules: []}\n", "{rules: [], channels: {}}\n", "channels: {}\nrules: []\n"):
        with pytest.raises(Conflict):
            tried(tmp_path, text, before)


def test_blank_lines_of_a_text_are_no_comments(tmp_path: Path) -> None:
    """Empty lines that belong to a kept text count, although they look like the space above the rules."""
    before = "channels:\n  x:\n    url: |+\n      json://a\n\n\nrules: []\n"
    tried(tmp_path, before.replace("[]", "[{id: a, any: [x]}]"), before)
    with pytest.raises(Conflict):
        tried(tmp_path, before.replace("\n\n\n", "\n\n\n\n"), before)


def test_what_cannot_be_read_is_repaired_on_disk(tmp_path: Path) -> None:
    """Of a file that is no YAML nobody can tell what else differs."""
    with pytest.raises(Conflict, match="fix it there"):
        tried(tmp_path, "rules: []\n", "channels: {x: [}\nrules: []\n")


def test_a_refused_edit_is_not_written(tmp_path: Path) -> None:
    """Neither reads `save_file` a reference of it."""
    file = written(tmp_path, "rules: []\n")
    for text in ("rules: []\nchannels: {}\n", "rules: [{id: a, any: ['${file:/etc/passwd}']}]\n"):
        with pytest.raises(AggregatorError) as refused:
            save_file(file, file, text, environ={})
        assert "root:x" not in str(refused.value)
    assert file.read_text() == "rules: []\n"
