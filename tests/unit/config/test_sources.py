"""Which files are the configuration, what is said of those that only look like it, and when it has changed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from aggregator.config import digest, load
from aggregator.config.digests import file_digest
from aggregator.core.errors import ConfigErrors

FEEDS = "feeds: [{url: 'https://a.example/feed'}]\n"
RULES = "rules: [{id: a, any: [x]}]\n"


def folder(path: Path, **files: str) -> Path:
    """A folder with feeds and rules, and `files` (`_` in a name stands for a dot)."""
    for name, text in {"feeds_yaml": FEEDS, "rules_yaml": RULES, **files}.items():
        (path / name.replace("_", ".")).write_text(text)
    return path


def said(path: Path) -> list[str]:
    """What `check` says of a folder, as `name: severity: message (hint)`."""
    try:
        found = load(path, {}).warnings
    except ConfigErrors as errors:
        found = errors.errors
    return [str(error).replace(f"{path}/", "").replace(":1:1:", ":") for error in found]


@pytest.mark.parametrize(
    ("name", "proposal"),
    [
        ("more.yaml.txt", "more.yaml"),
        ("MORE.YAML", "more.yaml"),
        ("more.Yml", "more.yaml"),
        ("more.yamll", "more.yaml"),
        ("channels.txt", "channels.yaml"),
        ("settings", "settings.yaml"),
        ("gone.yaml~", "gone.yaml"),
        ("gone.yaml.bak", "gone.yaml"),
    ],
)
def test_a_file_that_only_looks_like_configuration_is_named(tmp_path: Path, name: str, proposal: str) -> None:
    """It is not read, and says so with its right name."""
    (folder(tmp_path) / name).write_text(RULES.replace("a,", "b,"))
    message = f"{name} is not read: its name does not end in .yaml or .yml (rename it to {proposal})"
    assert said(tmp_path) == [f"{name}: warning: {message}"]


@pytest.mark.parametrize(
    "name", ["rules.yaml~", "rules.yaml.bak", "more.yaml.disabled", "more.yaml.example", "schema.json", "README.md",
             ".rules.yaml.swp", "token"],
)  # fmt: skip
def test_what_lies_there_on_purpose_is_left_alone(tmp_path: Path, name: str) -> None:
    """An editor's copy of a file that is read, what was switched off by its name, and other files."""
    (folder(tmp_path) / name).write_text("x")
    assert said(tmp_path) == []


def test_a_subfolder_with_yaml_is_named(tmp_path: Path) -> None:
    """One without YAML is nobody's mistake; what Kubernetes and git keep is hidden."""
    for name in ("rules.d", "..data", ".git", "templates"):
        (tmp_path / name).mkdir()
        (tmp_path / name / ("more.txt" if name == "templates" else "more.yaml")).write_text(RULES)
    assert said(folder(tmp_path)) == [
        "rules.d: warning: rules.d/more.yaml is not read: subfolders are ignored (move more.yaml up)"
    ]


def a_folder(path: Path) -> None:
    path.mkdir()


def a_link(path: Path) -> None:
    path.symlink_to("/nowhere/at/all.yaml")


def a_circle(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (a_folder, "channels.yaml is a folder, not a file (Docker"),
        (a_link, "channels.yaml is a broken link: /nowhere/at/all.yaml ("),
        (a_circle, "channels.yaml is a broken link"),
    ],
)
def test_what_has_the_name_and_is_no_file_is_an_error(tmp_path: Path, make: Callable[[Path], None], words: str) -> None:
    """Whatever was meant to stand there is missing, so the rest is not the whole configuration."""
    make(folder(tmp_path) / "channels.yaml")
    (error,) = said(tmp_path)
    assert error.startswith(f"channels.yaml: error: {words}")


def test_a_folder_without_any_yaml_names_the_file_that_looks_like_it(tmp_path: Path) -> None:
    """Better than that there is none."""
    (tmp_path / "rules.yaml.txt").write_text(RULES)
    assert said(tmp_path)[0].startswith("rules.yaml.txt: error: rules.yaml.txt is not read")


def test_feeds_without_a_rule_are_warned_of(tmp_path: Path) -> None:
    """Nothing would ever alert."""
    (tmp_path / "feeds.yaml").write_text(FEEDS)
    (warning,) = said(tmp_path)
    assert "no rules are configured" in warning


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"feeds": FEEDS, "rules": "# - {id: a, any: [S-400]}\n"}, "no rules are configured"),
        ({"feeds": "# none yet\n", "rules": RULES}, "no feeds are configured"),
        (
            {"feeds": FEEDS, "rules": "rules: [{id: a, any: [S-400], enabled: false}]\n"},
            "rules.yaml:1:8: warning: every",
        ),
        ({"feeds": FEEDS.replace("}", ", enabled: false}"), "rules": RULES}, "every feed is disabled"),
        ({"channels": "channels: {}\n", "feeds": "feeds: []\n", "rules": RULES}, "feeds.yaml:1:8: warning: no feeds"),
    ],
)
def test_what_is_commented_out_or_disabled_is_warned_of(tmp_path: Path, files: dict[str, str], words: str) -> None:
    """A section that is there, and does nothing, is as silent as one that is missing."""
    for name, text in files.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    (warning,) = said(tmp_path)
    assert words in warning


def test_a_file_of_comments_does_not_switch_the_checks_off(tmp_path: Path) -> None:
    """Names are looked up all the same."""
    (tmp_path / "later.yaml").write_text("# to come\n")
    (tmp_path / "feeds.yaml").write_text(FEEDS)
    (tmp_path / "rules.yaml").write_text("rules: [{id: a, any: [S-400], notify: [nowhere]}]\n")
    (error,) = said(tmp_path)
    assert "no channel named 'nowhere'" in error


def test_the_digest_changes_with_what_the_files_name(tmp_path: Path) -> None:
    """A secret that is rotated, comes or goes is a change; a file of ours alone is compared for edits."""
    token, file = tmp_path / "token", tmp_path / "rules.yaml"
    folder(
        tmp_path, channels_yaml="channels: {c: {service: webhook, url: 'https://c.example/', token: '${file:token}'}}"
    )
    seen = [digest(tmp_path)]
    for text in ("first", "second", "first"):
        token.write_text(text)
        seen.append(digest(tmp_path))
    assert seen[1] == seen[3]
    assert len(set(seen)) == 3
    assert load(tmp_path, {}).digest == seen[3]
    alone = file_digest(tmp_path / "channels.yaml")
    token.write_text("third")
    assert file_digest(tmp_path / "channels.yaml") == alone
    assert file_digest(file) != file_digest(tmp_path / "feeds.yaml")


def test_a_reference_to_a_device_blocks_no_look(tmp_path: Path) -> None:
    """The look every two seconds opens ordinary files only, outside of /proc."""
    channel = "service: webhook, url: 'https://c.example/', token: '${file:/dev/zero}${file:/proc/self/environ}'"
    text = f"channels: {{c: {{{channel}}}}}"
    assert digest(folder(tmp_path, channels_yaml=text))


def test_paths_begin_at_the_file_that_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the program was started; also through a reference, and an absolute path stays what it is."""
    monkeypatch.chdir("/")
    channel = "service: webhook, url: 'https://c.example/', template"
    path = folder(
        tmp_path,
        channels_yaml=f"channels: {{a: {{{channel}: 'own/a.txt'}}, b: {{{channel}: /etc/b.txt}},"
        f" c: {{{channel}: '${{NAME}}'}}}}",
    )
    channels = load(path, {"NAME": "c.html"}).config.channels
    assert [channels[name].template for name in "abc"] == [
        f"{tmp_path}/own/a.txt", "/etc/b.txt", f"{tmp_path}/c.html",
    ]  # fmt: skip
