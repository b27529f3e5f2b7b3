"""The configuration as a cluster keeps it."""

import json
from pathlib import Path

import pytest

from aggregator.config import load
from aggregator.config.stored import FeedReader, as_texts, feed_options, load_texts, read_texts, texts_digest, unparsed
from aggregator.core.errors import ConfigErrors

SETTINGS = """\
channels:
  mail: {url: "json://u:${SMTP}@mail.example", quiet_hours: "22:00-07:00", max_per_hour: 3}
  desk: {service: console}
settings: {database: "postgresql://u:${DB}@db/x", web: {password: "${WEB}", public_url: "https://x.example"}}
lists:
  missiles: {file: terms.txt}
  fetched: {url: "https://lists.example/terms.txt"}
rules:
  - {id: watch, any: [$missiles], notify: [mail]}
"""
FEEDS = """\
feeds:
  - {url: "https://a.example/feed", every: 5m, auth: {bearer: "${TOKEN}"}}
  - {id: b, url: "https://b.example/feed", tags: [x]}
"""
SECRETS = {"SMTP": "smtp-secret", "DB": "db-secret", "WEB": "web-secret-web-secret", "TOKEN": "token-secret"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # what is fetched is kept below it
    (tmp_path / "var").mkdir()
    for name, text in {"settings.yaml": SETTINGS, "feeds.yaml": FEEDS, "terms.txt": "S-400\nTriumf\n"}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_what_is_stored_holds_no_secret(folder: Path) -> None:
    """References stay as they are written, in the files and in the rows of feeds."""
    loaded = load(folder, SECRETS)
    texts = read_texts(folder, loaded)
    stored = json.dumps([texts.files, texts.feeds, feed_options(loaded)])
    assert [secret for secret in SECRETS.values() if secret in stored] == []
    assert [name for name, _ in texts.files] == ["settings.yaml", "terms.txt"]
    assert [name for name, _ in texts.feeds] == ["feeds.yaml"]


def test_digest_is_that_of_the_texts() -> None:
    """Names and texts count, their order does not."""
    one = as_texts([("a.yaml", "feeds: []"), ("b.yaml", "rules: []")])
    assert one == as_texts([("b.yaml", "rules: []"), ("a.yaml", "feeds: []")])
    assert one.digest != as_texts([("a.yaml", "feeds: [] "), ("b.yaml", "rules: []")]).digest


def test_a_worker_has_rules_channels_and_terms_without_files(folder: Path) -> None:
    """Only the secrets of channels are needed; passwords of the page and the database are not."""
    here = load(folder, SECRETS)
    (fetched,) = here.fetched
    fetched.file.parent.mkdir(parents=True)
    fetched.file.write_text("Patriot\n")
    texts = read_texts(folder, load(folder, SECRETS))
    (folder / "terms.txt").unlink()
    fetched.file.unlink()
    loaded = load_texts(texts.files, {"SMTP": "smtp-secret"}, digest="d", whole=False, web=False)
    assert loaded.faults == ()
    assert loaded.config.feeds == ()
    assert loaded.config.settings.web.public_url == "https://x.example"
    assert loaded.config.lists["missiles"] == ("S-400", "Triumf")
    assert (loaded.config.lists["fetched"], loaded.fetched) == (("Patriot",), ())  # the node with the files fetches
    assert [rule.id for rule in loaded.rules] == ["watch"]
    assert loaded.config.channels["mail"].available


def test_a_node_without_the_page_keeps_the_token_that_it_knows(folder: Path) -> None:
    """It serves its metrics with it; where it is not known, and always of the password, nothing is asked."""
    settings = (folder / "settings.yaml").read_text().replace("web: {", 'web: {token: "${API}", ')
    (folder / "settings.yaml").write_text(settings)
    texts = read_texts(folder)
    known = {"SMTP": "smtp-secret", "API": "0123456789abcdef"}
    for environ in (known, {"SMTP": "smtp-secret"}):
        loaded = load_texts(texts.files, environ, digest="d", whole=False, web=False)
        web = loaded.config.settings.web
        assert web.password is None
        assert (web.token.get_secret_value() if web.token else None) == environ.get("API")
        assert loaded.faults == ()


def test_a_missing_secret_takes_its_channel_only(folder: Path) -> None:
    """The channel keeps its name and its hours, so that others deliver; rules that name it stay."""
    texts = read_texts(folder, load(folder, SECRETS))
    loaded = load_texts(texts.files, {}, digest="d", whole=False, web=False)
    mail = loaded.config.channels["mail"]
    assert (mail.available, mail.url, mail.max_per_hour) == (False, (), 3)
    assert mail.quiet_hours is not None
    assert loaded.config.channels["desk"].available
    assert [rule.id for rule in loaded.rules] == ["watch"]
    assert [fault.message for fault in loaded.faults] == ["the environment variable SMTP is not set"]


def test_a_whole_configuration_has_its_feeds(folder: Path) -> None:
    """The planner and the page see what the files say."""
    here = load(folder, SECRETS)
    texts = read_texts(folder, here)
    there = load_texts((*texts.files, *texts.feeds), SECRETS, digest="d", whole=True, web=True)
    assert there.config.feeds == here.config.feeds
    assert there.config.rules == here.config.rules


def test_a_feed_comes_whole_out_of_its_row(folder: Path) -> None:
    """With the secrets of the machine, which are reported to be hidden; without them, with a clear sentence."""
    loaded = load(folder, SECRETS)
    options, found = feed_options(loaded), set[str]()
    reader = FeedReader(SECRETS, found.update)
    assert tuple(reader.read(options[feed.id]) for feed in loaded.config.feeds) == loaded.config.feeds
    assert found == {"token-secret"}
    with pytest.raises(ConfigErrors, match="TOKEN is not set"):
        FeedReader({}, found.update).read(options["a-example-feed"])
    assert FeedReader({}, found.update).read(options["b"]).tags == ("x",)


def test_the_database_is_known_without_reading_feeds(folder: Path) -> None:
    """It is found with the digest of a push; nothing is where a file is none, or a variable is missing."""
    (folder / "more.yaml").write_text("\ufefffeeds:\n  - {id: more, url: 'https://more.example/?file: settings:'}\n")
    found = unparsed(folder, {"DB": "secret"})
    assert found is not None
    assert found[0] == "postgresql://u:secret@db/x"
    assert texts_digest(found[1]) == read_texts(folder).digest
    assert unparsed(folder, {}) is None
    other = {"DB": "secret", "AGGREGATOR_DATABASE": "postgresql://other"}
    assert unparsed(folder, other) == ("postgresql://other", found[1])
    (folder / "settings.yaml").write_text("rules: []\n")
    assert (unparsed(folder, {}) or ("?",))[0] == ""
    (folder / "settings.yaml").write_bytes(b"\xff")
    assert unparsed(folder, {}) is None
